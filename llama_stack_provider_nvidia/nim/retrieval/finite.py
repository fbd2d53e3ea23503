"""Whether vectors hold NaN or infinity, told in less time than it takes to decode them.

A 32-bit float is not finite where the eight bits after its sign are all ones: its last byte is 7f
or ff, and the highest bit of the one before is set. In base64, three floats are 16 characters, so
that the last bytes stand in the same places again and again. Looking only there is a sieve: what
passes is finite, and what does not is decoded and looked at.
"""

import base64
import binascii
import math
import re
import sys
from array import array
from collections.abc import Callable, Sequence

from .. import errors

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _one_of(fits: Callable[[int], bool]) -> re.Pattern[str]:
    """Match a character by the six bits that it stands for."""
    return re.compile(f"[{''.join(char for bits, char in enumerate(_ALPHABET) if fits(bits))}]")


# Where of 16 characters the first bits of each float's last byte are, and what they are in a float
# that is not finite; few others have them.
_SIEVE = (
    (4, _one_of(lambda bits: bits & 0b011111 == 0b011111)),  # its first six bits
    (9, _one_of(lambda bits: bits & 0b000111 == 0b000111)),  # its first four
    (14, _one_of(lambda bits: bits & 0b000001 == 0b000001)),  # its first two
)


def base64_finite(text: str) -> bool:
    """Tell whether the base64 of 32-bit little-endian floats holds finite ones alone.

    Raises:
        ServerError: It is not that.
    """
    if not any(pattern.search(text[place::16]) for place, pattern in _SIEVE):
        return True
    return all_finite(unpacked(text))


def all_finite(numbers: Sequence[float]) -> bool:
    """Tell whether numbers are neither NaN nor infinite."""
    # A sum is NaN or infinite if one of them is; of huge ones it may be, too.
    return math.isfinite(sum(numbers)) or all(map(math.isfinite, numbers))


def unpacked(text: str) -> "array[float]":
    """Give the numbers that base64 stands for.

    Raises:
        ServerError: It is not the base64 of 32-bit floats.
    """
    try:
        numbers = array("f", base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise errors.malformed(f"The NIM sent an embedding that is no base64: {error}.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
