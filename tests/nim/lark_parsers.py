"""Lark as NIM 1.x up to 1.14 runs it, to try grammars with."""

import functools

import lark
import pytest


@pytest.fixture(scope="module")
def longest_matches():
    """Have Lark match terminals as outlines does, with automata: the longest match counts.

    Python's ``re`` takes the first alternative that fits instead.
    """

    def match(self, term, text, index=0):
        pattern = self.regexps[term.name]
        ends = range(len(text), index, -1)
        return next(filter(None, (pattern.fullmatch(text, index, end) for end in ends)), None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lark.parser_frontends.EarleyRegexpMatcher, "match", match)
        yield


@functools.lru_cache(maxsize=200)
def parser(grammar, kind="earley"):
    lexer = "dynamic_complete" if kind == "earley" else "contextual"
    return lark.Lark(grammar, parser=kind, lexer=lexer)


def accepts(grammar, text, kind="earley"):
    try:
        parser(grammar, kind).parse(text)
    except lark.exceptions.UnexpectedInput:
        return False
    return True
