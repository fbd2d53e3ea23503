"""Assemble tool calls from the fragments of a stream, or from a whole message."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from ..errors import malformed

MAX_CALLS = 1024
"""Of one answer."""

MAX_ARGUMENTS = 16 * 1024 * 1024
"""Characters of the arguments of all calls of one answer."""

_decoder = msgspec.json.Decoder()


@dataclass
class AssembledCall:
    """One tool call, as far as it has arrived.

    Attributes:
        index: Its place among the calls as the server gave it, None where it gave none.
        id: The server's id; made up by ``finish`` where there was none.
        name: Name of the tool.
        cut: The answer ended for want of tokens before any of its arguments had come.
    """

    index: int | None = None
    id: str = ""
    name: str = ""
    cut: bool = False
    _pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The arguments exactly as the server wrote them."""
        return "".join(self._pieces)

    @property
    def has_arguments(self) -> bool:
        """True if any of the arguments has arrived."""
        return bool(self._pieces)

    def add(self, piece: str) -> None:
        """Append a fragment of the arguments."""
        if piece:
            self._pieces.append(piece)

    @property
    def arguments_json(self) -> str:
        """JSON text of the arguments, ``{}`` for a call without any.

        Servers before NIM 1.10 send an empty string for a tool without arguments, and vLLM's
        parsers pass on the null that some models write.
        """
        text = self.text.strip()
        return "{}" if text in ("", "null") else text

    @property
    def arguments(self) -> dict[str, Any] | None:
        """The arguments decoded, or None if they are not a JSON object.

        A JSON string that holds an object counts as the object: vLLM before 0.18 encodes
        arguments twice for some schemas.
        """
        value = None if self.cut else _decoded(self.arguments_json)
        if isinstance(value, str):
            value = _decoded(value)
        return value if isinstance(value, dict) else None


def _decoded(text: str) -> object:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


class ToolCallAssembler:
    """Assembles the tool calls of one response from whatever pieces a server sends.

    It takes whole calls, a name followed by all arguments, and fragments; several calls at
    once; indexes or ids that are missing, null or repeated; names that come with every
    fragment; arguments that are empty, null or already decoded.
    """

    def __init__(self, *, whole: bool = False) -> None:
        """Initialize for one response.

        Args:
            whole: It is not streamed: every element is a call of its own, whatever ids and
                indexes it has.
        """
        self._whole = whole
        self._calls: list[AssembledCall] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def is_cut(self) -> bool:
        """Return whether the arguments of the last call break off in the middle."""
        if not self._calls or not self._calls[-1].has_arguments:
            return False
        try:
            _decoder.decode(self._calls[-1].text)
        except msgspec.DecodeError as error:
            return "truncated" in str(error)
        except (RecursionError, UnicodeEncodeError):
            return False
        return False

    def feed(self, fragment: Any) -> tuple[AssembledCall, bool, str]:
        """Take one element of a delta's, or a message's, ``tool_calls``.

        Args:
            fragment: Any object with ``index``, ``id`` and ``function``.

        Returns:
            The call the fragment belongs to, whether it is a new one, and the piece of the
            arguments that it brought (may be empty).

        Raises:
            ServerError: There are more than ``MAX_CALLS``, or their arguments are longer than
                ``MAX_ARGUMENTS``.
        """
        index = getattr(fragment, "index", None)
        call_id = getattr(fragment, "id", None) or ""
        function = getattr(fragment, "function", None)
        name = getattr(function, "name", None) or ""
        piece = _as_text(getattr(function, "arguments", None))

        call = self._find(index, call_id, name, piece)
        is_new = call is None
        self._count(len(piece) + len(name))
        if call is None:
            if len(self._calls) == MAX_CALLS:
                raise malformed(f"The NIM sent more than {MAX_CALLS} tool calls.")
            call = AssembledCall(index=index)
            self._calls.append(call)
        call.id = call.id or call_id
        if name and name != call.name and not call.has_arguments:
            call.name += name
        call.add(piece)
        return call, is_new, piece

    def extend(self, call: AssembledCall, piece: str) -> None:
        """Take the next piece of the arguments of a call that is known to be meant.

        Raises:
            ServerError: The arguments are longer than ``MAX_ARGUMENTS``.
        """
        self._count(len(piece))
        call.add(piece)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_ARGUMENTS:
            raise malformed(f"The NIM sent arguments of more than {MAX_ARGUMENTS} characters.")

    def finish(self, *, out_of_tokens: bool = False) -> list[AssembledCall]:
        """Return all calls in the order of an unstreamed response, each with an id.

        Args:
            out_of_tokens: The answer was cut. vLLM has then sent a name and no arguments, which
                is not the same as a call without arguments.

        Raises:
            ServerError: A call has no name. Nobody could carry it out.
        """
        if not all(call.name for call in self._calls):
            raise malformed("The NIM sent a tool call without a name.")
        if out_of_tokens and self._calls and not self._calls[-1].has_arguments:
            self._calls[-1].cut = True
        for call in self._calls:
            call.id = call.id or f"call_{uuid.uuid4().hex}"
        if all(call.index is not None for call in self._calls):
            return sorted(self._calls, key=lambda call: call.index or 0)
        return list(self._calls)

    def _find(self, index: int | None, call_id: str, name: str, piece: str) -> AssembledCall | None:
        if self._whole:
            return None
        if index is not None:
            of_index = [call for call in self._calls if call.index == index]
            # Servers that give every call the index 0 tell them apart by their ids.
            found = _last(c for c in of_index if call_id and c.id == call_id) or _last(of_index)
        elif call_id:
            found = _last(call for call in self._calls if call.id == call_id)
            if found is None and self._calls and not self._calls[-1].id and not name:
                found = self._calls[-1]
        else:
            found = _last(self._calls)
        if found is None or not name:
            return found
        # A second name begins another call, unless it is the same call's name sent again.
        other_id = bool(call_id and found.id and call_id != found.id)
        other_name = name != found.name and found.has_arguments
        whole_again = (
            not call_id
            and found.has_arguments
            # With an index, a name may come again beside an empty piece.
            and piece.lstrip()[:1] in (("{", "") if index is None else ("{",))
            and found.arguments is not None
        )
        return None if other_id or other_name or whole_again else found


