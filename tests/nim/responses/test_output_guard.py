"""Responses are checked against the constraint that their request set."""

from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError, ServerError
from llama_stack_provider_nvidia.nim.responses.output_guard import constraint_of


async def check(kind: str, value: Any, text: str) -> None:
    constraint = constraint_of({"messages": [], "structured_outputs": {kind: value}})
    assert constraint is not None
    await constraint.validate()
    await constraint.check(text, finish_reason="stop")


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("regex", "(", "is not a regular expression"),
        ("regex", 5, "must be a string"),
        ("choice", "a", "must be a list of strings"),
        ("choice", [1], "must be a list of strings"),
        ("json", 5, "must be a JSON schema"),
        ("json", [], "must be a JSON schema"),
        ("json", {"type": "nonsense"}, "is not a JSON schema"),
        ("json", {"$ref": "#"}, "cannot be checked|too long"),
        ("json", {"$ref": "#/$defs/none"}, "put it under"),
        ("json", {"$schema": 5}, "is not a JSON schema"),
    ],
)
async def test_what_is_no_constraint_is_a_bad_request(kind: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said) as raised:
        await check(kind, value, "1")
    assert kind in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"structured_outputs": {"json": None}},
        {"structured_outputs": {"regex": None, "choice": None}},
        {"nvext": {"guided_regex": None}},
        {"guided_choice": None, "guided_json": None},
    ],
)
def test_null_is_no_constraint(fields: dict[str, Any]) -> None:
    assert constraint_of({"messages": [], **fields}) is None


async def test_null_beside_a_constraint_is_no_second_one() -> None:
    given = {"regex": None, "choice": None, "json": {"type": "object"}}
    constraint = constraint_of({"messages": [], "structured_outputs": given})
    assert constraint is not None
    await constraint.check("{}", finish_reason="stop")
    with pytest.raises(ServerError, match="did not enforce the JSON schema"):
        await constraint.check("[]", finish_reason="stop")


@pytest.mark.parametrize(
    ("kind", "value", "good", "bad"),
    [
        ("regex", r"\d+", "12", "12-"),
        ("choice", ["yes", "no"], "yes", "yes, sir"),
        ("json", {"type": "object"}, "{}", "[]"),
    ],
)
async def test_a_text_obeys_or_not(kind: str, value: Any, good: str, bad: str) -> None:
    await check(kind, value, good)
    with pytest.raises(ServerError, match="did not enforce"):
        await check(kind, value, bad)
