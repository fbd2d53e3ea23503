"""Decode responses to msgspec structs, for the native API."""

from typing import Any, Generic, TypeVar

import msgspec

from ..json_types import UNREADABLE
from .content_parser import FoundCall, Remainder
from .error_bodies import reported
from .finish_reasons import OPENAI_FINISH_REASONS, openai_finish_reason
from .normalize import check_whole, read_usage
from .structs import (
    ChatChoice,
    ChatChunk,
    ChatDelta,
    CompletionChunk,
    FunctionDelta,
    ToolCallDelta,
)
from .tolerant_json import decode_tolerantly

Chunk = TypeVar("Chunk", ChatChunk, CompletionChunk)


class StructCodec(Generic[Chunk]):
    """Decodes chat or text completions to their structs. It holds nothing of a response."""

    places_usage = False
    build = None
    make_ending = None  # what reads the structs settles the reason
    check_end = None  # tool calls are checked where they are assembled

    def __init__(self, kind: type[Chunk]) -> None:
        # Not strict: "5" passes for 5, which some servers send.
        self._decoder: Any = msgspec.json.Decoder(kind, strict=False)
        self._chat = kind is ChatChunk

    def decode_chunk(self, data: bytes) -> Chunk:
        """Decode one event of a stream.

        Raises:
            NIMError: The NIM reports an error in place of a chunk.
            ServerError: It is not what the NIM's API defines, or has neither choices nor usage.
        """
        try:
            chunk: Chunk = self._decoder.decode(data)
        except UNREADABLE as error:
            chunk = decode_tolerantly(self._decoder.decode, data, error)
        if chunk.error:
            raise reported(data, "choices")
        if chunk.usage is not None:
            chunk.usage = read_usage(chunk.usage)
        if chunk.choices is None and chunk.usage is None:
            raise reported(data, "choices")
        for choice in chunk.choices or ():
            reason = choice.finish_reason
            if reason and reason not in OPENAI_FINISH_REASONS:
                choice.finish_reason = openai_finish_reason(reason, chat=self._chat)
        return chunk

    def decode_response(self, data: bytes, choices: int) -> Chunk:
        """Decode a whole response.

        Args:
            data: Its body.
            choices: How many were asked for.

        Raises:
            NIMError: As above; also for choices that are missing, empty or unasked for.
        """
        response = self.decode_chunk(data)
        check_whole(response.choices or (), choices)
        return response

    def make_call(self, call: FoundCall, *, streamed: bool) -> ToolCallDelta:
        """Make an element of ``tool_calls``, which is the same in a delta and in a message."""
        function = FunctionDelta(name=call.name, arguments=call.arguments)
        return ToolCallDelta(index=call.index, id=call.id, function=function)

    def make_chunk(self, like: Any, remainder: Remainder) -> ChatChunk:
        """Return the chunk of what was held back to the end of a stream."""
        delta = ChatDelta(
            content=remainder.text or None,
            reasoning_content=remainder.reasoning or None,
            tool_calls=[self.make_call(call, streamed=True) for call in remainder.calls] or None,
        )
        return ChatChunk(choices=[ChatChoice(index=remainder.index, delta=delta)])


CHAT = StructCodec(ChatChunk)
COMPLETION = StructCodec(CompletionChunk)
