"""Regular expressions, as far as they need no memory: reading and writing Python's syntax."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .nodes import (
    CLASSES,
    LAST,
    Alt,
    Chars,
    Literal,
    Node,
    Ref,
    Repeat,
    Seq,
    Tokens,
    alt,
    complement,
    merged,
    number,
    refused,
    repeated,
    seq,
)

_TOKEN = re.compile(
    r"""(?P<open>\(\?:|\(\?P<\w+>|\((?!\?))
    | (?P<chars>\[\^?(?:\\.|[^\]\\])(?:\\.|[^\]\\])*\])
    | (?P<code>\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8})
    | (?P<class>\\[dDwWsS])
    | (?P<escape>\\(?:[nrtfv0]|[^A-Za-z0-9]))
    | (?P<count>\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\})
    | (?P<mark>[)|?*+.])
    | (?P<plain>[^\\(\[^$])
    """,
    re.VERBOSE | re.DOTALL,
)
_BEYOND = "in a regular expression cannot be carried over: write the grammar as EBNF"
_HINTS = {
    "^": f"an anchor ^ {_BEYOND}",
    "$": f"an anchor $ {_BEYOND}",
    "(?": f"a lookaround or flag (?...) {_BEYOND}",
    "[": "a class in a regular expression is not closed",
    "\\": f"this escape {_BEYOND}",
}
_ESCAPES = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}
_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_IN_CLASS = re.compile(
    r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)|(.)", re.DOTALL
)


def read_regex(text: str, flags: str, line: int) -> Node:
    """Read a regular expression.

    Args:
        text: Without the slashes around it.
        flags: ``i`` and ``s`` are understood, and those that change nothing here.
        line: Where it stands in the grammar, for errors.

    Raises:
        InvalidRequestError: It needs more than sets, groups, choices and repetitions.
    """
    if beyond := set(flags) - set("imsu"):
        raise refused(line, f"the flag {min(beyond)} {_BEYOND}")
    tokens = Tokens(text, _TOKEN, _HINTS, line)
    node = _choice(tokens, dotall="s" in flags)
    if tokens.peek().kind != "end":
        raise refused(line, "a group in a regular expression is closed that was not opened")
    return caseless(node) if "i" in flags else node


def _choice(tokens: Tokens, *, dotall: bool) -> Node:
    options = []
    while True:
        parts = []
        while tokens.peek().kind != "end" and tokens.peek().text not in ("|", ")"):
            parts.append(_quantified(tokens, dotall=dotall))
        options.append(seq(parts))
        if not tokens.takes("|"):
            return alt(options)


def _quantified(tokens: Tokens, *, dotall: bool) -> Node:
    node = _atom(tokens, dotall=dotall)
    token = tokens.peek()
    if token.kind == "count":
        lower, comma, upper = tokens.take().text[1:-1].partition(",")
        least = number(lower or "0", token.line)
        most = (number(upper, token.line) if upper else None) if comma else least
        node = repeated(node, least, most, token.line)
    elif token.text in _QUANTIFIERS and token.kind == "mark":
        tokens.take()
        node = Repeat(node, *_QUANTIFIERS[token.text])
    else:
        return node
    # Whether it takes much or little makes no difference to what fits.
    if not tokens.takes("?") and tokens.peek().text == "+":
        raise refused(token.line, f"a possessive repetition {_BEYOND}")
    return node


def _atom(tokens: Tokens, *, dotall: bool) -> Node:
    token = tokens.take()
    match token.kind:
        case "open":
            tokens.open(token.line)
            node = _choice(tokens, dotall=dotall)
            tokens.close(")", token.line)
            return node
        case "chars":
            return _chars(token.text, token.line)
        case "class":
            return Chars(CLASSES[token.text[1]])
        case "code":
            return Literal(chr(_scalar(token.text[2:], token.line)))
        case "escape":
            return Literal(chr(_ESCAPES.get(token.text[1], ord(token.text[1]))))
        case "plain":
            return Literal(token.text)
        case _ if token.text == ".":
            return Chars(complement(() if dotall else [(10, 10)]))
    raise refused(token.line, f"{token.text!r} in a regular expression has nothing to repeat")


def _chars(text: str, line: int) -> Chars:
    negated = text[1] == "^"
    ranges: list[tuple[int, int]] = []
    pieces = list(_IN_CLASS.finditer(text, 1 + negated, len(text) - 1))
    at = 0
    while at < len(pieces):
        escaped = pieces[at][4] or ""
        if escaped in CLASSES:
            ranges += CLASSES[escaped]
            at += 1
            continue
        first = last = _code(pieces[at], line)
        at += 1
        if at + 1 < len(pieces) and pieces[at][0] == "-":
            last = _code(pieces[at + 1], line)
            at += 2
        if last < first:
            raise refused(line, f"the range {chr(first)}-{chr(last)} is the wrong way round")
        ranges.append((first, last))
    return Chars(merged(ranges), negated)


def _code(piece: re.Match[str], line: int) -> int:
    if digits := piece[1] or piece[2] or piece[3]:
        return _scalar(digits, line)
    escaped = piece[4]
    if escaped is None:
        return ord(piece[5])
    if escaped in _ESCAPES:
        return _ESCAPES[escaped]
    if escaped.isalnum():
        raise refused(line, f"the escape \\{escaped} {_BEYOND}")
    return ord(escaped)


def _scalar(digits: str, line: int) -> int:
    code = int(digits, 16)
    if code > LAST or 0xD800 <= code <= 0xDFFF:
        raise refused(line, f"code {digits} is no character")
    return code


def caseless(node: Node) -> Node:
    """Let letters of either case fit: of ASCII in sets, and all in texts."""
    assert not isinstance(node, Ref)  # a regular expression has none
    match node:
        case Literal(text):
            return seq(_either(char) for char in text) if text else node
        case Chars(ranges, negated):
            return Chars(merged([*ranges, *_other_case(ranges)]), negated)
        case Seq(parts):
            return seq(map(caseless, parts))
        case Alt(options):
            return alt(map(caseless, options))
        case _:
            return Repeat(caseless(node.part), node.least, node.most)


def _either(char: str) -> Node:
    cases = sorted({ord(case) for case in (char, char.lower(), char.upper()) if len(case) == 1})
    return Chars(tuple((code, code) for code in cases)) if len(cases) > 1 else Literal(char)


def _other_case(ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    for first, last in ranges:
        for lower, upper, shift in ((65, 90, 32), (97, 122, -32)):
            if first <= upper and last >= lower:
                yield max(first, lower) + shift, min(last, upper) + shift


@dataclass(frozen=True)
class Regex:
    """A regular expression as Python writes it.

    Attributes:
        text: The expression; empty for the empty text.
        filled: The same but for the empty text; None if nothing is left. Lark's terminals may
            not be empty.
        nullable: The empty text fits.
        rank: How loosely it is bound: 0 one atom, 1 a sequence, 2 a choice.
        literal: The text that alone fits, if that is all there is.
    """

    text: str
    filled: str | None
    nullable: bool
    rank: int
    literal: str | None = None


def write_regex(node: Node, rules: dict[str, Regex]) -> Regex:
    """Write a node as a regular expression.

    Args:
        node: Uses no other rules than those.
        rules: What they are as regular expressions.
    """
    match node:
        case Literal(text):
            escaped = "".join(_escaped(ord(char), r"\.^$*+?{}[]()|/") for char in text)
            return Regex(escaped, escaped or None, not text, int(len(text) != 1), text)
        case Chars(ranges, negated):
            inside = "".join(map(_range, merged(ranges)))
            return _solid(f"[{'^' if negated else ''}{inside}]", 0)
        case Ref(name):
            return rules[name]
        case Seq(parts):
            return _sequence([write_regex(part, rules) for part in parts])
        case Alt(options):
            return _alternatives([write_regex(option, rules) for option in options])
        case _:
            return _repeat(write_regex(node.part, rules), node.least, node.most)


def _solid(text: str, rank: int) -> Regex:
    return Regex(text, text, nullable=False, rank=rank)


def _bound(regex: Regex, rank: int) -> str:
    return regex.text if regex.rank <= rank else f"(?:{regex.text})"


def _sequence(parts: list[Regex]) -> Regex:
    parts = [part for part in parts if part.filled is not None]
    if not parts:
        return Regex("", None, nullable=True, rank=1, literal="")
    if len(parts) == 1:
        return parts[0]
    text = "".join(_bound(part, 1) for part in parts)
    if all(part.literal is not None for part in parts):
        literal = "".join(part.literal or "" for part in parts)
        return Regex(text, text, nullable=False, rank=1, literal=literal)
    if not all(part.nullable for part in parts):
        return _solid(text, 1)
    # Something of it is there: a first part that is, and whatever follows.
    firsts = []
    for at, part in enumerate(parts):
        filled = f"(?:{part.filled})" if "|" in (part.filled or "") else part.filled
        firsts.append(f"{filled}{''.join(_bound(rest, 1) for rest in parts[at + 1 :])}")
    return Regex(text, "|".join(firsts), nullable=True, rank=1)


def _alternatives(options: list[Regex]) -> Regex:
    there = [option for option in options if option.filled is not None]
    texts = list(dict.fromkeys(option.text for option in there))
    if not texts:
        return options[0]
    filled = "|".join(dict.fromkeys(str(option.filled) for option in there))
    nullable = any(option.nullable for option in there)
    inner = there[0] if len(texts) == 1 else Regex("|".join(texts), filled, nullable, rank=2)
    if len(there) == len(options):
        return inner
    return Regex(f"{_bound(inner, 0)}?", filled, nullable=True, rank=1)


def _repeat(part: Regex, least: int, most: int | None) -> Regex:
    if most == 0 or part.filled is None:
        return Regex("", None, nullable=True, rank=1, literal="")
    if (least, most) == (1, 1):
        return part
    nullable = part.nullable or least == 0
    text = _bound(part, 0) + _times(least, most)
    if not nullable:
        return _solid(text, 1)
    # A part that may be empty needs to be there once only.
    filled = f"(?:{part.filled}){_times(1, most)}"
    return Regex(text, filled, nullable=True, rank=1)


def _times(least: int, most: int | None) -> str:
    for mark, bounds in {**_QUANTIFIERS, "": (1, 1)}.items():
        if bounds == (least, most):
            return mark
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _range(bounds: tuple[int, int]) -> str:
    first, last = (_escaped(code, r"\]^-[/") for code in bounds)
    return first if bounds[0] == bounds[1] else f"{first}-{last}"


def _escaped(code: int, special: str) -> str:
    char = chr(code)
    if char in special:
        return "\\" + char
    if char.isprintable():
        return char
    return (
        f"\\x{code:02x}"
        if code <= 0xFF
        else f"\\u{code:04x}"
        if code <= 0xFFFF
        else f"\\U{code:08x}"
    )
