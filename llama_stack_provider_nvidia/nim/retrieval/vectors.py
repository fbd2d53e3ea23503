"""Vectors as they travel: lists of numbers, or base64 of 32-bit little-endian floats.

Base64 is what OpenAI's own client asks for. It is a quarter as long as the numbers written out,
and reading it costs a tenth.
"""

import base64
import binascii
import sys
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .. import error_bodies, errors
from ..answers.shape import read_usage

Vector = list[float] | str
"""Numbers, or their base64."""


class _Embedding(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct, gc=False):
    data: list[_Embedding] | None = None
    usage: object = None
    error: object = None


# Not strict: "5" passes for 5, which some servers send.
_decoder = msgspec.json.Decoder(_Answer, strict=False)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Embedded(NamedTuple):
    """An answer to a request for embeddings.

    Attributes:
        vectors: One for each input, in the order of the inputs.
        tokens: Tokens that were read, 0 if the NIM does not say.
    """

    vectors: list[Vector]
    tokens: int


def decode_vectors(data: bytes, count: int) -> Embedded:
    """Decode the answer of ``POST /v1/embeddings`` for ``count`` inputs.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is not what the API defines, or there are more or fewer vectors.
    """
    try:
        answer = _decoder.decode(data)
    except _UNREADABLE as error:
        raise errors.ServerError(
            f"The NIM's answer cannot be read: {error}. It begins with {data[:80]!r}."
        ) from None
    if answer.error or answer.data is None:
        raise _without_data(data)
    entries = answer.data
    if len(entries) != count:
        raise errors.ServerError(f"The NIM sent {len(entries)} embeddings for {count} inputs.")
    if any(entry.index is not None for entry in entries):
        entries.sort(key=lambda entry: entry.index or 0)
        if [entry.index for entry in entries] != list(range(count)):
            raise errors.ServerError("The NIM sent embeddings whose indexes are not the inputs'.")
    if not all(entry.embedding for entry in entries):
        raise errors.ServerError("The NIM sent an embedding without numbers.")
    usage = read_usage(answer.usage)
    tokens = usage.prompt_tokens or usage.total_tokens if usage else 0
    return Embedded([entry.embedding for entry in entries], tokens or 0)


def _without_data(data: bytes) -> errors.NIMError:
    try:
        body = msgspec.json.decode(data)
    except _UNREADABLE:  # the decoder of structs passes over what it has no field for
        body = None
    if error_bodies.message_in(body):
        return errors.from_report(body)
    return errors.ServerError(f"The NIM sent an answer without embeddings: {data[:80]!r}.")


def merged(parts: Sequence[Embedded]) -> Embedded:
    """Put the answers to the parts of a request together, in their order."""
    if len(parts) == 1:
        return parts[0]
    vectors = [vector for part in parts for vector in part.vectors]
    return Embedded(vectors, sum(part.tokens for part in parts))


def as_numbers(vector: Vector) -> list[float]:
    """Give a vector as numbers.

    Raises:
        ServerError: It is neither that nor base64 of 32-bit floats.
    """
    if isinstance(vector, list):
        return vector
    try:
        numbers = array("f", base64.b64decode(vector, validate=True))
    except (binascii.Error, ValueError) as error:
        raise errors.ServerError(f"The NIM sent an embedding that is no base64: {error}.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def as_base64(vector: Vector) -> str:
    """Give a vector as OpenAI's API writes it where base64 is asked for."""
    if isinstance(vector, str):
        return vector
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
