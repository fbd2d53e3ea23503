"""Convert text completions to native types."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from .. import stack
from .chat import closed_after, stop_reason
from .logprobs import completion_logprobs


def convert_openai_completion_choice(choice: Any) -> Any:
    """Convert a whole completion.

    Args:
        choice: A choice of a completion: the SDK's, or ``nim.responses.structs.CompletionChoice``.

    Returns:
        A ``CompletionResponse``.
    """
    return stack.CompletionResponse(
        content=choice.text or "",
        stop_reason=stop_reason(choice.finish_reason) or stack.StopReason.end_of_turn,
        logprobs=completion_logprobs(choice.logprobs),
    )


class CompletionEvents:
    """Makes the native events of a stream, as a stage of ``nim.completions``."""

    def __init__(self) -> None:
        self._ended = False

    def feed(self, chunk: Any) -> list[Any]:
        """Return the event of a chunk's first choice."""
        return [self._event(choice) for choice in chunk.choices or () if not choice.index]

    def close(self) -> list[Any]:
        """Return the event that ends the stream, if no chunk has."""
        if self._ended:
            return []
        return [
            stack.CompletionResponseStreamChunk(delta="", stop_reason=stack.StopReason.end_of_turn)
        ]

    def _event(self, choice: Any) -> Any:
        reason = stop_reason(choice.finish_reason)
        self._ended = self._ended or reason is not None
        return stack.CompletionResponseStreamChunk(
            delta=choice.text or "",
            stop_reason=reason,
            logprobs=completion_logprobs(choice.logprobs),
        )


async def convert_openai_completion_stream(
    stream: AsyncIterable[Any],
) -> AsyncGenerator[Any, None]:
    """Convert a stream of completion chunks to the native stream.

    Args:
        stream: Chunks of the SDK or of ``responses.structs``. Chunks without choices are skipped.

    Yields:
        ``CompletionResponseStreamChunk``; only the one that ends the completion carries a stop
        reason.
    """
    events = CompletionEvents()
    async with closed_after(stream):
        async for chunk in stream:
            for event in events.feed(chunk):
                yield event
        for event in events.close():
            yield event
