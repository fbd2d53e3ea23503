"""Grammars go as they were written, or in Lark where a NIM reads nothing else."""

import sys
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.requests.field_mapping import map_fields
from llama_stack_provider_nvidia.nim.requests.grammar import (
    explain_grammar_refusal,
    is_lark,
    with_readable_grammar,
)

GBNF = 'root ::= "yes" | "no"\n'
LARK = '?start: "a" | "b"\n'
DIALECTS = [Dialect.NIM1, Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG, Dialect.DYNAMO]


def sent(text: str, dialect: Dialect, release: str | None = None) -> str:
    fields = {"model": "m", "messages": [], "structured_outputs": {"grammar": text}}
    body = map_fields(fields, dialect)
    before = repr(body)
    written = with_readable_grammar(body, dialect, release)
    assert repr(body) == before
    return grammar_of(written)


def grammar_of(body: dict[str, Any]) -> str:
    holders = ("nvext", "guided_grammar"), ("structured_outputs", "grammar")
    for top, inner in holders:
        if top in body:
            return str(body[top][inner])
    return str(body.get("ebnf") or body["guided_grammar"])


@pytest.mark.parametrize("text", [GBNF, LARK], ids=["GBNF", "Lark"])
@pytest.mark.parametrize(
    ("dialect", "release"),
    [
        *((dialect, None) for dialect in DIALECTS),
        (Dialect.NIM1, "1.15.0"),
        (Dialect.NIM2_VLLM, "2.1.5"),
    ],
)
def test_a_grammar_is_sent_as_it_was_written(
    dialect: Dialect, release: str | None, text: str
) -> None:
    assert sent(text, dialect, release) == text


@pytest.mark.parametrize("release", ["1.8.4", "1.14", "1.14.2-rc1"])
def test_gbnf_is_translated_for_nims_that_read_lark_alone(release: str) -> None:
    written = sent(GBNF, Dialect.NIM1, release)
    assert is_lark(written)
    assert '"yes"' in written
    assert "%llguidance" not in written
    assert sent(LARK, Dialect.NIM1, release) == LARK


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('root ::= "open', id="no grammar"),
        pytest.param("root ::= " + '("a" | ' * 2000 + '"b"' + ")" * 2000, id="nested too deep"),
        pytest.param("root ::= " + "[a]? " * 8_000, id="too long"),
    ],
)
def test_what_cannot_be_translated_is_sent_as_it_was_written(text: str) -> None:
    assert sent(text, Dialect.NIM1, "1.8.4") == text


def test_without_the_extra_it_is_sent_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance.gbnf_to_lark", None)  # as if not installed
    assert sent(GBNF, Dialect.NIM1, "1.8.4") == GBNF


@pytest.mark.parametrize(
    ("text", "dialect", "release", "said"),
    [
        (GBNF, Dialect.NIM1, "1.8.4", "llama-stack-provider-nvidia[grammar]"),
        (LARK, Dialect.NIM1, "1.15.0", "write it in GBNF"),
        (LARK, Dialect.NIM2_SGLANG, None, "write it in GBNF"),
        (LARK, Dialect.NIM1, "1.8.4", None),
        (GBNF, Dialect.NIM1, "1.15.0", None),
        (GBNF, Dialect.NIM1, None, None),
        (LARK, Dialect.NIM2_VLLM, "2.1.5", None),
        (GBNF, Dialect.NIM2_VLLM, None, None),
        (GBNF, Dialect.NIM2_SGLANG, None, None),
        (LARK, Dialect.DYNAMO, None, None),
    ],
)
def test_a_refusal_is_explained_by_the_syntax(
    text: str, dialect: Dialect, release: str | None, said: str | None
) -> None:
    body = map_fields({"structured_outputs": {"grammar": text}, "messages": []}, dialect)
    explained = explain_grammar_refusal(body, dialect, release)
    assert explained is None if said is None else said in (explained or "")
    assert explain_grammar_refusal({"messages": []}, dialect, release) is None


@pytest.mark.parametrize(
    ("text", "lark"),
    [
        (GBNF, False),
        (LARK, True),
        ("start: a\na: /x/", True),
        ("# a: b\nroot ::= x", False),
        ("%import common.INT\nstart: INT", True),
        ('x ::= "a: b"', False),
        ("neither", False),
    ],
)
def test_the_syntax_is_that_of_the_first_definition(text: str, lark: bool) -> None:
    assert is_lark(text) is lark
