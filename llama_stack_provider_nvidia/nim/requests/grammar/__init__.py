"""Grammars for structured output, from one syntax to the other.

GBNF is what xgrammar reads: NIM from 1.15 on, vLLM, SGLang. Lark is what outlines reads, the
default of NIM 1.x up to 1.14.
"""

import re
from typing import Literal

from .gbnf import parse_gbnf, render_gbnf
from .lark_reader import parse_lark
from .lark_writer import render_lark

__all__ = ["parse_gbnf", "syntax_of", "to_gbnf", "to_lark"]

# The first definition decides: a string further on may hold anything.
_DEFINITION = re.compile(r"^[ \t]*(?:%[a-z]+|[?!]*[\w.-]+(?:\{[^}]*\})?\s*(::=|:))", re.MULTILINE)


def syntax_of(text: str) -> Literal["gbnf", "lark"]:
    """Tell which syntax a grammar is written in; one that is neither counts as GBNF."""
    found = _DEFINITION.search(text)
    return "lark" if found and found[1] != "::=" else "gbnf"


def to_lark(text: str) -> str:
    """Give a grammar in Lark's syntax, whichever it is in.

    Raises:
        InvalidRequestError: It cannot be read, or becomes too large.
    """
    return text if syntax_of(text) == "lark" else render_lark(parse_gbnf(text))


def to_gbnf(text: str) -> str:
    """Give a grammar in GBNF, whichever syntax it is in.

    Raises:
        InvalidRequestError: It is in Lark's syntax, and not simple enough to be carried over.
    """
    return text if syntax_of(text) == "gbnf" else render_gbnf(parse_lark(text))
