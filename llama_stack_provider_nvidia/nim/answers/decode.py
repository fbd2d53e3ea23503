"""From the bytes of an answer to its struct, or to the error that they report."""

from typing import Any, TypeVar

import msgspec

from .instead import UNREADABLE, reported, unreadable
from .shape import read_usage
from .wire import ChatChunk, CompletionChunk

Chunk = TypeVar("Chunk", ChatChunk, CompletionChunk)

# Not strict: "5" passes for 5, which some servers send.
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False) for kind in (ChatChunk, CompletionChunk)
}


def decode(data: bytes, kind: type[Chunk]) -> Chunk:
    """Decode one event of a stream, or a whole answer.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is not what the NIM's API defines.
    """
    try:
        answer: Chunk = _decoders[kind].decode(data)
    except UNREADABLE as error:
        raise unreadable(data, error) from error
    if answer.error:
        raise reported(data, "choices")
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
        raise reported(data, "choices")
    return chunk
