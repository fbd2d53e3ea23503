"""Merge the chunks that have piled up while a stream's reader was busy.

A reader may be slower than the NIM: Llama Stack up to 0.2.12 sleeps 10 ms after each event. What
has arrived meanwhile becomes one chunk, with one delta per choice. Nothing is lost, moved or held
back: only chunks of the usual form are merged, which bring one choice the next piece of one kind
(text, reasoning, or a tool call's arguments), perhaps with log probabilities or a finish reason.

It takes chunks as dicts, as they come off the wire, and the structs of ``nim.responses.structs``.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from .structs import ChatChoice, ChatChunk, ChatDelta, CompletionChoice, CompletionChunk

Chunk = TypeVar("Chunk")

MAX_BYTES = 64 * 1024
"""The most of what came off the wire that goes into one chunk; a larger chunk stays alone."""

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
# For each kind of piece, what else a delta may not hold: readers take the kinds in an order of
# their own, so that a delta of one kind and then one of another must not become one.
_OTHERS = {name: tuple({*_TEXTS, "tool_calls"} - {name}) for name in (*_TEXTS, "tool_calls")}
# The first chunk's stands for all; some servers count ``created`` on.
_NOT_COMPARED = frozenset(("created", "object", "model", "choices", "usage"))
_OF_FRAGMENT = frozenset(("index", "type", "function"))
_OF_CHOICE = frozenset(("index", "delta", "text", "logprobs", "finish_reason"))


def merge_chunks(chunks: Sequence[Chunk], sizes: Sequence[int]) -> list[Chunk]:
    """Merge chunks that follow each other in a stream, as far as that changes nothing.

    Args:
        chunks: All dicts or all structs. They are used up: those returned are made of them.
        sizes: What each of them took on the wire, in bytes.

    Returns:
        No more than were given, in their order.
    """
    merged: list[Chunk] = []
    if not chunks:
        return merged
    merge: Callable[[Any, Any], bool] = _merge_dict if type(chunks[0]) is dict else _merge_struct
    last: Chunk | None = None
    room = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        if last is not None and size <= room and merge(last, chunk):
            room -= size
        else:
            last, room = chunk, MAX_BYTES - size
            merged.append(chunk)
    return merged


# Structs


def _merge_struct(chunk: ChatChunk | CompletionChunk, later: ChatChunk | CompletionChunk) -> bool:
    """Merge the next chunk into a chunk. Return whether it was merged."""
    choices: Any = chunk.choices
    if not choices or not later.choices or len(later.choices) != 1:
        return False
    piece: Any = later.choices[0]
    choice, index = choices[-1], piece.index or 0
    if (choice.index or 0) != index:
        choice = next((one for one in reversed(choices) if (one.index or 0) == index), None)
    if choice is None:
        if any(getattr(one, "message", None) is not None for one in (*choices, piece)):
            return False  # a whole response stays alone
        choices.append(piece)
    elif type(choice) is ChatChoice:
        if not _merge_chat_choice(choice, piece):
            return False
    elif not _merge_text_choice(choice, piece):
        return False
    if later.usage is not None:
        chunk.usage = later.usage
    return True


def _merge_chat_choice(choice: ChatChoice, piece: ChatChoice) -> bool:
    delta, more = choice.delta, piece.delta
    if (
        choice.finish_reason is not None
        or choice.message is not None
        or piece.message is not None
        or delta is None
        or more is None
        or (more.role is not None and more.role != delta.role)
    ):
        return False
    tokens = None if choice.logprobs is None else choice.logprobs.content
    further = None if piece.logprobs is None else piece.logprobs.content
    if (further and not tokens) or not _merge_delta(delta, more):
        return False
    if tokens and further:
        tokens.extend(further)
    choice.finish_reason = piece.finish_reason
    return True


def _merge_delta(delta: ChatDelta, more: ChatDelta) -> bool:
    if more.tool_calls:
        if more.content or more.reasoning_content or more.reasoning:
            return False
        if delta.content or delta.reasoning_content or delta.reasoning:
            return False
        if delta.tool_calls:
            _merge_calls(delta.tool_calls, more.tool_calls, _merge_call)
        else:
            delta.tool_calls = more.tool_calls
        return True
    if more.content:
        if more.reasoning_content or more.reasoning or delta.reasoning_content or delta.reasoning:
            return False
        if delta.tool_calls:
            return False
        delta.content = delta.content + more.content if delta.content else more.content
    elif more.reasoning_content or more.reasoning:
        if delta.content or delta.tool_calls or (more.reasoning_content and more.reasoning):
            return False
        if delta.reasoning if more.reasoning_content else delta.reasoning_content:
            return False
        if more.reasoning_content:
            delta.reasoning_content = (delta.reasoning_content or "") + more.reasoning_content
        else:
            delta.reasoning = (delta.reasoning or "") + (more.reasoning or "")
    return True


def _merge_calls(calls: list[Any], fragments: list[Any], merge: Callable[[Any, Any], bool]) -> None:
    """Append the next fragments of tool calls to those before them, in their order.

    One that is surely a piece of the arguments of the fragment before it becomes part of that. A
    name may begin another call, and so may an id: the assembler of tool calls judges those.
    """
    for fragment in fragments:
        if not merge(calls[-1], fragment):
            calls.append(fragment)


def _merge_call(call: Any, fragment: Any) -> bool:
    into, function = call.function, fragment.function
    if (
        fragment.index != call.index
        or fragment.id is not None
        or into is None
        or function is None
        or function.name is not None
        or (call.id and not into.name)
        or type(function.arguments) is not str
        or type(into.arguments) is not str
    ):
        return False
    into.arguments += function.arguments
    return True


def _merge_text_choice(choice: CompletionChoice, piece: CompletionChoice) -> bool:
    if choice.finish_reason is not None:
        return False
    if piece.logprobs is not None:
        pairs = [
            (getattr(choice.logprobs, name, None), getattr(piece.logprobs, name))
            for name in piece.logprobs.__struct_fields__
        ]
        if not _are_aligned(pairs):
            return False
        _extend(pairs)
    if piece.text:
        choice.text = (choice.text or "") + piece.text
    choice.finish_reason = piece.finish_reason
    return True


# Dicts


def _merge_dict(chunk: dict[str, Any], later: dict[str, Any]) -> bool:
    """Merge the next chunk into a chunk. Return whether it was merged."""
    choices, more = chunk.get("choices"), later.get("choices")
    if not choices or not more or len(more) != 1:
        return False
    for name, value in later.items():
        if name in _NOT_COMPARED or value is None:
            continue
        if type(value) is list or chunk.get(name) != value:
            return False
    piece, choice = more[0], choices[-1]
    index = piece.get("index") or 0
    if (choice.get("index") or 0) != index:
        choice = next((one for one in reversed(choices) if (one.get("index") or 0) == index), None)
    if choice is None:
        if any(one.get("message") is not None for one in (*choices, piece)):
            return False  # a whole response stays alone
        choices.append(piece)
    elif not _merge_choice(choice, piece):
        return False
    if later.get("usage"):
        chunk["usage"] = later["usage"]
    return True


def _merge_choice(choice: dict[str, Any], piece: dict[str, Any]) -> bool:
    if choice.get("finish_reason") or choice.get("message"):
        return False
    for name, value in piece.items():
        if value is not None and name not in _OF_CHOICE:
            return False
    pairs = None
    logprobs = piece.get("logprobs")
    if logprobs is not None:
        pairs = _pairs(choice.get("logprobs"), logprobs)
        if pairs is None or not _are_aligned(pairs):
            return False
    delta, more = choice.get("delta"), piece.get("delta")
    if type(delta) is dict and type(more) is dict:
        if not _merge_delta_dict(delta, more):
            return False
    else:
        text, further = choice.get("text"), piece.get("text")
        if type(text) is not str or type(further) is not str:
            return False
        choice["text"] = text + further
    if pairs is not None:
        _extend(pairs)
    if reason := piece.get("finish_reason"):
        choice["finish_reason"] = reason
    return True


def _merge_delta_dict(delta: dict[str, Any], more: dict[str, Any]) -> bool:
    kind = None
    for name, value in more.items():
        if value is None or value == "":
            continue
        if kind is None and name in _OTHERS:
            kind = name
        elif name != "role" or delta.get("role") != value:
            return False
    if kind is None:
        return True
    for name in _OTHERS[kind]:
        if delta.get(name):
            return False
    before, piece = delta.get(kind), more[kind]
    if kind == "tool_calls":
        if type(piece) is not list or not (before is None or type(before) is list):
            return False
        if before:
            _merge_calls(before, piece, _merge_call_dict)
        else:
            delta[kind] = piece
        return True
    if type(piece) is not str or not (before is None or type(before) is str):
        return False
    delta[kind] = before + piece if before else piece
    return True


def _merge_call_dict(call: Any, fragment: Any) -> bool:
    if type(call) is not dict or type(fragment) is not dict:
        return False
    into, function = call.get("function"), fragment.get("function")
    if fragment.get("index") != call.get("index"):
        return False
    if type(into) is not dict or type(function) is not dict:
        return False
    if call.get("id") and not into.get("name"):
        return False
    for name, value in fragment.items():
        if value is not None and name not in _OF_FRAGMENT:
            return False
    for name, value in function.items():
        if value is not None and name != "arguments":
            return False
    piece, text = function.get("arguments"), into.get("arguments")
    if type(piece) is not str or type(text) is not str:
        return False
    into["arguments"] = text + piece
    return True


# Log probabilities: lists with an entry per token


_Pairs = Sequence[tuple[Any, Any]]


def _pairs(logprobs: Any, further: Any) -> _Pairs | None:
    if type(logprobs) is not dict or type(further) is not dict:
        return None
    if logprobs.keys() != further.keys():
        return None
    return [(logprobs[name], value) for name, value in further.items()]


def _are_aligned(pairs: _Pairs) -> bool:
    """Return whether each list goes on, so that every entry stays beside its token."""
    length = further_length = 0
    for before, further in pairs:
        if not before and not further:
            continue
        if type(before) is not list or type(further) is not list or not before or not further:
            return False
        if length and (len(before) != length or len(further) != further_length):
            return False
        length, further_length = len(before), len(further)
    return True


def _extend(pairs: Iterable[tuple[Any, Any]]) -> None:
    for before, further in pairs:
        if before:
            before.extend(further)
