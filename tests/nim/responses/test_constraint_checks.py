"""JSON schemas and regular expressions that callers write, and the texts that obey them."""

import json
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.responses.constraint_checks import ConstraintError, problem_of

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "patternProperties": {"^x_": {"type": "number"}},
    "additionalProperties": False,
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        (SCHEMA, '{"name": "Ann", "age": 5, "x_a": 1.5}', None),
        (SCHEMA, '{"name": "ann"}', "$.name: 'ann' does not match"),
        (SCHEMA, '{"name": "Ann", "x_a": "b"}', "$.x_a"),
        (SCHEMA, '{"name": "Ann", "more": 1}', "'more' was unexpected"),
        (SCHEMA, "{}", "'name' is a required property"),
        (SCHEMA, "[]", "is not of type 'object'"),
        ({"additionalProperties": {"type": "integer"}}, '{"a": 1}', None),
        ({"additionalProperties": {"type": "integer"}}, '{"a": "b"}', "$.a"),
        (True, "1", None),
        (False, "1", "does not fit at $"),
        ({}, "no JSON", "is not JSON"),
        ({}, "[NaN]", "is not JSON"),
        ({}, "[" * 100_000, "is not JSON"),
        ({"pattern": r"^\p{Lu}"}, '"Ärger"', None),
    ],
)
def test_texts_are_checked_against_a_schema(schema: Any, text: str, said: str | None) -> None:
    problem = problem_of("JSON schema", schema, text)
    if said is None:
        assert problem is None
    else:
        assert said in str(problem)


def test_a_schema_may_refer_to_the_one_of_schemas() -> None:
    schema = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
    assert problem_of("JSON schema", schema, '{"type": "string"}') is None
    assert problem_of("JSON schema", schema, '{"type": 5}')


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        ({"type": "nonsense"}, None, "is not a JSON schema"),
        ({"$schema": 5}, None, "is not a JSON schema"),
        ({"$ref": "#"}, "1", "cannot be checked"),
        ({"$ref": "#/$defs/none"}, "1", r"put it under \$defs"),
        ({"type": "x" * 9000}, None, r" \.\.\.$"),
    ],
)
def test_what_is_no_schema(schema: Any, text: str | None, said: str) -> None:
    with pytest.raises(ConstraintError, match=said) as raised:
        problem_of("JSON schema", schema, text)
    assert len(str(raised.value)) < 600


def test_a_problem_quotes_no_more_than_a_part_of_a_long_text() -> None:
    problem = problem_of("JSON schema", {"type": "object"}, json.dumps("x" * 1_000_000))
    assert problem is not None
    assert len(problem) < 600


def test_patterns_are_python_s() -> None:
    assert problem_of("regex", r"(?P<a>\d+)-(?P=a)", None) is None
    assert problem_of("regex", r"(?P<a>\d+)-(?P=a)", "12-12") is None
    assert problem_of("regex", r"\d+", "12-") == "does not match it"
    with pytest.raises(ConstraintError, match="is not a regular expression"):
        problem_of("regex", "(", None)
