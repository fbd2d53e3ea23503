"""Chat answers to native types: one reader for streams and for whole answers."""

import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any

from ..nim.answers.reasoning import Mode, NativeText, reasoning_of
from ..nim.answers.toolcalls import AssembledCall, ToolCallAssembler
from ..stack import (
    ChatCompletionResponse,
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    ChatCompletionResponseStreamChunk,
    CompletionMessage,
    StopReason,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallParseStatus,
)
from .logprobs import chat_logprobs

_START = ChatCompletionResponseEventType.start
_PROGRESS = ChatCompletionResponseEventType.progress
_COMPLETE = ChatCompletionResponseEventType.complete

_STOP_REASONS = {
    "stop": StopReason.end_of_turn,
    "length": StopReason.out_of_tokens,
    "tool_calls": StopReason.end_of_message,
    "function_call": StopReason.end_of_message,
    "content_filter": StopReason.end_of_turn,
}


def stop_reason(finish_reason: str | None) -> Any:
    """Convert a finish reason; None (the model is still writing) stays None."""
    if not finish_reason:
        return None
    return _STOP_REASONS.get(finish_reason, StopReason.end_of_turn)


class ChatReader:
    """Reads one answer, choice by choice as they arrive, into native deltas.

    Attributes:
        stop_reason: Why the model stopped, None until it has.
    """

    def __init__(self, *, whole: bool = False, reasoning: Mode = "drop") -> None:
        """Nothing has been read yet.

        Args:
            whole: The answer is not streamed.
            reasoning: What becomes of the model's thinking.
        """
        self.stop_reason: Any = None
        self._calls = ToolCallAssembler(whole=whole)
        self._text = NativeText(reasoning)
        self._thought = False
        self._was_answer = False

    def feed(self, choice: Any, written: Any) -> Iterator[tuple[Any, list[Any] | None]]:
        """Take a choice and what was written in it: its delta or its message.

        Yields:
            Each delta with the log probabilities that belong to it.
        """
        logprobs = chat_logprobs(getattr(choice, "logprobs", None))
        if written is not None:
            text = written.content
            thinking = reasoning_of(written)
            if thinking or self._thought:
                self._thought = True
                text = self._text.feed(thinking or "", text or "")
            if text:
                yield TextDelta(text=text), logprobs
                logprobs = None
            for fragment in getattr(written, "tool_calls", None) or ():
                for delta in self._call_deltas(fragment):
                    yield delta, logprobs
                    logprobs = None
        if logprobs:  # tokens without text, such as part of a character
            yield TextDelta(text=""), logprobs
        self.stop_reason = stop_reason(choice.finish_reason) or self.stop_reason
        self._was_answer = self._was_answer or getattr(choice, "thinking_was_answer", False)

    def last_text(self) -> str:
        """The text that only the end of the answer brings: a block of thinking is closed."""
        return self._text.close(was_answer=self._was_answer) if self._thought else ""

    def _call_deltas(self, fragment: Any) -> Iterator[Any]:
        _, is_new, piece = self._calls.feed(fragment)
        if is_new:
            yield ToolCallDelta(tool_call="", parse_status=ToolCallParseStatus.started)
        if piece:
            yield ToolCallDelta(tool_call=piece, parse_status=ToolCallParseStatus.in_progress)

    def finish(self) -> list[AssembledCall]:
        """End the answer: settle the stop reason, and give the tool calls.

        An answer that ends without a reason ends the turn. One that says ``stop`` although it
        called tools (a named tool choice in vLLM, some hosted models) waits for their results.
        """
        if self._calls and self.stop_reason in (None, StopReason.end_of_turn):
            self.stop_reason = StopReason.end_of_message
        elif self.stop_reason is None:
            self.stop_reason = StopReason.end_of_turn
        return self._calls.finish(out_of_tokens=self.stop_reason == StopReason.out_of_tokens)


def parsed_delta(call: AssembledCall) -> Any:
    """The last delta of a tool call: the call itself, or its text if it cannot be read."""
    if call.name and call.arguments is not None:
        return ToolCallDelta(
            tool_call=parsed_call(call), parse_status=ToolCallParseStatus.succeeded
        )
    raw = f"{call.name}({call.text})" if call.name else call.text
    return ToolCallDelta(tool_call=raw, parse_status=ToolCallParseStatus.failed)


