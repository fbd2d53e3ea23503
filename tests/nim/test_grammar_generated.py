"""Grammars that hypothesis makes, and texts that they derive."""

import functools

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.requests.grammar import parse_gbnf, to_gbnf, to_lark
from llama_stack_provider_nvidia.nim.requests.grammar.gbnf import render_gbnf
from llama_stack_provider_nvidia.nim.requests.grammar.nodes import (
    Alt,
    Chars,
    Grammar,
    Literal,
    Ref,
    Repeat,
    Seq,
    alt,
    seq,
)

from .lark_parsers import accepts, longest_matches  # noqa: F401 (a fixture)

pytestmark = pytest.mark.usefixtures("longest_matches")

characters = st.characters(exclude_categories=["Cs"])
ranges = st.tuples(characters, characters).map(lambda pair: tuple(sorted(map(ord, pair))))
leaves = (
    st.builds(Literal, st.text(characters, max_size=3))
    | st.builds(Chars, st.lists(ranges, min_size=1, max_size=3).map(tuple), st.booleans())
    | st.builds(Chars, st.sampled_from([((97, 99),), ((98, 98), (100, 101))]))
)
counts = st.sampled_from([(0, 1), (0, None), (1, None), (2, 2), (1, 3), (2, None), (0, 0), (0, 2)])


def nodes(names):
    return st.recursive(
        leaves | st.builds(Ref, st.sampled_from(names)),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3).map(seq)
            | st.lists(inner, min_size=1, max_size=3).map(alt)
            | st.builds(lambda part, times: Repeat(part, *times), inner, counts)
        ),
        max_leaves=5,
    )


# Drawing a grammar takes long on a busy machine.
thorough = functools.partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def grammars(draw):
    names = ["root", *draw(st.lists(st.sampled_from(["a", "A", "b-1", "start", "_"]), unique=True))]
    return Grammar({name: draw(nodes(names)) for name in names}, "root")


@given(grammars())
@thorough(max_examples=50)
def test_what_is_rendered_is_read_back(grammar):
    assert parse_gbnf(render_gbnf(grammar)) == grammar


class TooDeepError(Exception):
    pass


def derived(draw, grammar, node, depth=0):
    """Draw a text that a node derives."""
    if depth > 12:
        raise TooDeepError
    match node:
        case Literal(text):
            return text
        case Chars(bounds, negated):
            pattern = st.integers(0, 0x2FFF).map(chr)
            if negated:
                inside = pattern.filter(lambda c: not any(a <= ord(c) <= b for a, b in bounds))
                return draw(inside)
            first, last = draw(st.sampled_from(bounds))
            code = draw(st.integers(first, last))
            return chr(first if 0xD800 <= code <= 0xDFFF else code)
        case Ref(name):
            return derived(draw, grammar, grammar.rules[name], depth + 1)
        case Seq(parts):
            return "".join(derived(draw, grammar, part, depth + 1) for part in parts)
        case Alt(options):
            return derived(draw, grammar, draw(st.sampled_from(options)), depth + 1)
        case Repeat(part, least, most):
            times = draw(st.integers(least, min(least + 2, least + 2 if most is None else most)))
            return "".join(derived(draw, grammar, part, depth + 1) for _ in range(times))


@given(st.data(), grammars())
@thorough(max_examples=80)
def test_the_lark_grammar_takes_what_the_grammar_derives(data, grammar):
    try:
        text = derived(data.draw, grammar, grammar.rules["root"])
    except TooDeepError:
        assume(False)
    assume(len(text) < 15)
    assert accepts(to_lark(render_gbnf(grammar)), text)


@given(st.data(), grammars())
@thorough(max_examples=60)
def test_there_and_back_again_derives_the_same(data, grammar):
    try:
        text = derived(data.draw, grammar, grammar.rules["root"])
    except TooDeepError:
        assume(False)
    assume(len(text) < 15)
    assert accepts(to_lark(to_gbnf(to_lark(render_gbnf(grammar)))), text)
