"""Convert chat completions to native types: one reader for streams and whole responses."""

import contextlib
import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from typing import Any

from .. import stack
from ..nim.responses.finish_reasons import openai_finish_reason
from ..nim.responses.normalize import reasoning_of
from ..nim.responses.reasoning_parser import Mode, NativeText
from ..nim.responses.tool_call_assembler import AssembledCall, ToolCallAssembler
from .logprobs import chat_logprobs

# Values of ``ChatCompletionResponseEventType``.
_START = "start"
_PROGRESS = "progress"
_COMPLETE = "complete"

_STOP_REASONS = {
    "stop": "end_of_turn",
    "length": "out_of_tokens",
    "tool_calls": "end_of_message",
    "function_call": "end_of_message",
    "content_filter": "end_of_turn",
}


def stop_reason(finish_reason: str | None) -> Any:
    """Convert a finish reason; None (the model is still writing) stays None.

    Raises:
        ServerError: The engine gave up; see ``nim.responses.finish_reasons``.
    """
    if not finish_reason:
        return None
    if finish_reason not in _STOP_REASONS:
        finish_reason = openai_finish_reason(finish_reason)
    return stack.StopReason(_STOP_REASONS[finish_reason])


class ChatReader:
    """Reads one response, choice by choice as they arrive, into native deltas.

    Attributes:
        stop_reason: Why the model stopped, None until it has.
    """

    def __init__(self, *, whole: bool = False, reasoning: Mode = "drop") -> None:
        """Initialize for one response.

        Args:
            whole: It is not streamed.
            reasoning: What becomes of the model's reasoning.
        """
        self.stop_reason: Any = None
        self._whole = whole
        self._calls: ToolCallAssembler | None = None
        self._mode = reasoning
        # Made with the first reasoning: without any, all content is text.
        self._text: NativeText | None = None
        self._was_answer = False

    def feed(self, choice: Any, written: Any) -> Iterator[tuple[Any, list[Any] | None]]:
        """Take a choice and what was written in it: its delta or its message.

        Yields:
            Each delta with the log probabilities that belong to it.
        """
        given = getattr(choice, "logprobs", None)
        logprobs = chat_logprobs(given) if given is not None else None
        if written is not None:
            text = written.content
            reasoning = reasoning_of(written)
            if reasoning and self._text is None:
                self._text = NativeText(self._mode)
            if self._text is not None:
                text = self._text.feed(reasoning or "", text or "")
            if text:
                yield stack.TextDelta(text=text), logprobs
                logprobs = None
            for fragment in getattr(written, "tool_calls", None) or ():
                for delta in self._call_deltas(fragment):
                    yield delta, logprobs
                    logprobs = None
        if logprobs:  # tokens without text, such as part of a character
            yield stack.TextDelta(text=""), logprobs
        self.stop_reason = stop_reason(choice.finish_reason) or self.stop_reason
        self._was_answer = self._was_answer or getattr(choice, "reasoning_was_answer", False)

    def last_text(self) -> str:
        """Return the text that only the end of the response brings, such as a closing tag."""
        return self._text.close(was_answer=self._was_answer) if self._text else ""

    def _call_deltas(self, fragment: Any) -> Iterator[Any]:
        if self._calls is None:
            self._calls = ToolCallAssembler(whole=self._whole)
        _, is_new, piece = self._calls.feed(fragment)
        if is_new:
            yield stack.ToolCallDelta(tool_call="", parse_status=stack.ToolCallParseStatus.started)
        if piece:
            yield stack.ToolCallDelta(
                tool_call=piece, parse_status=stack.ToolCallParseStatus.in_progress
            )

    def finish(self) -> list[AssembledCall]:
        """End the response: settle the stop reason, and return the tool calls.

        A response that ends without a reason ends the turn, and so does one that says it called
        tools and did not. One that says ``stop`` although it called tools (a named tool choice in
        vLLM, some hosted models) waits for their results. One whose last call breaks off was out
        of tokens, also if it says ``tool_calls``.
        """
        if self._calls is None:
            if self.stop_reason in (None, stack.StopReason.end_of_message):
                self.stop_reason = stack.StopReason.end_of_turn
            return []
        if self._calls.is_cut and self.stop_reason == stack.StopReason.end_of_message:
            self.stop_reason = stack.StopReason.out_of_tokens
        if self.stop_reason in (None, stack.StopReason.end_of_turn):
            self.stop_reason = stack.StopReason.end_of_message
        return self._calls.finish(out_of_tokens=self.stop_reason == stack.StopReason.out_of_tokens)


def parsed_delta(call: AssembledCall) -> Any:
    """Return the last delta of a tool call: the call itself, or its text if it cannot be read."""
    if call.name and call.arguments is not None:
        return stack.ToolCallDelta(
            tool_call=parsed_call(call), parse_status=stack.ToolCallParseStatus.succeeded
        )
    raw = f"{call.name}({call.text})" if call.name else call.text
    return stack.ToolCallDelta(tool_call=raw, parse_status=stack.ToolCallParseStatus.failed)


