"""Strings and numbers for JSON schemas."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from .hints import Hints, UnsatisfiableError
from .regex import text_for_pattern

_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P1D",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/path",
    "iri": "https://example.com/",
    "iri-reference": "/path",
    "uri-template": "/path/{id}",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "json-pointer": "/a",
    "relative-json-pointer": "0",
    "regex": "^a$",
}
_LONGEST = 100_000
"""The longest text that is made, in characters."""


class Scalars:
    """Proposals for texts and numbers.

    Args:
        hints: Values of the user's text: each is offered in turn, so that two fields get two.
        rng: Draws the values that are not taken from the text.
    """

    def __init__(self, hints: Hints, rng: random.Random) -> None:
        self._hints = hints
        self._dice = rng
        self._used_names = 0
        self._used_numbers = 0

    def strings(self, schema: dict[str, Any], *, plain: bool) -> Iterator[str]:
        """Yield texts that may fit a schema.

        Args:
            schema: A schema for texts.
            plain: Offer values of the user's text first; otherwise drawn ones.

        Raises:
            UnsatisfiableError: The schema asks for a text that is too long.
        """
        least = int(schema.get("minLength", 0))
        if least > _LONGEST:
            raise UnsatisfiableError(f"texts longer than {_LONGEST} are not made")
        if schema.get("format") in _FORMATS:
            yield _FORMATS[schema["format"]]
        if "pattern" in schema:
            yield from self._patterned(schema["pattern"], least)
        most = schema.get("maxLength")
        for offer in self._offers(plain=plain):
            text = offer
            if len(text) < least:
                text = (text or "x") * (least // max(1, len(text)) + 1)
                text = text[: max(least, len(offer))]
            yield text if most is None else text[: int(most)]

    def _patterned(self, pattern: str, least: int) -> Iterator[str]:
        for _ in range(20):
            text = text_for_pattern(pattern, self._dice)
            yield text
            if len(text) < least:
                # Room to pad: most patterns are not anchored at both ends.
                padding = "x" * (least - len(text))
                yield text + padding
                yield padding + text

    def _offers(self, *, plain: bool) -> list[str]:
        names = self._hints.names
        said = [*names[self._used_names :], *names[: self._used_names]]
        self._used_names = (self._used_names + 1) % (len(names) or 1)
        drawn = f"text{self._dice.randint(2, 99_999)}"
        return [*said, "text", drawn, ""] if plain else [drawn, "", "text", *said]

    def numbers(self, schema: dict[str, Any], *, whole: bool, plain: bool) -> Iterator[int | float]:
        """Yield numbers that may fit a schema.

        Args:
            schema: A schema for numbers.
            whole: Only integers fit.
            plain: Offer values of the user's text first; otherwise drawn ones.
        """
        step = Fraction(str(schema["multipleOf"])) if "multipleOf" in schema else None
        if whole:
            step = Fraction(1) if step is None else _lcm(step, Fraction(1))
        if plain:
            yield from map(_plain, self._said())
        near = self._near(*_bounds(schema, whole=whole), step or Fraction(1))
        if not plain:
            self._dice.shuffle(near)
        for value in near:
            if step is None:
                yield _plain(value)
            else:
                yield _plain(math.floor(value / step) * step)
                yield _plain(math.ceil(value / step) * step)

    def _said(self) -> list[Fraction]:
        numbers = self._hints.numbers
        said = [*numbers[self._used_numbers :], *numbers[: self._used_numbers]]
        self._used_numbers = (self._used_numbers + 1) % (len(numbers) or 1)
        return [Fraction(str(number)) for number in said]

    def _near(self, low: Fraction | None, high: Fraction | None, step: Fraction) -> list[Fraction]:
        """Return values at and between the bounds."""
        near = [Fraction(1), Fraction(0)]
        if low is not None:
            near += [low, low + step]
        if high is not None:
            near += [high, high - step]
        if low is not None and high is not None:
            share = Fraction(str(self._dice.random()))
            near += [(low + high) / 2, low + (high - low) * share]
        else:
            near.append((low or high or Fraction(0)) + self._dice.randint(-999, 999))
        return near


def _bounds(schema: dict[str, Any], *, whole: bool) -> tuple[Fraction | None, Fraction | None]:
    """Return the least and the largest value; exclusive bounds move by a small amount."""
    low = [Fraction(str(schema["minimum"]))] if "minimum" in schema else []
    high = [Fraction(str(schema["maximum"]))] if "maximum" in schema else []
    for key, found, sign in (("exclusiveMinimum", low, 1), ("exclusiveMaximum", high, -1)):
        edge = schema.get(key)
        if isinstance(edge, bool) or edge is None:
            continue  # a boolean is the form of draft 4
        value = Fraction(str(edge))
        found.append(value + sign * (1 if whole and value.denominator == 1 else Fraction(1, 1024)))
    return (max(low) if low else None), (min(high) if high else None)


def _lcm(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(math.lcm(a.numerator, b.numerator), math.gcd(a.denominator, b.denominator))


def _plain(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)
