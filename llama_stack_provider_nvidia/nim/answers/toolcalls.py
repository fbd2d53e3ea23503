"""The one assembler of tool calls, streamed or whole."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
        """Whether any of the arguments has arrived."""
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
    """Puts the tool calls of one answer together from whatever pieces a server sends.

    It takes whole calls, a name followed by all arguments, and fragments; several calls at
    once; indexes or ids that are missing, null or repeated; names that come with every
    fragment; arguments that are empty, null or already decoded.
    """

    def __init__(self, *, whole: bool = False) -> None:
        """Nothing has arrived yet.

        Args:
            whole: The answer is not streamed: every element is a call of its own, whatever
                ids and indexes it has.
        """
        self._whole = whole
        self._calls: list[AssembledCall] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

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

    def go_on(self, call: AssembledCall, piece: str) -> None:
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
        """Give all calls in the order of an unstreamed answer, each with an id.

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
            and index is None
            and found.has_arguments
            and piece.lstrip()[:1] in ("{", "")
            and found.arguments is not None
        )
        return None if other_id or other_name or whole_again else found


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
