"""Check a text against a JSON schema or a regular expression that a caller wrote.

Runs in a process of its own (``constraint_process``), because a schema or an expression can be
written so that checking takes years, or all memory. Imports only what a check needs.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import regex  # type: ignore[import-untyped, unused-ignore]

from ..texts import shorten

_MOST_SHOWN = 500
"""Characters of a problem's text: the libraries quote the value, however long."""


class ConstraintError(ValueError):
    """The constraint itself cannot be used; the text says why."""


def problem_of(kind: str, value: Any, text: str | None) -> str | None:
    """Return what is wrong with a text, None if it obeys the constraint.

    Args:
        kind: ``regex`` or ``JSON schema``.
        value: A regular expression of Python's syntax, or a JSON schema.
        text: To be checked whole; None checks the constraint alone.

    Raises:
        ConstraintError: The constraint cannot be used.
    """
    check = _regex_problem if kind == "regex" else _schema_problem
    try:
        problem = check(value, text)
    except ConstraintError as error:
        raise ConstraintError(shorten(str(error), _MOST_SHOWN)) from None
    return None if problem is None else shorten(problem, _MOST_SHOWN)


def _regex_problem(pattern: str, text: str | None) -> str | None:
    try:
        matches = regex.fullmatch(pattern, text or "") is not None
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ConstraintError(f"is not a regular expression: {error}") from None
    return None if matches or text is None else "does not match it"


def _schema_problem(schema: Any, text: str | None) -> str | None:
    from jsonschema import SchemaError

    validators = _validator_class(schema)
    try:
        validators.check_schema(schema, format_checker=_formats())
    except SchemaError as error:
        raise ConstraintError(f"is not a JSON schema: {error.json_path}: {error.message}") from None
    except (RecursionError, MemoryError, regex.error) as error:
        raise ConstraintError(f"is not a JSON schema: {error}") from None
    if text is None:
        return None
    try:
        instance = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({error})"
    return _mismatch(validators, schema, instance)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _mismatch(validators: Any, schema: Any, instance: object) -> str | None:
    from jsonschema_specifications import (  # type: ignore[import-untyped, unused-ignore]
        REGISTRY,
    )
    from referencing.exceptions import Unresolvable

    # With a registry of its own it fetches nothing.
    validator = _with_regex(validators)(schema, registry=REGISTRY)
    try:
        mismatch = next(validator.iter_errors(instance), None)
    except Unresolvable as error:
        raise ConstraintError(
            f"refers to {error.ref!r}, which is not in it: put it under $defs"
        ) from None
    except Exception as error:
        # A schema may pass its own check and still be impossible to carry out: the library then
        # fails in many ways, such as a recursion without an end.
        raise ConstraintError(f"cannot be checked: {type(error).__name__}: {error}") from None
    return f"does not fit at {mismatch.json_path}: {mismatch.message}" if mismatch else None


def _validator_class(schema: Any) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is not None and not isinstance(named, str):
        return Draft202012Validator
    return validator_for(schema, default=Draft202012Validator)


Keyword = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


@functools.cache
def _formats() -> Any:
    """Return what checks the patterns in a schema: by ``regex``, as texts are checked later."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())

    @checker.checks("regex", raises=regex.error)
    def is_pattern(value: object) -> bool:
        return not isinstance(value, str) or regex.compile(value) is not None

    return checker


@functools.cache
def _with_regex(cls: Any) -> Any:
    """Return the validator class with patterns read by ``regex``.

    It knows ECMAScript's Unicode properties, which ``re`` does not.
    """
    from jsonschema.validators import extend

    own: dict[str, Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    known = {name: check for name, check in own.items() if name in cls.VALIDATORS}
    return extend(cls, known)  # type: ignore[no-untyped-call, unused-ignore]


def _pattern(validator: Any, value: Any, instance: Any, _: Any) -> Iterable[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not regex.search(value, instance):
        yield ValidationError(f"{instance!r} does not match {value!r}")


def _pattern_properties(validator: Any, value: Any, instance: Any, _: Any) -> Iterable[Any]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, inner in value.items():
        for name, item in instance.items():
            if regex.search(pattern, name):
                yield from validator.descend(item, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "object"):
        return
    named: Mapping[str, Any] = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name, item in instance.items():
        if name in named or any(regex.search(pattern, name) for pattern in patterns):
            continue
        if validator.is_type(value, "object"):
            yield from validator.descend(item, value, path=name)
        elif value is False:
            yield ValidationError(f"{name!r} was unexpected")