def parsed_call(call: AssembledCall) -> Any:
    """Make the native tool call; arguments that are not a JSON object stay text."""
    arguments = call.arguments
    if arguments is None:
        return ToolCall(
            call_id=call.id, tool_name=call.name, arguments=call.text, arguments_json=call.text
        )
    text = (
        json.dumps(arguments, ensure_ascii=False) if _doubly_encoded(call) else call.arguments_json
    )
    return ToolCall(
        call_id=call.id,
        tool_name=call.name,
        arguments=arguments if _fits_protocol(arguments) else text,
        arguments_json=text,
    )


def _doubly_encoded(call: AssembledCall) -> bool:
    return call.arguments_json.startswith('"')


def _fits_protocol(arguments: dict[str, Any]) -> bool:
    """Tell whether the protocol's type for decoded arguments can hold them.

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
    """Convert a whole answer.

    Args:
        choice: A choice of a chat completion: the SDK's, or ``nim.answers.wire.ChatChoice``.
        reasoning: What becomes of the model's thinking; see ``nim.answers.reasoning.NativeText``.

    Returns:
        A ``ChatCompletionResponse`` with all tool calls, their arguments decoded. Arguments
        that are not a JSON object are kept as text.
    """
    reader = ChatReader(whole=True, reasoning=reasoning)
    texts = []
    logprobs: list[Any] = []
    for delta, of_delta in reader.feed(choice, choice.message):
        if isinstance(delta, TextDelta):
            texts.append(delta.text)
        logprobs += of_delta or ()
    texts.append(reader.last_text())
    calls = [parsed_call(call) for call in reader.finish()]
    return ChatCompletionResponse(
        completion_message=CompletionMessage(
            content="".join(texts), stop_reason=reader.stop_reason, tool_calls=calls
        ),
        logprobs=logprobs or None,
    )


async def convert_openai_chat_completion_stream(
    stream: AsyncIterable[Any], *, reasoning: Mode = "drop"
) -> AsyncGenerator[Any, None]:
    """Convert a stream of chat completion chunks to the native stream.

    It begins with a ``start`` event, goes on with ``progress`` events and ends with one
    ``complete`` event, which carries the stop reason. A tool call is announced as ``started``,
    its arguments follow as ``in_progress`` text, and at the end of the answer each call comes
    whole: ``succeeded``, or ``failed`` with its text if the arguments are not a JSON object.

    Args:
        stream: Chunks of the SDK or of ``nim.answers.wire``. Chunks without choices are skipped,
            and choices beyond the first of ``n`` are not part of a native answer.
        reasoning: What becomes of the model's thinking; see ``nim.answers.reasoning.NativeText``.

    Yields:
        ``ChatCompletionResponseStreamChunk``.
    """
    reader = ChatReader(reasoning=reasoning)
    try:
        yield _event(_START, TextDelta(text=""))
        async for chunk in stream:
            for choice in chunk.choices or ():
                if choice.index:
                    continue
                for delta, logprobs in reader.feed(choice, _written(choice)):
                    yield _event(_PROGRESS, delta, logprobs)
        if text := reader.last_text():
            yield _event(_PROGRESS, TextDelta(text=text))
        for call in reader.finish():
            yield _event(_PROGRESS, parsed_delta(call), None, reader.stop_reason)
        yield _event(_COMPLETE, TextDelta(text=""), None, reader.stop_reason)
    finally:
        await close(stream)


def _written(choice: Any) -> Any:
    """What a chunk brings: a server may answer a streamed request with a whole answer."""
    return choice.delta if choice.delta is not None else getattr(choice, "message", None)


async def close(stream: Any) -> None:
    """Close a stream now: its generator, or the SDK's response behind it."""
    closing = getattr(stream, "aclose", None) or getattr(stream, "close", None)
    if closing is not None:
        closed = closing()
        if inspect.isawaitable(closed):
            await closed


def _event(kind: Any, delta: Any, logprobs: list[Any] | None = None, reason: Any = None) -> Any:
    return ChatCompletionResponseStreamChunk(
        event=ChatCompletionResponseEvent(
            event_type=kind, delta=delta, logprobs=logprobs, stop_reason=reason
        )
    )
