"""Vectors as they travel: lists of numbers, or base64 of 32-bit little-endian floats.

Base64 is what OpenAI's own client asks for. It is a quarter as long as the numbers written out,
and reading it costs a tenth.
"""

import base64
import re
import sys
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .. import errors
from ..answers.instead import UNREADABLE, reported, unreadable
from ..answers.shape import read_usage
from .finite import all_finite, base64_finite, unpacked

Vector = list[float] | str
"""Numbers, or their base64."""


class _Embedding(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct, gc=False):
    data: list[_Embedding] | None = None
    usage: object = None
    error: object = None


_decoder = msgspec.json.Decoder(_Answer)
# "5" passes for 5, which some servers send; "nan" would pass for a number, too.
_lax = msgspec.json.Decoder(_Answer, strict=False)
# JSON has no such numbers, but writers do.
_NO_NUMBER = re.compile(rb"[\[,:]\s*(-?Infinity|NaN|null)\b")


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
    answer, strict = _decoded(data)
    if answer.error or answer.data is None:
        raise reported(data, "embeddings")
    entries = answer.data
    if len(entries) != count:
        raise errors.malformed(f"The NIM sent {len(entries)} embeddings for {count} inputs.")
    if any(entry.index is not None for entry in entries):
        entries.sort(key=lambda entry: entry.index or 0)
        if [entry.index for entry in entries] != list(range(count)):
            raise errors.malformed("The NIM sent embeddings whose indexes are not the inputs'.")
    if not all(entry.embedding for entry in entries):
        raise errors.malformed("The NIM sent an embedding without numbers.")
    for place, entry in enumerate(entries):
        vector = entry.embedding
        # Written as JSON numbers they are finite.
        if not (base64_finite(vector) if isinstance(vector, str) else strict or all_finite(vector)):
            raise _not_finite(f"for input {place} of {count} ")
    usage = read_usage(answer.usage)
    tokens = usage.prompt_tokens or usage.total_tokens if usage else 0
    return Embedded([entry.embedding for entry in entries], tokens or 0)


def _decoded(data: bytes) -> tuple[_Answer, bool]:
    """Decode an answer, and tell whether all its numbers were numbers."""
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
    return errors.ServerError(
        f"The NIM sent an embedding {which}that is not all finite numbers: it holds NaN, Infinity "
        "or null. The model failed on that input: send it alone to make sure, change it, and look "
        "at the NIM's log."
    )


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
    return unpacked(vector).tolist()


def as_base64(vector: Vector) -> str:
    """Give a vector as OpenAI's API writes it where base64 is asked for: in 32-bit floats.

    Raises:
        ServerError: A number is too large for that.
    """
    if isinstance(vector, str):
        return vector
    numbers = array("f", vector)
    if not all_finite(numbers):
        raise errors.ServerError(
            "The NIM sent an embedding with a number that base64 of 32-bit floats cannot hold: "
            "ask for `encoding_format` float."
        )
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