class FragmentHead(NamedTuple):
    """The parts of a tool call's fragment beside a piece of its arguments.

    Attributes:
        number: The index of its call.
        id: The call's id in its first fragment, else None.
        name: The piece of the name that is new, else None.
    """

    number: int
    id: str | None
    name: str | None


class ToolCallNumberer:
    """Numbers and identifies the streamed tool calls of one choice, for servers that do not.

    Readers put calls together by their indexes, and join the ids and names of all fragments. Which
    fragments are of one call, the assembler knows.
    """

    def __init__(self) -> None:
        self._assembler = ToolCallAssembler()
        # By identity: the assembler keeps the calls. The index, and how much of the name was sent.
        self._known: dict[int, tuple[int, int]] = {}
        self._used: set[int] = set()
        # By the server's index, where that is all it takes to tell a call.
        self._by_index: dict[int, AssembledCall] = {}

    def continues(self, call: Any) -> bool:
        """Take a decoded fragment if it is a piece of a known call's arguments; return whether."""
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
        self._assembler.extend(known, piece)
        return True

    def feed(self, fragment: Any) -> FragmentHead:
        """Take a fragment as a struct, and return what is to go out with its arguments."""
        assembled, is_new, _ = self._assembler.feed(fragment)
        call_id = None
        if is_new:
            call_id = fragment.id or f"call_{uuid.uuid4().hex}"
            number = self._free(fragment.index)
            self._known[id(assembled)] = (number, 0)
            if number == fragment.index:
                self._by_index[number] = assembled
            elif fragment.index is not None:
                self._by_index.pop(fragment.index, None)
        number, sent = self._known[id(assembled)]
        self._known[id(assembled)] = (number, len(assembled.name))
        return FragmentHead(number, call_id, assembled.name[sent:] or None)

    def _free(self, index: int | None) -> int:
        """Return a new call's index: the server's own, unless another call has it."""
        if index is None or index < 0 or index in self._used:
            index = max(self._used, default=-1) + 1
        self._used.add(index)
        return index

    @property
    def is_cut(self) -> bool:
        """Return whether the arguments of the last call break off in the middle."""
        return self._assembler.is_cut

    def check_end(self) -> None:
        """Check the calls when all have arrived.

        Raises:
            ServerError: One has no name.
        """
        self._assembler.finish()


def _last(calls: Iterable[AssembledCall]) -> AssembledCall | None:
    found = None
    for found in calls:  # noqa: B007 (the last one is wanted)
        pass
    return found


def _as_text(arguments: object) -> str:
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments).decode()
