"""Vectors and scores of texts, from the words in them.

A text is a bag of features: its words, the beginnings and middles of its words, and a little of
what the text is for. Each feature stands for some places of the vector, found by a hash, so
texts that share words have vectors that point the same way, in every process.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ..dialect import names

_WORD = re.compile(r"\w+")
_COMMON = names(
    "a about an and are as at be by can do does for from has have how i in is it its my of on or "
    "that the their there this to was we were what when where which who why will with you"
)
_COMMON_WEIGHT = 0.1
_NGRAM = 4
_NGRAM_WEIGHT = 0.5
_PURPOSE_WEIGHT = 0.15
"""Weight of the input type, beside a text's own features taken as 1."""

_PLACES = 16
"""Places of a vector that a feature has: enough that the shortest Matryoshka cut keeps some."""


def features(text: str) -> dict[str, float]:
    """Return the features of a text with their weights, which have a norm of 1.

    Args:
        text: Any text, also one without words.
    """
    weights: dict[str, float] = {}
    counts = Counter(word.lower() for word in _WORD.findall(text))
    for word, count in counts.items():
        weight = (1 + math.log(count)) * (_COMMON_WEIGHT if word in _COMMON else 1)
        weights[word] = weights.get(word, 0) + weight
        if len(word) < _NGRAM or word in _COMMON:
            continue
        marked = f"^{word}"
        for start in range(len(marked) - _NGRAM + 1):
            ngram = f"#{marked[start : start + _NGRAM]}"
            weights[ngram] = weights.get(ngram, 0) + _NGRAM_WEIGHT * weight
    return _unit_weights(weights or {f"={text.strip()}": 1.0})


def vector(
    model: str,
    weights: dict[str, float],
    dimension: int,
    *,
    purpose: str | None = None,
    keep: int | None = None,
) -> list[float]:
    """Return the vector of a text.

    Args:
        model: Id of the model; each model has vectors of its own.
        weights: The text's features.
        dimension: Length of the model's vectors.
        purpose: The input type, None where the model has none.
        keep: Cut the vector to this length.

    Returns:
        A vector of length 1.
    """
    values = [0.0] * dimension
    shares = dict(weights)
    if purpose is not None:
        shares[f"@{purpose}"] = _PURPOSE_WEIGHT
    for feature, weight in shares.items():
        plus, minus = _places(model, feature, dimension)
        for place in plus:
            values[place] += weight
        for place in minus:
            values[place] -= weight
    return _unit(values[:keep])


@lru_cache(maxsize=20_000)
def _places(model: str, feature: str, dimension: int) -> tuple[list[int], list[int]]:
    """Return where a feature adds to a vector, and where it takes away."""
    seed = f"{model}\x1f{feature}".encode("utf-8", "surrogatepass")
    raw = hashlib.shake_128(seed).digest(4 * _PLACES)
    numbers = [int.from_bytes(raw[at : at + 4], "big") for at in range(0, len(raw), 4)]
    plus = [number % dimension for number in numbers if number & 1 << 31]
    return plus, [number % dimension for number in numbers if not number & 1 << 31]


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(first, second, strict=True))


def logit(model: str, query: str, passage: str) -> float:
    """Return how well a passage fits a query: below 0 for unrelated texts, no upper bound.

    What counts is which of the query's words the passage has, and then how much else it has.
    """
    asked, found = features(query), features(passage)
    shared = sum(weight**2 for feature, weight in asked.items() if feature in found)
    overlap = sum(weight * found.get(feature, 0) for feature, weight in asked.items())
    # A little of the hash, so that no two passages tie and models differ.
    noise = hashlib.shake_128(f"{model}\x1f{query}\x1f{passage}".encode("utf-8", "surrogatepass"))
    tie = int.from_bytes(noise.digest(2), "big") / 2**16
    return round(-12 + 16 * shared + 8 * overlap + 0.1 * tie, 6)


def quantized(values: Sequence[float], kind: str) -> list[int]:
    """Return a vector in one of the compressed types.

    Args:
        values: The vector.
        kind: ``int8``, ``uint8``, ``binary`` or ``ubinary``; the last two pack the signs of
            eight values into one number.
    """
    if kind in ("int8", "uint8"):
        scale = 127 / (max(map(abs, values)) or 1)
        shift = 128 if kind == "uint8" else 0
        return [round(value * scale) + shift for value in values]
    shift = 0 if kind == "ubinary" else 128
    packed = []
    for start in range(0, len(values), 8):
        bits = sum((value > 0) << (7 - at) for at, value in enumerate(values[start : start + 8]))
        packed.append(bits - shift)
    return packed


def _unit(values: Iterable[float]) -> list[float]:
    values = list(values)
    norm = math.hypot(*values)
    if norm == 0:
        # The features cancel out, or lie beyond the cut.
        return [1.0, *([0.0] * (len(values) - 1))]
    return [value / norm for value in values]


def _unit_weights(weights: dict[str, float]) -> dict[str, float]:
    norm = math.hypot(*weights.values())
    return {feature: weight / norm for feature, weight in weights.items()}
