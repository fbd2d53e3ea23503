"""Generates texts that match regular expressions."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import rstr

from .hints import Hints, UnsatisfiableError


class _TidyRandom(random.Random):
    """A random generator that makes rstr's texts short, readable and repeatable.

    rstr draws characters from lists whose order changes between processes, and repeats up to
    a hundred times for ``*`` and ``+``.
    """

    def choice(self, seq: Any) -> Any:
        items = list(seq)
        if items and all(isinstance(item, str) and len(item) == 1 for item in items):
            items = sorted(items)
            items = (
                [item for item in items if item.isalnum()]
                or [item for item in items if item.isprintable()]
                or items
            )
        return super().choice(items)

    def randint(self, a: int, b: int) -> int:
        return super().randint(a, min(b, a + 3))


def text_for_regex(pattern: str, hints: Hints, rng: random.Random) -> str:
    """Return a text that matches a regular expression as a whole.

    Raises:
        UnsatisfiableError: The expression is not valid, or no text was found for it.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsatisfiableError(f"the regular expression is not valid: {error}") from None
    offered = [*hints.names, *(str(number) for number in hints.numbers), *hints.words]
    for text in offered:
        if compiled.fullmatch(text):
            return text
    for text in _texts(pattern, rng):
        if compiled.fullmatch(text):
            return text
    raise UnsatisfiableError("no text was found that matches the regular expression")


def text_for_pattern(pattern: str, rng: random.Random) -> str:
    """Return a text in which a ``pattern`` of a JSON schema is found.

    Raises:
        UnsatisfiableError: The expression is not valid, or no text was found for it.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsatisfiableError(f"the pattern is not valid: {error}") from None
    for text in _texts(pattern, rng):
        if compiled.search(text):
            return text
    raise UnsatisfiableError("no text was found that matches the pattern")


def _texts(pattern: str, rng: random.Random) -> Iterator[str]:
    maker = rstr.Rstr(_TidyRandom(rng.random()))
    for _ in range(50):
        try:
            yield maker.xeger(pattern)
        except Exception:  # rstr fails in many ways on what it does not know
            return
