"""From the bytes of an answer to its struct, or to the error that they report."""

from typing import Any, TypeVar

import msgspec

from .. import error_bodies, errors
from .shape import read_usage
from .wire import ChatChunk, CompletionChunk

Chunk = TypeVar("Chunk", ChatChunk, CompletionChunk)

# Not strict: "5" passes for 5, which some servers send.
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False) for kind in (ChatChunk, CompletionChunk)
}

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(data: bytes, kind: type[Chunk]) -> Chunk:
    """Decode one event of a stream, or a whole answer.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is not what the NIM's API defines.
    """
    try:
        answer: Chunk = _decoders[kind].decode(data)
    except _UNREADABLE as error:
        raise _unreadable(data, error) from error
    if answer.error:
        raise _reported(data)
    return answer


def decode_chunk(data: bytes, kind: type[Chunk]) -> Chunk:
    """Decode a chat or completion answer, or a chunk of one, as above.

    Raises:
        ServerError: It has neither choices nor usage.
    """
    chunk = decode(data, kind)
    if chunk.usage is not None:
        chunk.usage = read_usage(chunk.usage)
    if chunk.choices is None and chunk.usage is None:
        raise _reported(data)
    return chunk


def _unreadable(data: bytes, error: Exception) -> errors.ServerError:
    return errors.malformed(
        f"The NIM's answer cannot be read: {error}. It begins with {data[:80]!r}."
    )


def _reported(data: bytes) -> errors.NIMError:
    """Make the error for JSON that is an error report, or nothing known."""
    try:
        body = msgspec.json.decode(data)
    except _UNREADABLE as error:  # the decoder of structs passes over what it has no field for
        return _unreadable(data, error)
    if not error_bodies.message_in(body):
        return errors.malformed(f"The NIM sent an answer without choices: {data[:80]!r}.")
    return errors.from_report(body)
