"""Errors for request bodies that cannot be sent as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InvalidRequestError, invalid

MAX_NESTING = 200
"""Levels of lists and objects in a request. Encoders give up at a few hundred, by Python's limit of
recursion and the depth of the server's own stack; no schema that a NIM compiles comes near it."""

_SHOWN = 6


def require_flat(body: Mapping[str, Any]) -> None:
    """Refuse a request that is nested too deeply for the encoders, on this side or the NIM's.

    Raises:
        InvalidRequestError: It has more than ``MAX_NESTING`` levels; the text names the field.
    """
    level: list[Any] = [body]
    for _ in range(MAX_NESTING + 1):
        level = [
            value
            for holder in level
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, dict | list)
        ]
        if not level:
            return
    raise unsendable(body, ValueError())


def unsendable(body: Mapping[str, Any], reason: BaseException) -> InvalidRequestError:
    """Return the error for a request that could not be encoded.

    Args:
        body: The request: plain data, or with Pydantic models in it.
        reason: What the encoder raised, told where nothing is found.
    """
    for path, value, depth in _walk(body):
        if depth > MAX_NESTING:
            return too_deep(path)
        if isinstance(value, str) and not value.isascii() and _has_surrogate(value):
            return invalid(
                _dotted(path),
                "holds a lone surrogate (half of a character, such as \\ud83d), which UTF-8 cannot "
                "carry: take it out, or send the whole character",
            )
    error = invalid("request", f"cannot be written as JSON: {type(reason).__name__}")
    error.field = None  # which one is not known
    return error


def too_deep(path: Sequence[str | int]) -> InvalidRequestError:
    """Return the error for a field with too many levels of lists and objects.

    Args:
        path: Keys and indexes down to the level that is one too many.
    """
    return invalid(
        _dotted(path[:_SHOWN]), f"is nested more than {MAX_NESTING} levels deep: make it flatter"
    )


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _walk(body: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any, int]]:
    """Yield every value with its path and depth, down to one level too many. No recursion."""
    waiting: list[tuple[tuple[str | int, ...], Any, int]] = [((), body, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if path:
            yield path, value, depth
        if depth > MAX_NESTING:
            continue
        if isinstance(value, list | tuple):
            inner: Any = enumerate(value)
        elif isinstance(value, Mapping):
            for key in value:  # a key is text that is sent, too
                if isinstance(key, str):
                    yield (*path, key.encode("ascii", "backslashreplace").decode()), key, depth
            inner = value.items()
        else:
            fields = getattr(value, "__dict__", None)
            extra = getattr(value, "__pydantic_extra__", None)
            inner = {**fields, **(extra or {})}.items() if isinstance(fields, dict) else ()
        waiting.extend(((*path, key), one, depth + 1) for key, one in reversed(list(inner)))


def _dotted(path: Sequence[str | int]) -> str:
    """Write a path as callers do, such as ``messages[0].content``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text.encode("ascii", "backslashreplace").decode()
