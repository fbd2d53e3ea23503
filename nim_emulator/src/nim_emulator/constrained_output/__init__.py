"""Generates texts and values that satisfy an output constraint."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Literal

from .grammar import text_for_grammar
from .hints import Hints, UnsatisfiableError, mentioned
from .regex import text_for_regex
from .schema import instance_for, validator_for
from .schema_merge import merge

__all__ = [
    "Constraint",
    "ConstraintKind",
    "Hints",
    "UnsatisfiableError",
    "constrained_text",
    "dump",
    "instance_for",
    "merge",
    "validator_for",
]

ConstraintKind = Literal["json", "json_object", "regex", "choice", "grammar"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A form that the response must have.

    Attributes:
        kind: What ``value`` is.
        value: A JSON schema, a regular expression, a list of strings or a grammar; None for
            ``json_object``.
        whitespace: Text between the tokens of JSON.
    """

    kind: ConstraintKind
    value: Any = None
    whitespace: str = " "


_MOST_QUOTED = 60
"""Characters of the user's text in the response to ``json_object``."""


def constrained_text(
    constraint: Constraint, text: str, rng: random.Random, *, lark: bool = False
) -> str:
    """Return a text that satisfies a constraint.

    Args:
        constraint: The form of the response.
        text: The user's text; what it mentions is preferred.
        rng: Decides where several texts fit.
        lark: Grammars in Lark syntax are understood beside EBNF.

    Returns:
        A text that was checked against the constraint.

    Raises:
        UnsatisfiableError: The constraint is not valid, or nothing was found that satisfies it.
    """
    hints = Hints.of(text)
    value: Any = constraint.value
    match constraint.kind:
        case "json":
            return dump(instance_for(value, hints, rng), constraint.whitespace)
        case "json_object":
            return dump({"answer": text[:_MOST_QUOTED]}, constraint.whitespace)
        case "regex":
            return text_for_regex(value, hints, rng)
        case "grammar":
            return text_for_grammar(value, hints, rng, lark=lark)
        case "choice":
            return mentioned(value, hints) or str(rng.choice(value))


def dump(value: Any, whitespace: str = " ") -> str:
    """Return the JSON text of a value with the given white space after commas and colons."""
    separators = (f",{whitespace}", f":{whitespace}")
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=separators)
