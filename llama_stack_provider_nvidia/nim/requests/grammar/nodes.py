"""Grammars as data, and the reader's tools that the syntaxes share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...errors import InvalidRequestError, invalid

FIELD = "response_format.bnf"
MAX_DEPTH = 64
"""Groups within groups; what nests deeper is no grammar that anybody wrote."""
LAST = 0x10FFFF


@dataclass(frozen=True)
class Literal:
    """A text as it stands; empty for nothing."""

    text: str


@dataclass(frozen=True)
class Chars:
    """One character of a set.

    Attributes:
        ranges: First and last code points.
        negated: Any character but those.
    """

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True)
class Ref:
    """What another rule derives."""

    name: str


@dataclass(frozen=True)
class Seq:
    """Parts one after the other: at least two, none of them a ``Seq``. Made by ``seq``."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Alt:
    """One of several options: at least two, none of them an ``Alt``. Made by ``alt``."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times; ``most`` is None for no limit."""

    part: Node
    least: int
    most: int | None


Node = Literal | Chars | Ref | Seq | Alt | Repeat
NOTHING = Literal("")


@dataclass(frozen=True)
class Grammar:
    """Rules by name, and the one that derives a whole answer."""

    rules: dict[str, Node]
    start: str


def seq(parts: Iterable[Node]) -> Node:
    """Put parts one after the other, without sequences in sequences."""
    flat = [p for part in parts for p in (part.parts if isinstance(part, Seq) else (part,))]
    return flat[0] if len(flat) == 1 else Seq(tuple(flat)) if flat else NOTHING


def alt(options: Iterable[Node]) -> Node:
    """Let one of at least one option be chosen, without choices in choices."""
    flat = [o for each in options for o in (each.options if isinstance(each, Alt) else (each,))]
    return flat[0] if len(flat) == 1 else Alt(tuple(flat))


def refs(node: Node) -> Iterator[str]:
    """Give the names of the rules that a node uses."""
    match node:
        case Ref(name):
            yield name
        case Seq(nodes) | Alt(nodes):
            for part in nodes:
                yield from refs(part)
        case Repeat(part):
            yield from refs(part)
        case _:
            pass


def merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sort ranges, and join those that touch."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def complement(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Give all characters but those; halves of surrogate pairs are none."""
    found = []
    at = 0
    for first, last in merged([*ranges, (0xD800, 0xDFFF)]):
        if at < first:
            found.append((at, first - 1))
        at = last + 1
    return (*found, (at, LAST)) if at <= LAST else tuple(found)


_DIGITS = ((48, 57),)
_WORD = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE = ((9, 13), (32, 32))
CLASSES = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACE,
    "D": complement(_DIGITS),
    "W": complement(_WORD),
    "S": complement(_SPACE),
}
"""Characters that an escape stands for, as far as ASCII goes."""


def refused(line: int, problem: str) -> InvalidRequestError:
    """Make the error for a grammar that cannot be used."""
    return invalid(FIELD, f"line {line} of the grammar: {problem}")


@dataclass(frozen=True)
class Token:
    """A piece of a grammar's text: its kind, the text itself, and its line."""

    kind: str
    text: str
    line: int


class Tokens:
    """The pieces of a grammar's text, one after the other."""

    def __init__(
        self, text: str, pattern: re.Pattern[str], hints: dict[str, str], line: int = 1
    ) -> None:
        """Cut a text into pieces.

        Args:
            text: The grammar.
            pattern: Has a named group per kind of token; what its group ``skip`` matches is
                left out.
            hints: What is wrong where no token begins, by what stands there.
            line: Number of its first line.

        Raises:
            InvalidRequestError: Something is no token.
        """
        self.all: list[Token] = []
        self.at = 0
        self.depth = 0
        position = 0
        while position < len(text):
            found = pattern.match(text, position)
            if found is None or found.end() == position:
                rest = text[position:]
                said = next((hint for start, hint in hints.items() if rest.startswith(start)), "")
                raise refused(line, said or f"unexpected {rest.splitlines()[0][:20]!r}")
            if found.lastgroup != "skip":
                self.all.append(Token(str(found.lastgroup), found[0], line))
            line += found[0].count("\n")
            position = found.end()
        self.all.append(Token("end", "", line))

    def peek(self, ahead: int = 0) -> Token:
        """Look at a token that comes; the last one is of kind ``end``."""
        return self.all[min(self.at + ahead, len(self.all) - 1)]

    def take(self) -> Token:
        """Take the next token."""
        token = self.peek()
        self.at += 1
        return token

    def takes(self, *texts: str) -> Token | None:
        """Take the next token if it is one of those."""
        return self.take() if self.peek().kind != "end" and self.peek().text in texts else None

    def open(self, line: int) -> None:
        """Enter a group, which ``close`` leaves."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise refused(line, "groups nest too deeply")

    def close(self, bracket: str, line: int) -> None:
        """Leave a group.

        Raises:
            InvalidRequestError: The next token is not its closing bracket.
        """
        self.depth -= 1
        if not self.takes(bracket):
            raise refused(line, f"a group is not closed by {bracket!r}")


def checked(rules: dict[str, Node], lines: dict[str, int], start: str, hint: str) -> Grammar:
    """Put rules together.

    Raises:
        InvalidRequestError: There is no start, or a rule uses one that is not there.
    """
    if start not in rules:
        raise invalid(FIELD, f"the grammar has no rule named {start!r}: {hint}")
    for name, node in rules.items():
        for used in refs(node):
            if used not in rules:
                raise refused(lines[name], f"rule {name!r} uses {used!r}, which is not defined")
    return Grammar(rules, start)


def number(text: str, line: int) -> int:
    """Read how often something comes."""
    if len(text) > 6:
        raise refused(line, f"{text[:12]}… repetitions are too many")
    return int(text)


def repeated(part: Node, least: int, most: int | None, line: int) -> Node:
    """Repeat a part.

    Raises:
        InvalidRequestError: It would come at least more often than at most.
    """
    if most is not None and most < least:
        raise refused(line, f"at least {least} and at most {most} cannot be")
    return Repeat(part, least, most)
