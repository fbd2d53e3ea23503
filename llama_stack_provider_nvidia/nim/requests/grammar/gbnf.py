"""GBNF: the EBNF that xgrammar reads, in NIM from 1.15 on, in vLLM and in SGLang."""

import re

from .nodes import (
    CLASSES,
    LAST,
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
    refused,
    repeated,
    seq,
)

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n]+|\#[^\r\n]*)
    | (?P<name>[A-Za-z_.-][A-Za-z0-9_.-]*)
    | (?P<string>"(?:\\[^\r\n]|[^"\\\r\n])*")
    | (?P<chars>\[(?:\\[^\r\n]|[^\]\\\r\n])*\])
    | (?P<count>\{\s*[0-9]+\s*(?:,\s*[0-9]*\s*)?\})
    | (?P<mark>::=|\((?!=)|[)|?*+])
    """,
    re.VERBOSE,
)
_HINTS = {
    '"': "a string is not closed on its line",
    "[": "a class of characters is not closed on its line",
    "(=": "a lookahead `(=` cannot be carried over to another syntax",
    "{": "repetitions are written {2}, {2,} or {2,5}",
    "'": 'strings stand in double quotes: "..."',
    ",": "functions of xgrammar, such as TagDispatch, cannot be carried over to another syntax",
    ":": "a rule is written: name ::= ...",
    "=": "a rule is written: name ::= ...",
}
_ESCAPES = {"n": 10, "r": 13, "t": 9, "a": 7, "b": 8, "f": 12, "v": 11, "0": 0, "e": 27} | {
    char: ord(char) for char in "'\"?\\"
}
_CLASS_ESCAPES = _ESCAPES | {char: ord(char) for char in "^$.*+?()[]{}|/-"}
_CODE = re.compile(r"x([0-9a-fA-F]+)|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def parse_gbnf(text: str) -> Grammar:
    """Read a grammar.

    Args:
        text: Rules of the form ``name ::= ...``, of which ``root`` derives the answer: strings,
            classes of characters, names, groups, ``|``, ``?``, ``*``, ``+``, ``{m,n}`` and
            comments after ``#``.

    Raises:
        InvalidRequestError: It is no such grammar; the text says where and why. xgrammar's
            lookahead and its functions are refused as well.
    """
    tokens = Tokens(text, _TOKEN, _HINTS)
    rules: dict[str, Node] = {}
    lines: dict[str, int] = {}
    while tokens.peek().kind != "end":
        name = tokens.take()
        if name.kind != "name" or not tokens.takes("::="):
            raise refused(name.line, f"expected a rule, name ::= ..., and not {name.text[:20]!r}")
        if name.text in rules:
            raise refused(name.line, f"rule {name.text!r} is defined twice")
        if tokens.at > 2 and tokens.all[tokens.at - 3].line == name.line:
            raise refused(name.line, f"rule {name.text!r} must begin on a line of its own")
        rules[name.text] = _choice(tokens)
        lines[name.text] = name.line
    return checked(rules, lines, "root", "xgrammar begins there")


def _choice(tokens: Tokens) -> Node:
    options = [_sequence(tokens)]
    while tokens.takes("|"):
        options.append(_sequence(tokens))
    return alt(options)


def _sequence(tokens: Tokens) -> Node:
    parts: list[Node] = []
    while not _ends(tokens):
        parts.append(_quantified(tokens))
    if not parts:
        raise refused(tokens.peek().line, 'an alternative is empty: write "" for nothing')
    return seq(parts)


def _ends(tokens: Tokens) -> bool:
    token = tokens.peek()
    next_rule = token.kind == "name" and tokens.peek(1).text == "::="
    return next_rule or token.kind == "end" or token.text in ("|", ")")


def _quantified(tokens: Tokens) -> Node:
    node = _atom(tokens)
    token = tokens.peek()
    if token.kind == "count":
        least, comma, most = (part.strip() for part in tokens.take().text[1:-1].partition(","))
        lower = number(least, token.line)
        upper = (number(most, token.line) if most else None) if comma else lower
        return repeated(node, lower, upper, token.line)
    if token.text in _QUANTIFIERS:
        tokens.take()
        return Repeat(node, *_QUANTIFIERS[token.text])
    return node


def _atom(tokens: Tokens) -> Node:
    token = tokens.take()
    if token.kind == "string":
        return Literal("".join(map(chr, _characters(token, token.text[1:-1]))))
    if token.kind == "chars":
        return _chars(token)
    if token.kind == "name":
        return Ref(token.text)
    if token.text != "(":
        raise refused(token.line, f"unexpected {token.text!r}")
    tokens.open(token.line)
    node = _choice(tokens)
    tokens.close(")", token.line)
    return node


def _characters(token: Token, text: str) -> list[int]:
    found = []
    at = 0
    while at < len(text):
        code, at = _character(token, text, at, _ESCAPES)
        found.append(code)
    return found


def _chars(token: Token) -> Chars:
    text = token.text[1:-1]
    negated = text.startswith("^")
    ranges: list[tuple[int, int]] = []
    at = int(negated)
    while at < len(text):
        if text[at] == "\\" and text[at + 1] in CLASSES:
            ranges += CLASSES[text[at + 1]]
            at += 2
            continue
        first, at = _character(token, text, at, _CLASS_ESCAPES)
        last = first
        if text[at : at + 1] == "-" and at + 1 < len(text):
            last, at = _character(token, text, at + 1, _CLASS_ESCAPES)
        if last < first:
            raise refused(token.line, f"the range {chr(first)}-{chr(last)} is the wrong way round")
        ranges.append((first, last))
    if not ranges:
        raise refused(token.line, f"the class {token.text} has no characters")
    return Chars(tuple(ranges), negated)


def _character(token: Token, text: str, at: int, escapes: dict[str, int]) -> tuple[int, int]:
    """Read a character or an escape; give it, and where the next one begins."""
    if text[at] != "\\":
        code, end = ord(text[at]), at + 1
    elif text[at + 1] in escapes:
        code, end = escapes[text[at + 1]], at + 2
    else:
        # xgrammar takes any number of digits after \x.
        found = _CODE.match(text, at + 1)
        if found is None:
            raise refused(token.line, f"the escape {text[at : at + 2]} is not known")
        digits = str(found[found.lastindex or 0]).lstrip("0")
        code, end = int(digits[:7] or "0", 16), found.end()
    if code > LAST or 0xD800 <= code <= 0xDFFF:
        raise refused(token.line, f"{text[at:end][:20]!r} is no character")
    return code, end


def render_gbnf(grammar: Grammar) -> str:
    """Write a grammar so that ``parse_gbnf`` reads the same again.

    Args:
        grammar: Its start must be named ``root``.
    """
    return "\n".join(f"{name} ::= {_write(node)}" for name, node in grammar.rules.items()) + "\n"


def _write(node: Node, inner: bool = False) -> str:
    match node:
        case Literal(text):
            return '"' + "".join(_escaped(ord(char), '"\\') for char in text) + '"'
        case Chars(ranges, negated):
            return f"[{'^' if negated else ''}{''.join(map(_range, ranges))}]"
        case Ref(name):
            return name
        case Seq(parts):
            text = " ".join(_write(part, inner=True) for part in parts)
        case Alt(options):
            text = " | ".join(_write(option) for option in options)
        case _:
            again = isinstance(node.part, Repeat)
            of = f"({_write(node.part)})" if again else _write(node.part, inner=True)
            return of + _times(node.least, node.most)
    return f"({text})" if inner else text


def _times(least: int, most: int | None) -> str:
    for mark, bounds in _QUANTIFIERS.items():
        if bounds == (least, most):
            return mark
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _range(bounds: tuple[int, int]) -> str:
    first, last = (_escaped(code, "]\\-^[") for code in bounds)
    return first if bounds[0] == bounds[1] else f"{first}-{last}"


def _escaped(code: int, special: str) -> str:
    char = chr(code)
    if char in special and char != "^" and char != "[":
        return "\\" + char
    if char in special or not char.isprintable():
        # Not \x, which takes as many digits as follow.
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return char
