"""Joining the chunks that have piled up while nobody read them.

A reader may be slower than the NIM: Llama Stack up to 0.2.12 sleeps 10 ms after each event. What
has arrived meanwhile becomes one chunk, with one delta per choice. Nothing is lost, moved or held
back: two chunks are joined only where the one that comes of it says the same as both.

It takes chunks as dicts, as they come off the wire, and the structs of ``nim.answers.wire``.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from .quick_joins import quick_dict, quick_struct

Chunk = TypeVar("Chunk")

MAX_BYTES = 64 * 1024
"""The most of what came off the wire that goes into one chunk; a larger chunk stays alone."""


class _Access(NamedTuple):
    """How to read and write the fields of chunks, which are dicts or structs."""

    kind: type
    get: Callable[[Any, str], Any]
    put: Callable[[Any, str, Any], None]
    names: Callable[[Any], Iterable[str]]


_DICTS = _Access(dict, dict.get, operator.setitem, dict.keys)
_STRUCTS = _Access(
    msgspec.Struct,
    lambda struct, name: getattr(struct, name, None),
    setattr,
    lambda struct: struct.__struct_fields__,
)

# The kinds of what a delta brings. Readers take them in this order, so that a delta of one kind
# and then one of another must not change places.
_KINDS = {
    "reasoning_content": "thinking",
    "reasoning": "thinking",
    "content": "text",
    "refusal": "refusal",
    "tool_calls": "calls",
}
_TEXTS = ("reasoning_content", "reasoning", "content", "refusal")
# vLLM sends the ids of a delta's tokens when asked to (``return_token_ids``).
_IDS_OF_TOKENS = "token_ids"
# Of a completion's log probabilities these have an entry per token.
_PER_TOKEN = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
_LISTS = (*_PER_TOKEN, "content", "refusal")
# The first chunk's stands for all; some servers count ``created`` on.
_NOT_COMPARED = frozenset(("created", "object", "model", "choices", "usage"))


def coalesce(chunks: Sequence[Chunk], sizes: Sequence[int]) -> list[Chunk]:
    """Join chunks that follow each other in a stream, as far as that changes nothing.

    Args:
        chunks: All dicts or all structs. They are used up: those given back are made of them.
        sizes: What each of them took on the wire, in bytes.

    Returns:
        As few as possible, in their order.
    """
    if len(chunks) < 2:
        return list(chunks)
    are_dicts = isinstance(chunks[0], dict)
    access = _DICTS if are_dicts else _STRUCTS
    quick: Callable[[Any, Any], bool] = quick_dict if are_dicts else quick_struct
    joined: list[Chunk] = []
    last: _Growing | None = None
    room = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        if last is not None and size <= room and (quick(last.chunk, chunk) or last.take(chunk)):
            room -= size
        else:
            last = _Growing(chunk, access)
            room = MAX_BYTES - size
            joined.append(chunk)
    return joined


class _Growing:
    """A chunk that others are joined to."""

    def __init__(self, chunk: Any, access: _Access) -> None:
        self.chunk = chunk
        self._access = access
        self._choices = self._by_index(chunk)

    def take(self, chunk: Any) -> bool:
        """Join the next chunk, or leave it alone and tell so."""
        choices = self._by_index(chunk)
        if self._choices is None or choices is None or not self._fits(chunk, choices):
            return False
        access, own = self._access, self._choices
        for index, choice in choices.items():
            if index not in own:
                own[index] = choice
            else:
                self._join_choice(own[index], choice)
        for name in access.names(chunk):
            value = access.get(chunk, name)
            if _is_empty(value):
                continue
            if name == "usage" or _is_empty(access.get(self.chunk, name)):
                access.put(self.chunk, name, value)
        access.put(self.chunk, "choices", list(own.values()))
        return True

    def _by_index(self, chunk: Any) -> dict[int, Any] | None:
        """The choices by their index; None if they cannot be told apart, or are whole answers."""
        get = self._access.get
        choices = get(chunk, "choices") or ()
        found = {get(choice, "index") or 0: choice for choice in choices}
        if len(found) < len(choices) or any(get(choice, "message") for choice in choices):
            return None
        return found

    def _fits(self, chunk: Any, choices: dict[int, Any]) -> bool:
        access, own = self._access, self._choices or {}
        if bool(own) != bool(choices) and (
            access.get(self.chunk, "usage") or access.get(chunk, "usage")
        ):
            return False  # readers know the chunk with the usage by its lack of choices
        for name in access.names(chunk):
            if name in _NOT_COMPARED:
                continue
            before, value = access.get(self.chunk, name), access.get(chunk, name)
            if _is_empty(before) or _is_empty(value):
                continue
            if before != value or isinstance(value, list):
                return False
        return all(
            index not in own or self._choice_fits(own[index], choice)
            for index, choice in choices.items()
        )

    # Choices

    def _choice_fits(self, choice: Any, later: Any) -> bool:
        get = self._access.get
        if get(choice, "finish_reason"):
            return False  # it has ended
        for name in self._access.names(later):
            if name in ("index", "finish_reason"):
                continue
            before, value = get(choice, name), get(later, name)
            if _is_empty(before) or _is_empty(value):
                continue
            if name == "delta":
                fits = self._delta_fits(before, value)
            elif name == "logprobs":
                fits = self._logprobs_fit(before, value)
            elif name == "text":
                fits = isinstance(before, str) and isinstance(value, str)
            elif name == _IDS_OF_TOKENS:
                fits = isinstance(before, list) and isinstance(value, list)
            else:
                fits = False  # who knows whether it goes on or says it again
            if not fits:
                return False
        return True

    def _join_choice(self, choice: Any, later: Any) -> None:
        _, get, put, names = self._access
        for name in names(later):
            value = get(later, name)
            if name == "index" or _is_empty(value):
                continue
            before = get(choice, name)
            if _is_empty(before):
                put(choice, name, value)
            elif name == "delta":
                self._join_delta(before, value)
            elif name == "logprobs":
                for part in names(value):
                    _append(self._access, before, part, get(value, part))
            else:
                put(choice, name, before + value)

    def _logprobs_fit(self, logprobs: Any, later: Any) -> bool:
        get, names = self._access.get, self._access.names
        if not self._are_records(logprobs, later):
            return False
        for name in names(later):
            before, value = get(logprobs, name), get(later, name)
            if name in _LISTS:
                if not isinstance(before or [], list) or not isinstance(value or [], list):
                    return False
            elif not (_is_empty(before) or _is_empty(value)):
                return False
        # An entry per token, or none of any: otherwise those to come would move up.
        if not get(logprobs, "tokens") or not get(later, "tokens"):
            return not any(get(logprobs, name) or get(later, name) for name in _PER_TOKEN)
        count = len(get(logprobs, "tokens"))
        return all(
            bool(get(logprobs, name)) == bool(get(later, name))
            and len(get(logprobs, name) or ()) in (0, count)
            for name in _PER_TOKEN
        )

    def _are_records(self, *values: Any) -> bool:
        return all(isinstance(value, self._access.kind) for value in values)

    # Deltas

    def _delta_fits(self, delta: Any, later: Any) -> bool:
        get = self._access.get
        if not self._are_records(delta, later):
            return False
        for name in self._access.names(later):
            before, value = get(delta, name), get(later, name)
            if _is_empty(before) or _is_empty(value):
                continue
            if name in _TEXTS:
                if not isinstance(before, str) or not isinstance(value, str):
                    return False
            elif name == "tool_calls":
                if not isinstance(before, list) or not isinstance(value, list):
                    return False
            elif name != "role" or before != value:
                return False
        old, new = self._named(delta), self._named(later)
        if not old or not new:
            return True
        return old == new and len({_KINDS[name] for name in old}) == 1

    def _named(self, delta: Any) -> list[str]:
        return [name for name in _KINDS if self._access.get(delta, name)]

    def _join_delta(self, delta: Any, later: Any) -> None:
        _, get, put, names = self._access
        for name in names(later):
            before, value = get(delta, name), get(later, name)
            if _is_empty(value):
                if before is None and value is not None:
                    put(delta, name, value)
            elif _is_empty(before):
                put(delta, name, value)
            elif name == "tool_calls":
                for fragment in value:
                    if not self._goes_on(before[-1], fragment):
                        before.append(fragment)
            elif name != "role":
                put(delta, name, before + value)

    def _goes_on(self, call: Any, fragment: Any) -> bool:
        """Append a fragment of a tool call to the one before it, if it surely belongs there.

        What does not is a fragment of its own, for the assembler of calls to judge: see
        ``toolcalls``. A name may begin another call, and so may an id; of servers that leave
        out the index, or give all calls the same, only what they repeat is certain.
        """
        _, get, put, names = self._access
        if not self._are_records(call, fragment):
            return False
        known = ("index", "id", "type", "function")
        if any(not _is_empty(get(fragment, name)) for name in names(fragment) if name not in known):
            return False
        index, call_id, function = (get(fragment, name) for name in ("index", "id", "function"))
        into = get(call, "function")
        if index != get(call, "index") or not self._are_records(into, function):
            return False
        name, own_name, own_id = get(function, "name"), get(into, "name"), get(call, "id")
        if call_id != own_id and (call_id or (own_id and not own_name)):
            return False
        if name and (name != own_name or index is None):
            return False
        piece, text = get(function, "arguments"), get(into, "arguments")
        if not isinstance(piece, str | None) or not isinstance(text, str | None):
            return False
        if any(
            not _is_empty(get(function, part))
            for part in names(function)
            if part not in ("name", "arguments")
        ):
            return False
        if piece is not None:
            put(into, "arguments", (text or "") + piece)
        return True


def _append(access: _Access, onto: Any, name: str, value: Any) -> None:
    before = access.get(onto, name)
    if _is_empty(before):
        if not _is_empty(value):
            access.put(onto, name, value)
    elif value:
        access.put(onto, name, before + value)


def _is_empty(value: Any) -> bool:
    return value is None or value is False or (not value and isinstance(value, str | list | dict))
