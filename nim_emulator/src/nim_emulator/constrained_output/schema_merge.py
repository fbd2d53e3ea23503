"""Merges two JSON schemas into one that requires both."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any] | bool

_LARGER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_SMALLER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_NESTED = ("items", "additionalProperties", "propertyNames", "contains")


def merge(first: Schema, second: Schema) -> Schema:
    """Return a schema whose instances are likely to validate against both.

    What cannot be said in one schema (two patterns, two ``not``) is kept from the first and
    left to the validator, which checks every instance against the original anyway.

    Args:
        first: A JSON schema.
        second: Another.

    Returns:
        One schema; False when the two exclude each other openly.
    """
    if first is False or second is False:
        return False
    if first is True or not first:
        return second
    if second is True or not second:
        return first
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    result = dict(first)
    for key, value in second.items():
        if key not in result:
            result[key] = value
        elif not _merge_key(result, key, value):
            return False
    return result


def _merge_key(result: dict[str, Any], key: str, value: Any) -> bool:
    """Merge one keyword that both schemas have; return False when they exclude each other."""
    held = result[key]
    if key == "type":
        result[key] = _common_types(held, value)
        return bool(result[key])
    if key == "enum":
        result[key] = [item for item in held if item in value]
        return bool(result[key])
    if key == "const":
        return bool(held == value)
    if key in ("$ref", "anyOf", "oneOf") and held != value:
        # Both must hold: the second waits as a conjunct until the first is resolved.
        result["allOf"] = [*result.get("allOf", ()), {key: value}]
    elif key == "required":
        result[key] = list(dict.fromkeys([*held, *value]))
    elif key == "allOf":
        result[key] = [*held, *value]
    elif key in _LARGER:
        result[key] = max(held, value)
    elif key in _SMALLER:
        result[key] = min(held, value)
    elif key in _BY_NAME:
        result[key] = {
            name: merge(held[name], value[name])
            if name in held and name in value
            else (held[name] if name in held else value[name])
            for name in [*held, *(name for name in value if name not in held)]
        }
    elif key in _NESTED and not isinstance(held, list) and not isinstance(value, list):
        result[key] = merge(held, value)
    return True


def _common_types(first: str | list[str], second: str | list[str]) -> str | list[str]:
    a = {first} if isinstance(first, str) else set(first)
    b = {second} if isinstance(second, str) else set(second)
    both = a & b
    # Every integer is a number.
    if "integer" in a | b and "number" in a | b:
        both.add("integer")
    ordered = sorted(both)
    return ordered[0] if len(ordered) == 1 else ordered
