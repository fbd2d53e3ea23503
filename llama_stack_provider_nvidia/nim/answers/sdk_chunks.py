"""The chunks of an OpenAI-style stream: first as dicts, then as the openai SDK's classes.

As dicts they can be joined (``coalesce``), which is cheaper than making the SDK's objects.
"""

import uuid
from typing import Any, Generic

from openai.types.chat import ChatCompletionChunk

from .sdk import Answer, complete_call, complete_choice, decode_object, validated, with_head
from .shape import is_plain, read_choices
from .toolcalls import AssembledCall, ToolCallAssembler
from .wire import ChatChoice, ChatDelta, ToolCallDelta


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
        body = with_head(decode_object(data), self._kind, self._model, self._spare)
        choices = body["choices"]
        if not is_plain(choices) and not self._goes_on(choices):
            self._complete(choices)
        return body

    def _goes_on(self, choices: Any) -> bool:
        """Take, in little time, what most chunks of tool calls are: a piece of one's arguments."""
        if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
            return False
        choice = choices[0]
        delta, index = choice.get("delta"), choice.get("index")
        if (
            type(delta) is not dict
            or type(index) is not int
            or choice.get("finish_reason") is not None
            or choice.get("logprobs") is not None
        ):
            return False
        for name, value in delta.items():
            if value is not None and type(value) is not str and name != "tool_calls":
                return False
        calls, numbers = delta.get("tool_calls"), self._calls.get(index)
        if type(calls) is not list or len(calls) != 1 or numbers is None:
            return False
        return numbers.goes_on(calls[0])

    def _complete(self, choices: Any) -> None:
        if self._kind is ChatCompletionChunk and isinstance(choices, list):
            for choice in choices:
                # A server may answer a streamed request with a whole answer.
                if isinstance(choice, dict) and choice.get("delta") is None:
                    choice["delta"] = choice.pop("message", None)
        read = read_choices(choices, chat=self._kind is ChatCompletionChunk)
        for place, (choice, known) in enumerate(zip(choices, read, strict=True)):
            if known.index is None:
                known.index = place
            complete_choice(choice, known)
            if isinstance(known, ChatChoice) and known.delta is not None:
                self._complete_delta(choice, known.index, known.delta)

    def _complete_delta(self, choice: dict[str, Any], index: int, known: ChatDelta) -> None:
        delta = choice["delta"]
        if not isinstance(delta.get("role") or "", str):
            delta["role"] = "assistant"
        if not known.tool_calls:
            delta.pop("tool_calls", None)
            return
        numbers = self._calls.get(index)
        if numbers is None:
            numbers = self._calls[index] = _Numbers()
        for call, fragment in zip(delta["tool_calls"], known.tool_calls, strict=True):
            numbers.complete(call, fragment)

    def check_end(self) -> None:
        """Look at the answer when it has ended.

        Raises:
            ServerError: A tool call has no name.
        """
        for numbers in self._calls.values():
            numbers.check_end()

    def build(self, body: dict[str, Any]) -> Answer:
        """Make the SDK's object of a decoded chunk."""
        return validated(body, self._kind)


class _Numbers:
    """Numbers and identifies the tool calls of one choice, for servers that do not.

    Readers put calls together by their indexes. Which fragments are of one call, the assembler
    knows.
    """

    def __init__(self) -> None:
        self._assembler = ToolCallAssembler()
        # By identity: the assembler keeps the calls.
        self._known: dict[int, tuple[int, str | None]] = {}
        self._used: set[int] = set()
        # By the server's index, where that is all it takes to tell a call.
        self._by_index: dict[int, AssembledCall] = {}

    def goes_on(self, call: Any) -> bool:
        """Take a piece of the arguments of a call that has begun, or leave it and tell so."""
        if type(call) is not dict or call.get("id") is not None:
            return False
        index, function = call.get("index"), call.get("function")
        if type(index) is not int or type(function) is not dict:
            return False
        piece, kind = function.get("arguments"), call.get("type")
        known = self._by_index.get(index)
        if known is None or type(piece) is not str or function.get("name") is not None:
            return False
        if kind is not None and kind != "function":
            return False
        self._assembler.go_on(known, piece)
        return True

    def complete(self, call: dict[str, Any], fragment: ToolCallDelta) -> None:
        """Complete a fragment.

        Args:
            call: As it was decoded.
            fragment: The same, as a struct.
        """
        assembled, is_new, _ = self._assembler.feed(fragment)
        if is_new:
            made = None if fragment.id else f"call_{uuid.uuid4().hex}"
            number = self._free(fragment.index)
            self._known[id(assembled)] = (number, made)
            if number == fragment.index:
                self._by_index[number] = assembled
            elif fragment.index is not None:
                self._by_index.pop(fragment.index, None)
        number, made = self._known[id(assembled)]
        call["index"] = number
        if made and (is_new or fragment.id):
            call["id"] = made
        complete_call(call)

    def _free(self, index: int | None) -> int:
        """Give a new call's index: the server's own, unless another call has it."""
        if index is None or index < 0 or index in self._used:
            index = max(self._used, default=-1) + 1
        self._used.add(index)
        return index

    def check_end(self) -> None:
        """Look at the calls when all have arrived.

        Raises:
            ServerError: One has no name.
        """
        self._assembler.finish()
