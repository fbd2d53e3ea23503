"""Decode JSON that has the numbers which JSON does not: NaN, Infinity, and those out of range."""

import contextlib
import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from ..json_types import UNREADABLE
from .error_bodies import unreadable
from .logprobs import IMPOSSIBLE

Decoded = TypeVar("Decoded")

_ODD_NUMBER = re.compile(rb"NaN|Infinity|[eE]\+?\d{3}")


def decode_tolerantly(
    decoder: Callable[[bytes], Decoded], data: bytes, error: Exception
) -> Decoded:
    """Decode JSON that was refused; what only Python's encoder calls a number is replaced.

    In log probabilities it becomes ``IMPOSSIBLE``, elsewhere null: one odd number beside the
    answer is no reason to lose it.

    Args:
        decoder: Of msgspec.
        data: A response, or a chunk of one.
        error: Why the decoder refused it.

    Raises:
        ServerError: It cannot be read for another reason.
    """
    if _ODD_NUMBER.search(data):
        # The decoder judges the rest: Python's takes more than JSON has.
        with contextlib.suppress(*UNREADABLE, ValueError):
            return decoder(json.dumps(_finite(json.loads(data), False)).encode())
    raise unreadable(data, error) from error


def _finite(value: Any, is_logprob: bool) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one, is_logprob or key == "logprobs") for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one, is_logprob) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return IMPOSSIBLE if is_logprob else None
    return value
