"""Rules that callers write for answers: checked within bounds, and without a network."""

import socket
import threading
import time
from typing import Any

import pytest
from hypothesis import given

from llama_stack_provider_nvidia.nim.answers import checking
from llama_stack_provider_nvidia.nim.answers.checking import (
    check_pattern,
    check_schema,
    matches,
    schema_problem,
)
from llama_stack_provider_nvidia.nim.answers.validation import constraint_of
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError, ServerError

from ..strategies import json_values

ENDLESS = "(a|aa)+$"
LONG = "a" * 60 + "!"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SECONDS", 0.3)


def checked(kind: str, value: Any, text: str) -> None:
    body = {"messages": [], "structured_outputs": {kind: value}}
    constraint = constraint_of(body)
    assert constraint is not None
    constraint.check(text, finish_reason="stop")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"pattern": ENDLESS}, f'"{LONG}"'),
        ({"patternProperties": {ENDLESS: {}}}, f'{{"{LONG}": 1}}'),
        ({"patternProperties": {ENDLESS: {}}, "additionalProperties": False}, f'{{"{LONG}": 1}}'),
        ({"properties": {"x": {"items": {"pattern": ENDLESS}}}}, f'{{"x": ["{LONG}"]}}'),
        (
            {
                "$ref": "#/$defs/a0",
                "$defs": {
                    f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)
                }
                | {"a40": {}},
            },
            "1",
        ),
    ],
)
def test_a_schema_cannot_hold_up_the_server(schema: dict[str, Any], text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidRequestError, match="takes too long to check"):
        checked("json", schema, text)
    assert time.perf_counter() - begun < 5


def test_a_regular_expression_cannot_hold_up_the_server() -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidRequestError, match="takes too long to check"):
        checked("regex", ENDLESS, LONG)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_schema_cannot_have_the_server_fetch(keyword: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        asked = threading.Event()

        def accept() -> None:
            try:
                server.accept()
                asked.set()
            except TimeoutError:
                pass

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(InvalidRequestError, match=r"refers to .*put it under \$defs"):
            checked("json", {keyword: address}, "1")
        thread.join()
        assert not asked.is_set()


def test_a_schema_cannot_read_files() -> None:
    with pytest.raises(InvalidRequestError, match="refers to"):
        checked("json", {"$ref": "file:///etc/passwd"}, "1")


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("regex", "(", "is no regular expression"),
        ("regex", 5, "must be a string"),
        ("choice", "a", "must be a list of strings"),
        ("choice", [1], "must be a list of strings"),
        ("json", None, "must be a JSON schema"),
        ("json", [], "must be a JSON schema"),
        ("json", {"type": "nonsense"}, "is no JSON schema"),
        ("json", {"$ref": "#"}, "cannot be checked|too long"),
        ("json", {"$ref": "#/$defs/none"}, "put it under"),
        ("json", {"$schema": 5}, "is no JSON schema"),
    ],
)
def test_what_is_no_rule_is_a_bad_request(kind: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said) as raised:
        checked(kind, value, "1")
    assert kind in str(raised.value)


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "patternProperties": {"^x_": {"type": "number"}},
    "additionalProperties": False,
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "Ann", "age": 5, "x_a": 1.5}', None),
        ('{"name": "ann"}', r"\$\.name: 'ann' does not match"),
        ('{"name": "Ann", "x_a": "b"}', r"\$\.x_a"),
        ('{"name": "Ann", "more": 1}', "'more' was unexpected"),
        ("{}", "'name' is a required property"),
        ("[]", "is not of type 'object'"),
    ],
)
def test_answers_are_checked(text: str, said: str | None) -> None:
    if said is None:
        checked("json", SCHEMA, text)
    else:
        with pytest.raises(ServerError, match=said):
            checked("json", SCHEMA, text)


def test_additional_properties_may_have_a_schema() -> None:
    schema = {"additionalProperties": {"type": "integer"}}
    assert schema_problem(schema, {"a": 1}, "f") is None
    assert "$.a" in str(schema_problem(schema, {"a": "b"}, "f"))


def test_a_schema_may_refer_to_the_one_of_schemas() -> None:
    schema = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
    assert schema_problem(schema, {"type": "string"}, "f") is None
    assert schema_problem(schema, {"type": 5}, "f")


@given(schema=json_values, answer=json_values)
def test_any_schema_and_any_answer(schema: Any, answer: Any) -> None:
    try:
        check_schema(schema, "f")
        schema_problem(schema, answer, "f")
    except InvalidRequestError:
        pass


def test_patterns_are_python_s() -> None:
    check_pattern(r"(?P<a>\d+)-(?P=a)", "f")
    assert matches(r"(?P<a>\d+)-(?P=a)", "12-12", "f")
    assert not matches(r"\d+", "12-", "f")
