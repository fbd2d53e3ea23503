"""Parses grammars: GBNF-style EBNF and simple Lark."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .hints import UnsatisfiableError

_HEAD = re.compile(r"^\s*[?!]?([A-Za-z_][\w.-]*)\s*(::=|:)\s*", re.MULTILINE)
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | (?P<chars>\[(?:\\.|[^\]\\])*\])
    | (?P<regex>/(?:\\.|[^/\\])+/[imslux]*)
    | (?P<name>[A-Za-z_][\w.-]*)
    | (?P<count>\{\s*\d+\s*(?:,\s*\d*\s*)?\})
    | (?P<mark>[()|?*+.])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_LARK_COMMON = {
    "INT": r"[0-9]+", "DIGIT": r"[0-9]", "NUMBER": r"[0-9]+", "SIGNED_INT": r"-?[0-9]+",
    "SIGNED_NUMBER": r"-?[0-9]+", "FLOAT": r"[0-9]+\.[0-9]+", "WORD": r"[a-z]+",
    "LETTER": r"[a-z]", "CNAME": r"[a-z][a-z_]*", "ESCAPED_STRING": r'"[a-z]*"', "WS": r" ",
}  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A text, or a regular expression to make one from."""

    value: str
    regex: bool = False


@dataclass(frozen=True)
class Rule:
    """A rule by its name."""

    name: str


@dataclass(frozen=True)
class Sequence:
    """Parts one after the other; none for the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Alternatives:
    """One of several parts."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times; ``most`` is None for no limit."""

    part: Node
    least: int
    most: int | None


Node = Text | Rule | Sequence | Alternatives | Repeat


def parse_grammar(grammar: str, *, lark: bool) -> tuple[dict[str, Node], str]:
    """Read a grammar.

    Args:
        grammar: EBNF with ``root ::= ...``, or Lark with ``start: ...``.
        lark: Lark grammars are accepted.

    Returns:
        The rules by name, and the name of the rule to start from.

    Raises:
        UnsatisfiableError: It does not parse, lacks its start, or names an unknown rule.
    """
    is_lark = "::=" not in grammar and re.search(r"^\s*[?!]?start\s*:", grammar, re.M) is not None
    if is_lark and not lark:
        raise UnsatisfiableError(
            "the grammar is not in EBNF (root ::= ...); Lark is not accepted here"
        )
    comment = "//" if is_lark else "#"
    lines = [_without_comment(line, comment) for line in grammar.splitlines()]
    rules: dict[str, Node] = {}
    if is_lark:
        lines = _lark_directives(lines, rules)
    text = "\n".join(lines)
    separator = ":" if is_lark else "::="
    heads = [head for head in _HEAD.finditer(text) if head.group(2) == separator]
    if not heads or text[: heads[0].start()].strip():
        raise UnsatisfiableError(
            f"the grammar does not parse: no rule of the form 'name {separator} ...'"
        )
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        end = following.start() if following else len(text)
        rules[head.group(1)] = _Parser(text[head.end() : end]).parse()
    start = "start" if is_lark else "root"
    if start not in rules:
        raise UnsatisfiableError(f"the grammar has no rule '{start}'")
    for node in rules.values():
        for name in _names(node):
            if name not in rules:
                raise UnsatisfiableError(f"the grammar names a rule '{name}' that it does not have")
    return rules, start


def _without_comment(line: str, mark: str) -> str:
    """Cut a comment off a line, but not inside quotes, character classes or expressions."""
    position = 0
    while position < len(line):
        if line.startswith(mark, position):
            return line[:position]
        match = _TOKEN.match(line, position)
        position = match.end() if match and match.lastgroup != "mark" else position + 1
    return line


def _lark_directives(lines: list[str], rules: dict[str, Node]) -> list[str]:
    kept = []
    for line in lines:
        words = line.split()
        if not words or not words[0].startswith("%"):
            kept.append(line)
        elif words[0] == "%import":
            name = words[-1]
            known = words[1].rsplit(".", 1)[-1]
            if known not in _LARK_COMMON:
                raise UnsatisfiableError(f"the grammar imports '{words[1]}', which is not emulated")
            rules[name.rsplit(".", 1)[-1]] = Text(_LARK_COMMON[known], regex=True)
        elif words[0] != "%ignore":
            raise UnsatisfiableError(f"'{words[0]}' in a Lark grammar is not emulated")
    return kept


class _Parser:
    """Recursive descent over the right side of one rule."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise UnsatisfiableError(
                    f"the grammar does not parse at: {text[position:][:40].strip()}"
                )
            self.tokens.append((str(match.lastgroup), match.group().strip()))
            position = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def parse(self) -> Node:
        node = self.alternatives()
        if self.peek()[0] != "end":
            raise UnsatisfiableError(f"the grammar does not parse at: {self.peek()[1]}")
        return node

    def alternatives(self) -> Node:
        options = [self.sequence()]
        while self.peek() == ("mark", "|"):
            self.at += 1
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Alternatives(tuple(options))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.peek()[0] != "end" and self.peek()[1] not in ("|", ")"):
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self) -> Node:
        node = self.atom()
        while True:
            kind, text = self.peek()
            if kind == "count":
                least, _, most = text[1:-1].replace(" ", "").partition(",")
                if "," not in text:
                    most = least
                node = Repeat(node, int(least), int(most) if most else None)
            elif kind == "mark" and text in "?*+":
                node = Repeat(node, int(text == "+"), 1 if text == "?" else None)
            else:
                return node
            self.at += 1

    def atom(self) -> Node:
        kind, text = self.peek()
        self.at += 1
        if kind == "text":
            return Text(_unescape(text[1:-1]))
        if kind == "chars":
            return Text(text, regex=True)
        if kind == "regex":
            return Text(text[1 : text.rindex("/")], regex=True)
        if kind == "name":
            return Rule(text)
        if text == ".":
            return Text("[a-z]", regex=True)
        if text == "(":
            node = self.alternatives()
            if self.peek()[1] != ")":
                raise UnsatisfiableError("the grammar does not parse: a parenthesis is not closed")
            self.at += 1
            return node
        raise UnsatisfiableError(f"the grammar does not parse at: {text}")


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        body = match.group(1)
        if body[0] in "xuU" and len(body) > 1:
            return chr(int(body[1:], 16))
        return _ESCAPES.get(body, body)

    return re.sub(
        r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", replace, text, flags=re.S
    )


def _names(node: Node) -> set[str]:
    match node:
        case Rule(name):
            return {name}
        case Sequence(nodes) | Alternatives(nodes):
            return {name for part in nodes for name in _names(part)}
        case Repeat(part, _, _):
            return _names(part)
        case _:
            return set()
