"""Simple Lark grammars: rules, terminals, strings, regular expressions, common imports."""

import re
from dataclasses import dataclass, field

from ...errors import invalid
from .nodes import (
    FIELD,
    Alt,
    Chars,
    Grammar,
    Literal,
    Node,
    Ref,
    Repeat,
    Seq,
    Token,
    Tokens,
    alt,
    checked,
    number,
    refs,
    refused,
    repeated,
    seq,
)
from .regex import caseless, read_regex

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n]+|//[^\n]*|\#[^\n]*)
    | (?P<directive>%[a-z]+)
    | (?P<name>[!?]*_?[A-Za-z][A-Za-z0-9_]*)
    | (?P<string>"(?:\\.|[^"\\\n])*"i?)
    | (?P<regex>/(?!/)(?:\\.|[^/\\])+/[a-z]*)
    | (?P<number>[0-9]+)
    | (?P<mark>->|\.\.|[:|()\[\]?*+~.,\-])
    """,
    re.VERBOSE,
)
_EBNF = "write the grammar as EBNF (root ::= ...) instead"
_HINTS = {
    '"': "a string is not closed on its line",
    "/": "a regular expression is not closed",
    "{": f"templates cannot be carried over: {_EBNF}",
}
# Lark's own definitions, or what takes the same texts.
_COMMON = {
    "DIGIT": "/[0-9]/",
    "HEXDIGIT": "/[0-9a-fA-F]/",
    "INT": "/[0-9]+/",
    "SIGNED_INT": "/[+-]?[0-9]+/",
    "DECIMAL": r"/[0-9]+\.[0-9]*|\.[0-9]+/",
    "FLOAT": r"/[0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/",
    "NUMBER": r"/([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/",
    "SIGNED_NUMBER": r"/[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/",
    "ESCAPED_STRING": r'/"([^"\\\n]|\\[^\n])*"/',
    "LCASE_LETTER": "/[a-z]/",
    "UCASE_LETTER": "/[A-Z]/",
    "LETTER": "/[A-Za-z]/",
    "WORD": "/[A-Za-z]+/",
    "CNAME": "/[A-Za-z_][A-Za-z0-9_]*/",
    "WS_INLINE": r"/[ \t]+/",
    "WS": r"/[ \t\f\r\n]+/",
    "CR": r"/\r/",
    "LF": r"/\n/",
    "NEWLINE": r"/(\r?\n)+/",
}
_STRING_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
# No name of Lark's has a hyphen.
_IGNORED = "what-is-ignored"
_OTHER_ROOT = "lark-root"


@dataclass
class _Reading:
    """What has been read so far."""

    tokens: Tokens
    rules: dict[str, Node] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    ignored: list[Node] = field(default_factory=list)


def parse_lark(text: str) -> Grammar:
    """Read a simple Lark grammar.

    What it ignores may stand wherever Lark lets it: before, between and behind terminals.
    Terminals lose their preference for long matches, which other engines do not know.

    Raises:
        InvalidRequestError: It is no such grammar, or uses more than rules, terminals, strings,
            simple regular expressions and ``common``.
    """
    reading = _Reading(Tokens(text, _TOKEN, _HINTS))
    tokens = reading.tokens
    while tokens.peek().kind != "end":
        token = tokens.take()
        if token.kind == "directive":
            _directive(reading, token)
        elif token.kind == "name":
            _definition(reading, token)
        else:
            raise refused(token.line, f"expected a rule, name: ..., and not {token.text[:20]!r}")
    grammar = checked(reading.rules, reading.lines, "start", "Lark begins there")
    return _renamed(_with_ignored(grammar, reading.ignored))


def _define(reading: _Reading, name: str, node: Node, line: int) -> None:
    if name in reading.rules:
        raise refused(line, f"{name!r} is defined twice")
    reading.rules[name] = node
    reading.lines[name] = line


def _definition(reading: _Reading, token: Token) -> None:
    tokens = reading.tokens
    if tokens.takes("."):  # a priority among matches, which other engines do not know
        tokens.takes("-")
        tokens.take()
    if not tokens.takes(":"):
        raise refused(token.line, f"expected name: ..., and not {token.text[:20]!r}")
    _define(reading, token.text.lstrip("!?"), _choice(tokens), token.line)


def _directive(reading: _Reading, token: Token) -> None:
    tokens = reading.tokens
    if token.text == "%ignore":
        reading.ignored.append(_choice(tokens))
        return
    if token.text != "%import":
        raise refused(token.line, f"{token.text} cannot be carried over: {_EBNF}")
    if tokens.take().text != "common":
        raise refused(token.line, f"only `common` can be imported from: {_EBNF}")
    names = []
    if tokens.takes("("):
        while not tokens.takes(")"):
            names.append(tokens.take().text)
            tokens.takes(",")
            if tokens.peek().kind == "end":
                raise refused(token.line, "an import is not closed by ')'")
    else:
        tokens.takes(".")
        names.append(tokens.take().text)
    for name in names:
        if name not in _COMMON:
            raise refused(token.line, f"common.{name[:30]} is not known: {_EBNF}")
        known = tokens.take().text if tokens.takes("->") else name
        _define(reading, known, read_regex(_COMMON[name][1:-1], "", token.line), token.line)


def _choice(tokens: Tokens) -> Node:
    options = []
    while True:
        parts: list[Node] = []
        while not _ends(tokens):
            parts.append(_quantified(tokens))
        options.append(seq(parts))
        if tokens.takes("->"):  # a name for the tree, which no text shows
            tokens.take()
        if not tokens.takes("|"):
            return alt(options)


def _ends(tokens: Tokens) -> bool:
    token = tokens.peek()
    if token.kind == "name":
        after = tokens.peek(1).text
        priority = after == "." and (tokens.peek(2).kind == "number" or tokens.peek(2).text == "-")
        return after == ":" or priority
    return token.kind in ("end", "directive") or token.text in ("|", ")", "]", "->")


def _quantified(tokens: Tokens) -> Node:
    node = _atom(tokens)
    token = tokens.peek()
    if token.text in _QUANTIFIERS:
        tokens.take()
        return Repeat(node, *_QUANTIFIERS[token.text])
    if not tokens.takes("~"):
        return node
    least = most = _count(tokens)
    if tokens.takes(".."):
        most = _count(tokens)
    return repeated(node, least, most, token.line)


def _count(tokens: Tokens) -> int:
    token = tokens.take()
    if token.kind != "number":
        raise refused(token.line, "repetitions are written ~2 or ~2..5")
    return number(token.text, token.line)


def _atom(tokens: Tokens) -> Node:
    token = tokens.take()
    match token.kind:
        case "name":
            return Ref(token.text.lstrip("!?"))
        case "string":
            return _string(tokens, token)
        case "regex":
            text, _, flags = token.text[1:].rpartition("/")
            return read_regex(text, flags, token.line)
    if token.text not in ("(", "["):
        raise refused(token.line, f"unexpected {token.text!r}")
    tokens.open(token.line)
    node = _choice(tokens)
    tokens.close(")" if token.text == "(" else "]", token.line)
    return node if token.text == "(" else Repeat(node, 0, 1)


def _string(tokens: Tokens, token: Token) -> Node:
    text = _unescaped(token)
    if tokens.takes(".."):
        end = tokens.take()
        last = _unescaped(end) if end.kind == "string" else ""
        if len(text) != 1 or len(last) != 1 or last < text:
            raise refused(token.line, 'a range is written "a".."z"')
        return Chars(((ord(text), ord(last)),))
    return caseless(Literal(text)) if token.text.endswith("i") else Literal(text)


def _unescaped(token: Token) -> str:
    def one(found: re.Match[str]) -> str:
        if digits := found[1] or found[2] or found[3]:
            code = int(digits, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise refused(token.line, f"{found[0]} is no character")
            return chr(code)
        return _ESCAPES.get(found[4], found[4] if not found[4].isalnum() else found[0])

    return _STRING_ESCAPE.sub(one, token.text.removesuffix("i")[1:-1])


def _with_ignored(grammar: Grammar, ignored: list[Node]) -> Grammar:
    if not ignored:
        return grammar
    gap = Ref(_IGNORED)
    rules = {
        rule: node if _is_terminal(rule) else _spaced(node, gap)
        for rule, node in grammar.rules.items()
    }
    rules[grammar.start] = seq([gap, rules[grammar.start]])
    for node in ignored:
        for used in refs(node):
            if used not in grammar.rules:
                raise invalid(FIELD, f"the grammar ignores {used!r}, which is not defined")
    return Grammar({**rules, _IGNORED: Repeat(alt(ignored), 0, None)}, grammar.start)


def _is_terminal(name: str) -> bool:
    return name.lstrip("_").isupper()


def _spaced(node: Node, gap: Ref) -> Node:
    """Put the gap behind every terminal, as Lark skips what is ignored."""
    match node:
        case Ref(name) if not _is_terminal(name):
            return node
        case Seq(parts):
            return seq(_spaced(part, gap) for part in parts)
        case Alt(options):
            return alt(_spaced(option, gap) for option in options)
        case Repeat(part, least, most):
            return Repeat(_spaced(part, gap), least, most)
        case _:
            return seq([node, gap])


def _renamed(grammar: Grammar) -> Grammar:
    """Begin at ``root``, as xgrammar does."""
    names = {name: name for name in grammar.rules} | {grammar.start: "root"}
    if "root" in grammar.rules:
        names["root"] = _OTHER_ROOT
    rules = {names[name]: _mapped(node, names) for name, node in grammar.rules.items()}
    return Grammar(rules, "root")


def _mapped(node: Node, names: dict[str, str]) -> Node:
    match node:
        case Ref(name):
            return Ref(names[name])
        case Seq(parts):
            return seq(_mapped(part, names) for part in parts)
        case Alt(options):
            return alt(_mapped(option, names) for option in options)
        case Repeat(part, least, most):
            return Repeat(_mapped(part, names), least, most)
        case _:
            return node
