"""Generates texts from grammars."""

from __future__ import annotations

import random

from .grammar_parser import Alternatives, Node, Repeat, Rule, Sequence, Text, parse_grammar
from .hints import Hints, UnsatisfiableError, mentioned
from .regex import text_for_regex

_DEPTH = 6
"""Nesting of rules below which a derivation takes the shortest way out."""


def text_for_grammar(grammar: str, hints: Hints, rng: random.Random, *, lark: bool) -> str:
    """Return a short text that a grammar derives.

    Args:
        grammar: EBNF with ``root ::= ...``, or Lark with ``start: ...``.
        hints: Values of the user's text; a string of the grammar that occurs there is preferred.
        rng: Decides between alternatives.
        lark: Lark grammars are accepted too.

    Returns:
        The text.

    Raises:
        UnsatisfiableError: The grammar does not parse, names an unknown rule, or never ends.
    """
    rules, start = parse_grammar(grammar, lark=lark)
    costs = _costs(rules)
    if costs.get(start) is None:
        raise UnsatisfiableError(f"the rule '{start}' of the grammar derives no finite text")
    return _Deriver(rules, costs, hints, rng).derive(Rule(start), 0)


def _cost(node: Node, costs: dict[str, int]) -> int | None:
    """Return the length of the shortest derivation, None while it is not known."""
    match node:
        case Text():
            return 1
        case Rule(name):
            held = costs.get(name)
            return None if held is None else held + 1
        case Sequence(parts):
            found = [_cost(part, costs) for part in parts]
            return None if None in found else sum(cost for cost in found if cost is not None)
        case Alternatives(options):
            known = [cost for cost in (_cost(o, costs) for o in options) if cost is not None]
            return min(known, default=None)
        case Repeat(part, least, _):
            if least == 0:
                return 0
            each = _cost(part, costs)
            return None if each is None else each * least


def _costs(rules: dict[str, Node]) -> dict[str, int]:
    """Return the cost of every rule that derives a finite text."""
    costs: dict[str, int] = {}
    changed = True
    while changed:
        changed = False
        for name, node in rules.items():
            cost = _cost(node, costs)
            if cost is not None and cost < costs.get(name, cost + 1):
                costs[name] = cost
                changed = True
    return costs


class _Deriver:
    def __init__(
        self, rules: dict[str, Node], costs: dict[str, int], hints: Hints, rng: random.Random
    ) -> None:
        self.rules = rules
        self.costs = costs
        self.hints = hints
        self.nothing = Hints.of("")
        self.rng = rng
        self.steps = 5000

    def derive(self, node: Node, depth: int) -> str:
        self.steps -= 1
        if self.steps < 0:
            raise UnsatisfiableError("the grammar derives only very long texts")
        match node:
            case Text(value, regex):
                return text_for_regex(value, self.nothing, self.rng) if regex else value
            case Rule(name):
                return self.derive(self.rules[name], depth + 1)
            case Sequence(parts):
                return "".join(self.derive(part, depth) for part in parts)
            case Alternatives(options):
                return self.derive(self.pick(options, depth), depth)
            case Repeat(part, least, most):
                extra = 0 if depth >= _DEPTH else self.rng.randint(0, 2)
                times = least + extra if most is None else min(least + extra, max(least, most))
                return "".join(self.derive(part, depth + 1) for _ in range(times))

    def pick(self, options: tuple[Node, ...], depth: int) -> Node:
        finite = [option for option in options if _cost(option, self.costs) is not None]
        if depth >= _DEPTH:
            return min(finite, key=lambda option: _cost(option, self.costs) or 0)
        words = {option.value: option for option in finite if isinstance(option, Text)}
        said = mentioned([value for value, option in words.items() if not option.regex], self.hints)
        return self.rng.choice(finite) if said is None else words[said]
