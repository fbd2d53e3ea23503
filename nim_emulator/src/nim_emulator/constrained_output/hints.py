"""Hints: names, numbers and words of the user's text that a response can use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# Capitalised words that do not start a sentence are taken for a name.
_NAME = re.compile(r"(?<=\s)[\"'(]?([A-Z][\w-]*(?: [A-Z][\w-]*)*)")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]|\.\d)")
_WORD = re.compile(r"[^\W\d_]{4,}")


class UnsatisfiableError(Exception):
    """No text or value of the wanted form was found."""


@dataclass(frozen=True)
class Hints:
    """The values that a text offers.

    Attributes:
        text: The text itself.
        names: Capitalised words inside sentences, without repeats.
        numbers: Numbers, integers as int.
        words: Words of more than three letters, in lower case.
    """

    text: str
    names: tuple[str, ...]
    numbers: tuple[int | float, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Hints:
        """Read the hints of a text; one that is very long is read in part."""
        text = text[:20_000]
        names = (
            match.group(1)
            for match in _NAME.finditer(text)
            if match.group(1) != "I" and not _starts_sentence(text, match.start())
        )
        numbers = (m.group() for m in _NUMBER.finditer(text))
        return cls(
            text=text,
            names=tuple(dict.fromkeys(names)),
            numbers=tuple(float(n) if "." in n else int(n) for n in numbers if len(n) < 16),
            words=tuple(dict.fromkeys(m.group().lower() for m in _WORD.finditer(text))),
        )


def _starts_sentence(text: str, position: int) -> bool:
    while position and text[position - 1].isspace():
        position -= 1
    return position == 0 or text[position - 1] in ".!?:"


def mentioned(options: list[Any], hints: Hints) -> str | None:
    """Return the first text among the options that the user's text holds as whole words."""
    text = hints.text.lower()
    for option in options:
        if isinstance(option, str) and option.strip():
            words = rf"(?<!\w){re.escape(option.strip().lower())}(?!\w)"
            if re.search(words, text):
                return option
    return None
