"""The chunks of an OpenAI-style stream: first as dicts, then as the openai SDK's classes.

As dicts they can be joined (``nim.coalesce``), which is cheaper than making the SDK's objects.
"""

from typing import Any, Generic

from openai.types.chat import ChatCompletionChunk

from . import errors
from .sdk import Answer, completed, decode_object, validated
from .toolcalls import AssembledCall, ToolCallAssembler
from .wire import FunctionDelta, ToolCallDelta


class ChunkReader(Generic[Answer]):
    """Reads the chunks of one stream."""

    def __init__(self, kind: type[Answer], model: str, spare: str) -> None:
        """Nothing has arrived yet.

        Args:
            kind: The SDK's class of the chunks.
            model: The model's name as the caller knows it.
            spare: The id of a stream without one.
        """
        self._kind = kind
        self._model = model
        self._spare = spare
        self._calls: dict[int, _Numbers] = {}

    def decode(self, data: bytes) -> dict[str, Any]:
        """Decode one event, and fill in what a NIM leaves out and readers take for granted.

        Raises:
            NIMError: The NIM reports an error.
            ServerError: It is not what the NIM's API defines.
        """
        body = decode_object(data)
        try:
            completed(body, self._kind, self._model, self._spare)
            if self._kind is ChatCompletionChunk:
                for choice in body["choices"]:
                    for call in choice["delta"].get("tool_calls") or ():
                        self._number(choice["index"], call)
        except (AttributeError, TypeError, KeyError):
            raise errors.ServerError(f"The NIM's answer has no such form: {data[:80]!r}.") from None
        return body

    def build(self, body: dict[str, Any]) -> Answer:
        """Make the SDK's object of a decoded chunk."""
        return validated(body, self._kind)

    def _number(self, choice: int, call: dict[str, Any]) -> None:
        numbers = self._calls.get(choice)
        if numbers is None:
            numbers = self._calls[choice] = _Numbers()
        number = numbers.of(call)
        if call.get("index") is None:
            call["index"] = number


class _Numbers:
    """Numbers the tool calls of one choice, for servers that leave out their indexes.

    Which fragments are of one call, the assembler knows.
    """

    def __init__(self) -> None:
        self._assembler = ToolCallAssembler()
        self._calls: list[AssembledCall] = []

    def of(self, fragment: dict[str, Any]) -> int:
        function = fragment.get("function") or {}
        call, is_new, _ = self._assembler.feed(
            ToolCallDelta(
                index=fragment.get("index"),
                id=fragment.get("id"),
                function=FunctionDelta(
                    name=function.get("name"), arguments=function.get("arguments")
                ),
            )
        )
        if is_new:
            self._calls.append(call)
        return next(n for n, known in enumerate(self._calls) if known is call)
