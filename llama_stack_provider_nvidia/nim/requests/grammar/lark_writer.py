"""Grammars in Lark's syntax, for outlines: the default of NIM 1.x up to 1.14."""

import re
from collections.abc import Callable, Iterable

from ...errors import invalid
from .nodes import FIELD, Alt, Grammar, Node, Ref, Repeat, Seq, alt, refs, seq
from .regex import Regex, write_regex

_MAX_SIZE = 50_000
"""Characters of the longest terminal; rules that use each other double it quickly."""


def render_lark(grammar: Grammar) -> str:
    """Write a grammar in Lark's syntax.

    Lark cuts a text into terminals before it looks at rules, and its terminals take as much as
    they can. So all that does not recur becomes terminals, each as large as can be: within a
    terminal everything is tried, as xgrammar does. A grammar without recursion is a single
    terminal.

    Raises:
        InvalidRequestError: A terminal would become too large.
    """
    return _Writer(grammar).write()


class _Writer:
    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._regular = _regular_rules(grammar)
        recurring = [name for name in grammar.rules if name not in self._regular]
        self._names = _unique(
            {name: "start" if name == grammar.start else _lower(name) for name in recurring},
            {"start"},
        )
        self._terminals: dict[str, str] = {}
        self._taken: set[str] = set()

    def write(self) -> str:
        rules = self._grammar.rules
        lines = [f"{self._names[name]}: {self._rule(rules[name])}" for name in self._names]
        if self._grammar.start not in self._names:
            lines = [f"start: {self._rule(Ref(self._grammar.start))}"]
        lines[0] = "?" + lines[0] if lines[0].startswith("start:") else lines[0]
        lines += [f"{name}: /{text}/" for text, name in self._terminals.items()]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _rule(self, node: Node) -> str:
        return self._write(node, 2)

    def _is_regular(self, node: Node) -> bool:
        return all(name in self._regular for name in refs(node))

    def _write(self, node: Node, rank: int) -> str:
        """Write a node, in parentheses if it binds more loosely than ``rank``."""
        if self._is_regular(node):
            return self._terminal(node)
        match node:
            case Ref(name):
                return self._names[name]
            case Seq(parts):
                texts = [self._write(part, 1) for part in _joined(parts, self._is_regular)]
                of, text = 1, " ".join(filter(None, texts))
            case Alt(options):
                of, text = 2, self._choice(options)
            case _:
                assert isinstance(node, Repeat)  # all else is regular
                of, text = 1, _times(self._write(node.part, 0), node.least, node.most)
        return f"({text})" if of > rank else text

    def _choice(self, options: tuple[Node, ...]) -> str:
        regular = [option for option in options if self._is_regular(option)]
        others = [option for option in options if not self._is_regular(option)]
        nodes = [alt(regular), *others] if regular else others
        return " | ".join(dict.fromkeys(self._write(node, 1) for node in nodes))

    def _terminal(self, node: Node) -> str:
        regex = write_regex(node, self._regular)
        _check_size(regex)
        if regex.filled is None:
            return ""
        if regex.literal is not None:
            return _string(regex.literal)
        name = self._terminals.get(regex.filled)
        if name is None:
            wish = _lower(node.name).upper() if isinstance(node, Ref) else "TEXT"
            name = _free(wish, self._taken)
            self._terminals[regex.filled] = name
        return name + "?" * regex.nullable


def _regular_rules(grammar: Grammar) -> dict[str, Regex]:
    """Write the rules that neither recur nor use one that does as regular expressions."""
    uses = {name: set(refs(node)) for name, node in grammar.rules.items()}
    users: dict[str, list[str]] = {name: [] for name in uses}
    for name, used in uses.items():
        for other in used:
            users[other].append(name)
    waiting = {name: len(used) for name, used in uses.items()}
    ready = [name for name, count in waiting.items() if not count]
    done: dict[str, Regex] = {}
    for name in ready:
        done[name] = write_regex(grammar.rules[name], done)
        _check_size(done[name])
        for user in users[name]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return done


def _check_size(regex: Regex) -> None:
    if len(regex.text) + len(regex.filled or "") > _MAX_SIZE:
        raise invalid(
            FIELD,
            "the grammar becomes too large in Lark's syntax, which this NIM reads: make it "
            "smaller, or use NIM 1.15 or later",
        )


def _joined(parts: Iterable[Node], is_regular: Callable[[Node], bool]) -> list[Node]:
    """Put neighbours that are regular together."""
    found: list[Node] = []
    for part in parts:
        if found and is_regular(part) and is_regular(found[-1]):
            found[-1] = seq([found[-1], part])
        else:
            found.append(part)
    return found


def _times(of: str, least: int, most: int | None) -> str:
    if most == 0:
        return ""
    if most is None:
        return of + ("*" if least == 0 else "+") if least < 2 else f"{of}~{least} {of}*"
    if (least, most) == (0, 1):
        return f"{of}?"
    return f"{of}~{least}" if least == most else f"{of}~{least}..{most}"


def _lower(name: str) -> str:
    """Make a name that Lark takes for a rule; ``_`` in front would mean something to it."""
    plain = re.sub(r"[^a-z0-9_]", "_", name.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"r{plain}"


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def _unique(wishes: dict[str, str], reserved: set[str]) -> dict[str, str]:
    taken = set(reserved)
    return {
        name: wish if wish == "start" and name == "root" else _free(wish, taken)
        for name, wish in wishes.items()
    }


def _string(text: str) -> str:
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code <= 0xFF
        else f"\\u{code:04x}"
        if code <= 0xFFFF
        else f"\\U{code:08x}"
    )
