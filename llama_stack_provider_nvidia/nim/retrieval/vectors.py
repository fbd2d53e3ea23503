"""Decoding of embedding vectors: lists of numbers, or base64 of 32-bit little-endian floats.

Base64 is what OpenAI's own client asks for. It is a quarter as long as the numbers written out,
and reading it costs a tenth.

A 32-bit float is not finite where the eight bits after its sign are all ones: its last byte is 7f
or ff, and the highest bit of the one before is set. In base64, three floats are 16 characters, so
that the last bytes stand at the same places again and again. Looking only there is a sieve: what
passes is finite, and what does not is decoded and looked at. It takes less time than decoding.
"""

import base64
import binascii
import math
import re
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from .. import errors
from ..json_types import UNREADABLE
from ..responses.error_bodies import reported, unreadable
from ..responses.normalize import read_usage

Vector = list[float] | str
"""Numbers, or their base64."""


class _Embedding(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int | None = None


class _Response(msgspec.Struct, gc=False):
    data: list[_Embedding] | None = None
    usage: object = None
    error: object = None


_decoder = msgspec.json.Decoder(_Response)
# "5" passes for 5, which some servers send; "nan" would pass for a number, too.
_lax = msgspec.json.Decoder(_Response, strict=False)
# JSON has no such numbers, but writers do.
_NO_NUMBER = re.compile(rb"[\[,:]\s*(-?Infinity|NaN|null)\b")

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _any_of(fits: Callable[[int], bool]) -> re.Pattern[str]:
    """Return a pattern for the base64 characters whose six bits fit."""
    return re.compile(f"[{''.join(char for bits, char in enumerate(_ALPHABET) if fits(bits))}]")


# Where of 16 characters the first bits of each float's last byte are, and what they are in a float
# that is not finite; few others have them.
_SIEVE = (
    (4, _any_of(lambda bits: bits & 0b011111 == 0b011111)),  # its first six bits
    (9, _any_of(lambda bits: bits & 0b000111 == 0b000111)),  # its first four
    (14, _any_of(lambda bits: bits & 0b000001 == 0b000001)),  # its first two
)


class EmbeddingResult(NamedTuple):
    """The vectors of a request for embeddings.

    Attributes:
        vectors: One for each input, in the order of the inputs.
        tokens: Tokens of the inputs, 0 if the NIM does not say.
    """

    vectors: list[Vector]
    tokens: int


def decode_vectors(data: bytes, count: int) -> EmbeddingResult:
    """Decode the response of ``POST /v1/embeddings`` for ``count`` inputs.

    Raises:
        NIMError: The body reports an error.
        ServerError: It is not what the API defines, or there are more or fewer vectors.
    """
    response, strict = _decoded(data)
    if response.error or response.data is None:
        raise reported(data, "embeddings")
    entries = response.data
    if len(entries) != count:
        raise errors.malformed(f"The NIM sent {len(entries)} embeddings for {count} inputs.")
    if any(entry.index is not None for entry in entries):
        entries.sort(key=lambda entry: entry.index or 0)
        if [entry.index for entry in entries] != list(range(count)):
            raise errors.malformed("The NIM sent embeddings whose indexes are not the inputs'.")
    if not all(entry.embedding for entry in entries):
        raise errors.malformed("The NIM sent an embedding without numbers.")
    for index, entry in enumerate(entries):
        vector = entry.embedding
        # Written as JSON numbers they are finite.
        if not (base64_finite(vector) if isinstance(vector, str) else strict or all_finite(vector)):
            raise _not_finite(f"for input {index} of {count} ")
    usage = read_usage(response.usage)
    tokens = usage.prompt_tokens or usage.total_tokens if usage else 0
    return EmbeddingResult([entry.embedding for entry in entries], tokens or 0)


def _decoded(data: bytes) -> tuple[_Response, bool]:
    """Return the decoded response, and whether all its numbers were JSON numbers."""
    try:
        return _decoder.decode(data), True
    except msgspec.ValidationError:
        pass  # the other decoder takes more
    except UNREADABLE as error:
        raise _unreadable(data, error) from None
    try:
        return _lax.decode(data), False
    except UNREADABLE as error:
        raise _unreadable(data, error) from None


def _unreadable(data: bytes, error: Exception) -> errors.ServerError:
    if "number out of range" in str(error).lower() or (
        (match := _NO_NUMBER.search(data)) and (match[1] != b"null" or "null" in str(error))
    ):
        return _not_finite("")
    return unreadable(data, error)


def _not_finite(which: str) -> errors.ServerError:
    return errors.malformed(
        f"The NIM sent an embedding {which}that is not all finite numbers: it holds NaN, Infinity "
        "or null.",
        code="vector_not_finite",
    )


def merge(parts: Sequence[EmbeddingResult]) -> EmbeddingResult:
    """Merge the results of a request's batches, in their order."""
    if len(parts) == 1:
        return parts[0]
    vectors = [vector for part in parts for vector in part.vectors]
    return EmbeddingResult(vectors, sum(part.tokens for part in parts))


def as_numbers(vector: Vector) -> list[float]:
    """Return a vector as numbers.

    Raises:
        ServerError: It is neither that nor base64 of 32-bit floats.
    """
    if isinstance(vector, list):
        return vector
    return unpack(vector).tolist()


def as_base64(vector: Vector) -> str:
    """Return a vector as base64 of 32-bit floats, as OpenAI's API has it.

    Raises:
        ServerError: A number is too large for that.
    """
    if isinstance(vector, str):
        return vector
    numbers = array("f", vector)
    if not all_finite(numbers):
        raise errors.malformed(
            "The NIM sent an embedding with a number that base64 of 32-bit floats cannot hold: "
            "ask for `encoding_format` float.",
            code="vector_not_finite",
        )
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def base64_finite(text: str) -> bool:
    """Return whether the base64 of 32-bit little-endian floats holds finite numbers alone.

    Raises:
        ServerError: It is not that.
    """
    if not any(pattern.search(text[place::16]) for place, pattern in _SIEVE):
        return True
    return all_finite(unpack(text))


def all_finite(numbers: Sequence[float]) -> bool:
    """Return whether no number is NaN or infinite."""
    # A sum is NaN or infinite if one of them is; of huge ones it may be, too.
    return math.isfinite(sum(numbers)) or all(map(math.isfinite, numbers))


def unpack(text: str) -> "array[float]":
    """Decode base64 of 32-bit floats.

    Raises:
        ServerError: It is not that.
    """
    try:
        numbers = array("f", base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise errors.malformed(f"The NIM sent an embedding that is no base64: {error}.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
