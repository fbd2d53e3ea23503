"""JSON schemas: whatever is answered validates."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nim_emulator.constrained_output import Hints, UnsatisfiableError, instance_for, merge

TEXT = "My name is Ada Lovelace and I am 36, in Paris with 2.5 cats."
NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
    "required": ["value"],
}
TREE = {
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                "right": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]},
            },
            "required": ["left", "right"],
        }
    },
    "$ref": "#/$defs/tree",
}
REFS = {
    "definitions": {
        "a": {"properties": {"x": {"type": "integer"}}, "required": ["x"]},
        "b": {"properties": {"y": {"const": 4}}, "required": ["y"]},
    },
    "type": "object",
    "allOf": [{"$ref": "#/definitions/a"}, {"$ref": "#/definitions/b"}],
}
SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "null"},
    {"type": ["null", "string"]},
    {"type": "boolean"},
    {"const": {"a": [1]}},
    {"enum": [3, "x", None]},
    {"type": "string", "enum": [1, "y"]},
    {"type": "string", "minLength": 7, "maxLength": 9},
    {"type": "string", "maxLength": 0},
    {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
    {"type": "string", "pattern": "[0-9]$", "minLength": 30},
    {"type": "string", "pattern": "^[a-z]", "minLength": 30},
    *({"type": "string", "format": name} for name in (
        "date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri",
        "uuid", "json-pointer", "regex", "unheard-of")),
    {"type": "integer", "minimum": 5},
    {"type": "integer", "exclusiveMinimum": 5, "maximum": 6},
    {"type": "integer", "multipleOf": 7, "minimum": 10},
    {"type": "integer", "multipleOf": 2.5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.01},
    {"type": "number", "minimum": -0.5, "maximum": -0.25},
    {"type": "number", "multipleOf": 0.25, "minimum": 0.1},
    {"type": "number", "maximum": -5},
    {"minimum": 3},
    {"not": {"type": ["string", "object"]}},
    {"type": "array", "minItems": 3},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}], "items": False},
    {"type": "array", "items": {"type": "object"}, "uniqueItems": True},
    {"type": "array", "contains": {"const": 7}, "items": {"type": "integer"}},
    {"type": "array", "contains": {"const": 7}, "minContains": 2, "minItems": 4},
    {"type": "array", "items": {"not": {}}},
    {"type": "array", "items": {"type": "number"}, "maxItems": 0},
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array",
        "items": [{"type": "integer"}], "additionalItems": {"type": "boolean"}, "minItems": 3},
    {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer", "minimum": 3,
        "exclusiveMinimum": True},
    {"properties": {"a": {"type": "integer"}}},
    {"type": "object", "minProperties": 3},
    {"type": "object", "minProperties": 1, "maxProperties": 1,
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}}},
    {"type": "object", "minProperties": 2, "patternProperties": {"^x": {"type": "integer"}},
        "additionalProperties": False},
    {"type": "object", "minProperties": 2, "propertyNames": {"pattern": "^k[0-9]+$"}},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a", "b"],
        "patternProperties": {"a": {"minimum": 9}}, "additionalProperties": {"type": "null"}},
    {"type": "object", "properties": {"a": False, "b": {"type": "null"}}},
    {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"],
        "dependentRequired": {"a": ["c"]}},
    {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
    {"anyOf": [False, {"type": "string", "minLength": 2}], "maxLength": 4},
    {"anyOf": [{"minimum": 2}], "allOf": [{"anyOf": [{"type": "integer"}]}], "maximum": 9},
    {"allOf": [{"type": "integer"}, {"minimum": 5}, {"maximum": 8, "enum": [1, 6]}]},
    {"allOf": [{"type": "number"}, {"type": "integer"}, {"type": ["integer", "string"]}]},
    {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "type": "object",
        "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"if": {"type": "string"}, "then": False, "else": {"type": "integer"}},
    NODE | {"$defs": {"node": NODE}},
    TREE,
    {"$id": "https://example.com/root", "$defs": {"n": {"$anchor": "n", "type": "integer"}},
        "$ref": "#n"},
    {"$dynamicAnchor": "here", "type": "object", "properties": {"a": {"$dynamicRef": "#here"}}},
    REFS,
    {"type": "object", "properties": {"a": {"type": "object", "properties": {
        "b": {"type": "array", "items": {"type": "object", "properties": {
            "c": {"type": "string"}}, "required": ["c"]}}}}}},
]  # fmt: skip


@pytest.mark.parametrize("text", ["", TEXT])
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_instances_validate(schema: Any, text: str) -> None:
    for seed in range(3):
        instance = instance_for(schema, Hints.of(text), random.Random(seed))
        cls = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        cls(schema, format_checker=cls.FORMAT_CHECKER).validate(instance)
        assert instance_for(schema, Hints.of(text), random.Random(seed)) == instance


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (False, "no instance"),
        ({"type": "dog"}, "not valid"),
        ({"minimum": "x"}, "not valid"),
        ({"type": "string", "pattern": "("}, "not valid"),
        ({"$ref": "#/nowhere"}, "does not hold"),
        ({"$ref": "https://example.com/schema"}, "does not hold"),
        ({"$ref": "#"}, "too deep"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "too deep"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "no instance"),
        ({"type": "string", "minLength": 10**9}, "no instance"),
        ({"type": "string", "pattern": "(?!a)a"}, "no instance"),
        ({"type": "array", "minItems": 10**9}, "too deep"),
        ({"type": "array", "minItems": 3, "uniqueItems": True, "items": {"const": 1}}, "no inst"),
        ({"type": "object", "minProperties": 10**9}, "too many properties"),
        ({"type": "object", "minProperties": 1, "additionalProperties": False}, "no instance"),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "no instance"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no instance"),
        ({"allOf": [{"enum": [1]}, {"enum": [2]}]}, "no instance"),
        ({"allOf": [{"const": 1}, {"const": 2}]}, "no instance"),
        ({"type": "number", "minimum": float("inf")}, "no instance"),
    ],
)
def test_impossible_schemas(schema: Any, text: str) -> None:
    with pytest.raises(UnsatisfiableError, match=text):
        instance_for(schema, Hints.of(""), random.Random(1))


def test_optional_properties_on_demand() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "unit": {"enum": ["km", "mile"]}},
    }
    plain = instance_for(schema, Hints.of("x"), random.Random(1), optional=False)
    assert plain == {}
    said = instance_for(schema, Hints.of("in mile"), random.Random(1), optional=False)
    assert said == {"unit": "mile"}
    assert set(instance_for(schema, Hints.of(""), random.Random(1))) == {"a", "unit"}


def test_hints() -> None:
    hints = Hints.of('I met "Ada Lovelace" and I saw Paris. Then 3 of 4.5 came -2 v1.2: Bob')
    assert hints.names == ("Ada Lovelace", "Paris")
    assert hints.numbers == (3, 4.5, -2)
    assert hints.words[0] == "lovelace"


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (True, {"a": 1}, {"a": 1}),
        ({"a": 1}, True, {"a": 1}),
        (False, {}, False),
        ({}, False, False),
        ({"minimum": 1, "maxLength": 5}, {"minimum": 3, "maxLength": 4},
            {"minimum": 3, "maxLength": 4}),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}),
        ({"items": {"type": "integer"}}, {"items": {"minimum": 2}},
            {"items": {"type": "integer", "minimum": 2}}),
        ({"allOf": [1]}, {"allOf": [2]}, {"allOf": [1, 2]}),
        ({"$ref": "a"}, {"$ref": "b"}, {"$ref": "a", "allOf": [{"$ref": "b"}]}),
        ({"pattern": "a"}, {"pattern": "b"}, {"pattern": "a"}),
        ({"type": ["string", "number"]}, {"type": ["integer", "string"]},
            {"type": ["integer", "string"]}),
    ],
)  # fmt: skip
def test_merge(first: Any, second: Any, merged: Any) -> None:
    assert merge(first, second) == merged


NAMES = st.sampled_from(["a", "b", "c", "name", "$x", "ü"])
SCALARS = st.one_of(
    st.builds(lambda a, b: {"type": "integer", "minimum": min(a, b), "maximum": max(a, b)},
        st.integers(-99, 99), st.integers(-99, 99)),
    st.builds(lambda a, b: {"type": "string", "minLength": min(a, b), "maxLength": max(a, b)},
        st.integers(0, 12), st.integers(0, 12)),
    st.builds(lambda a: {"type": "number", "exclusiveMinimum": a}, st.floats(-1e6, 1e6)),
    st.builds(lambda a: {"type": "integer", "multipleOf": a}, st.integers(1, 50)),
    st.builds(lambda a: {"enum": a}, st.lists(st.integers() | st.text(max_size=5), min_size=1)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string", "format": "uuid"},
        {"type": "string", "pattern": "^[a-z]{2,5}[0-9]?$"}, {"type": ["string", "null"]}, {}]),
)  # fmt: skip


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, inner, max_size=4)
    return st.one_of(
        st.builds(
            lambda known, required, more: {
                "type": "object",
                "properties": known,
                "required": sorted(required & set(known)),
                "additionalProperties": more,
            },
            properties,
            st.sets(NAMES),
            st.booleans(),
        ),
        st.builds(lambda item, n: {"type": "array", "items": item, "minItems": n}, inner,
            st.integers(0, 3)),
        st.builds(lambda items: {"type": "array", "prefixItems": items}, st.lists(inner, min_size=1,
            max_size=3)),
        st.builds(lambda items: {"anyOf": items}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"$defs": {"p": part}, "allOf": [part]}, inner),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    schema=st.recursive(SCALARS, containers, max_leaves=8),
    text=st.sampled_from(["", TEXT]),
    seed=st.integers(0, 3),
)
def test_instances_of_generated_schemas_validate(schema: Any, text: str, seed: int) -> None:
    instance = instance_for(schema, Hints.of(text), random.Random(seed))
    jsonschema.Draft202012Validator(schema).validate(instance)