def parsed_call(call: AssembledCall) -> Any:
    """Return the native tool call; arguments that are not a JSON object stay text."""
    arguments = call.arguments
    if arguments is None:
        return stack.ToolCall(
            call_id=call.id, tool_name=call.name, arguments=call.text, arguments_json=call.text
        )
    text = (
        json.dumps(arguments, ensure_ascii=False) if _doubly_encoded(call) else call.arguments_json
    )
    return stack.ToolCall(
        call_id=call.id,
        tool_name=call.name,
        arguments=arguments if _fits_protocol(arguments) else text,
        arguments_json=text,
    )


def _doubly_encoded(call: AssembledCall) -> bool:
    return call.arguments_json.startswith('"')


def _fits_protocol(arguments: dict[str, Any]) -> bool:
    """Return whether the protocol's type for decoded arguments can hold them.

    It nests no deeper than a list or an object of plain values; a deeper one travels as JSON
    text, which the protocol allows too.
    """
    return all(
        all(not isinstance(inner, list | dict) for inner in _inner_values(value))
        for value in arguments.values()
    )


def _inner_values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def convert_openai_chat_completion_choice(choice: Any, *, reasoning: Mode = "drop") -> Any:
    """Convert a whole response.

    Args:
        choice: A choice of a chat completion: the SDK's, or ``nim.responses.structs.ChatChoice``.
        reasoning: What becomes of the model's reasoning; see ``reasoning_parser.NativeText``.

    Returns:
        A ``ChatCompletionResponse`` with all tool calls, their arguments decoded. Arguments
        that are not a JSON object are kept as text.
    """
    reader = ChatReader(whole=True, reasoning=reasoning)
    texts = []
    logprobs: list[Any] = []
    for delta, of_delta in reader.feed(choice, choice.message):
        if isinstance(delta, stack.TextDelta):
            texts.append(delta.text)
        logprobs += of_delta or ()
    texts.append(reader.last_text())
    calls = [parsed_call(call) for call in reader.finish()]
    return stack.ChatCompletionResponse(
        completion_message=stack.CompletionMessage(
            content="".join(texts), stop_reason=reader.stop_reason, tool_calls=calls
        ),
        logprobs=logprobs or None,
    )


class ChatEvents:
    """Makes the native events of a stream, as a stage of ``nim.completions``."""

    def __init__(self, *, reasoning: Mode = "drop") -> None:
        """Initialize for one stream.

        Args:
            reasoning: What becomes of the model's reasoning.
        """
        self._reader = ChatReader(reasoning=reasoning)

    @staticmethod
    def opening() -> list[Any]:
        """Return the events that come before the first chunk."""
        return [_event(_START, stack.TextDelta(text=""))]

    def feed(self, chunk: Any) -> list[Any]:
        """Return the events of a chunk, in its first choice."""
        return [
            _event(_PROGRESS, delta, logprobs)
            for choice in chunk.choices or ()
            if not choice.index
            for delta, logprobs in self._reader.feed(choice, _written(choice))
        ]

    def close(self) -> list[Any]:
        """Return the events that end the stream."""
        reader, events = self._reader, []
        if text := reader.last_text():
            events.append(_event(_PROGRESS, stack.TextDelta(text=text)))
        deltas = [parsed_delta(call) for call in reader.finish()]
        reason = reader.stop_reason
        events += [_event(_PROGRESS, delta, None, reason) for delta in deltas]
        return [*events, _event(_COMPLETE, stack.TextDelta(text=""), None, reason)]


async def convert_openai_chat_completion_stream(
    stream: AsyncIterable[Any], *, reasoning: Mode = "drop"
) -> AsyncGenerator[Any, None]:
    """Convert a stream of chat completion chunks to the native stream.

    It begins with a ``start`` event, goes on with ``progress`` events and ends with one
    ``complete`` event, which carries the stop reason. A tool call is announced as ``started``,
    its arguments follow as ``in_progress`` text, and at the end of the response each call comes
    whole: ``succeeded``, or ``failed`` with its text if the arguments are not a JSON object.

    Args:
        stream: Chunks of the SDK or of ``responses.structs``. Chunks without choices are skipped,
            and choices beyond the first of ``n`` are not part of a native response.
        reasoning: What becomes of the model's reasoning; see ``reasoning_parser.NativeText``.

    Yields:
        ``ChatCompletionResponseStreamChunk``.
    """
    events = ChatEvents(reasoning=reasoning)
    async with closed_after(stream):
        for event in events.opening():
            yield event
        async for chunk in stream:
            for event in events.feed(chunk):
                yield event
        for event in events.close():
            yield event


def _written(choice: Any) -> Any:
    """Return what a chunk brings: a server may send a whole response to a streamed request."""
    return choice.delta if choice.delta is not None else getattr(choice, "message", None)


@contextlib.asynccontextmanager
async def closed_after(stream: Any) -> AsyncIterator[None]:
    """Close a stream at the end of a block: its generator, or the SDK's response behind it."""
    try:
        yield
    finally:
        closing = getattr(stream, "aclose", None) or getattr(stream, "close", None)
        if closing is not None:
            closed = closing()
            if inspect.isawaitable(closed):
                await closed


def _event(kind: Any, delta: Any, logprobs: list[Any] | None = None, reason: Any = None) -> Any:
    return stack.ChatCompletionResponseStreamChunk(
        event=stack.ChatCompletionResponseEvent(
            event_type=kind, delta=delta, logprobs=logprobs, stop_reason=reason
        )
    )
