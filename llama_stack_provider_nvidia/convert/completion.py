"""Completions to native types."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from ..stack import CompletionResponse, CompletionResponseStreamChunk, StopReason
from .chat import close, stop_reason
from .logprobs import completion_logprobs


def convert_openai_completion_choice(choice: Any) -> Any:
    """Convert a whole completion.

    Args:
        choice: A choice of a completion: the SDK's, or ``nim.answers.wire.CompletionChoice``.

    Returns:
        A ``CompletionResponse``.
    """
    return CompletionResponse(
        content=choice.text or "",
        stop_reason=stop_reason(choice.finish_reason) or StopReason.end_of_turn,
        logprobs=completion_logprobs(choice.logprobs),
    )


async def convert_openai_completion_stream(
    stream: AsyncIterable[Any],
) -> AsyncGenerator[Any, None]:
    """Convert a stream of completion chunks to the native stream.

    Args:
        stream: Chunks of the SDK or of ``nim.answers.wire``. Chunks without choices are skipped.

    Yields:
        ``CompletionResponseStreamChunk``; only the one that ends the completion carries a stop
        reason.
    """
    ended = False
    try:
        async for chunk in stream:
            for choice in chunk.choices or ():
                if choice.index:
                    continue
                reason = stop_reason(choice.finish_reason)
                ended = ended or reason is not None
                yield CompletionResponseStreamChunk(
                    delta=choice.text or "",
                    stop_reason=reason,
                    logprobs=completion_logprobs(choice.logprobs),
                )
        if not ended:
            yield CompletionResponseStreamChunk(delta="", stop_reason=StopReason.end_of_turn)
    finally:
        await close(stream)
