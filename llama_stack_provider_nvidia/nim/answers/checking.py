"""Checks of an answer whose rules a caller wrote: bounded in time, and without a network.

A schema or a regular expression can be written so that trying an answer takes years, and a
schema can refer to an address. The whole server would wait for the one, and ask the other from
within its own network.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

import regex  # type: ignore[import-untyped, unused-ignore]

from ..errors import InvalidRequestError, invalid

SECONDS = 2.0
"""For one answer. A schema of hundreds of fields takes milliseconds."""

_deadline: ContextVar[float] = ContextVar("deadline")

_TOO_LONG = (
    "takes too long to check: write it without repetitions within repetitions, and without "
    "definitions that refer to each other over and over"
)


def matches(pattern: str, text: str, field: str) -> bool:
    """Tell whether a whole text matches a regular expression of Python's syntax.

    Args:
        pattern: From the request.
        text: The answer.
        field: Of the request, for errors.

    Raises:
        InvalidRequestError: It is no regular expression, or trying it takes too long.
    """
    try:
        return regex.fullmatch(pattern, text, timeout=SECONDS, concurrent=True) is not None
    except TimeoutError:
        raise invalid(field, _TOO_LONG) from None
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise invalid(field, f"is no regular expression: {error}") from None


def check_pattern(pattern: object, field: str) -> None:
    """Check that something is a regular expression.

    Raises:
        InvalidRequestError: It is none.
    """
    if not isinstance(pattern, str):
        raise invalid(field, "must be a regular expression, as a string")
    matches(pattern, "", field)


def check_schema(schema: object, field: str) -> None:
    """Check that something is a JSON schema that answers can be checked against.

    Raises:
        InvalidRequestError: It is none.
    """
    from jsonschema import SchemaError

    if not isinstance(schema, dict | bool):
        raise invalid(field, "must be a JSON schema, which is an object")
    try:
        _validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise invalid(field, f"is no JSON schema: {error.json_path}: {error.message}") from None
    except (RecursionError, regex.error) as error:
        raise invalid(field, f"is no JSON schema: {error}") from None


def schema_problem(schema: Any, answer: object, field: str) -> str | None:
    """Find what is wrong with an answer.

    Args:
        schema: From the request, checked.
        answer: Decoded JSON.
        field: Of the request, for errors.

    Returns:
        What does not fit and where, None if all does.

    Raises:
        InvalidRequestError: The schema refers to what is not in it, or takes too long.
    """
    # Imported here: most requests have no schema.
    from jsonschema_specifications import (  # type: ignore[import-untyped, unused-ignore]
        REGISTRY,
    )
    from referencing.exceptions import Unresolvable

    # With a registry of its own it fetches nothing.
    validator = _bounded(_validator_for(schema))(schema, registry=REGISTRY)
    token = _deadline.set(time.monotonic() + SECONDS)
    try:
        problem = next(validator.iter_errors(answer), None)
    except TimeoutError:
        raise invalid(field, _TOO_LONG) from None
    except Unresolvable as error:
        raise invalid(
            field, f"refers to {error.ref!r}, which is not in it: put it under $defs"
        ) from None
    except InvalidRequestError:
        raise
    except Exception as error:
        # A schema may pass its own check and still be one that cannot be carried out: the
        # library then fails in many ways, such as a recursion without an end.
        raise invalid(field, f"cannot be checked: {type(error).__name__}: {error}") from None
    finally:
        _deadline.reset(token)
    return f"does not fit at {problem.json_path}: {problem.message}" if problem else None


def _validator_for(schema: Any) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is not None and not isinstance(named, str):
        return Draft202012Validator
    return validator_for(schema, default=Draft202012Validator)


Keyword = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


@functools.cache
def _bounded(cls: Any) -> Any:
    """Make a class of validators that keep to the deadline."""
    from jsonschema.validators import extend

    own: dict[str, Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    known = {**cls.VALIDATORS, **{name: own[name] for name in own if name in cls.VALIDATORS}}
    made = {name: _in_time(check) for name, check in known.items()}
    return extend(cls, made)  # type: ignore[no-untyped-call, unused-ignore]


def _in_time(check: Keyword) -> Keyword:
    def bounded(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[Any]:
        _seconds_left()
        for error in check(validator, value, instance, schema) or ():
            _seconds_left()
            yield error

    return bounded


def _seconds_left() -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _found(pattern: str, text: str) -> bool:
    return regex.search(pattern, text, timeout=_seconds_left(), concurrent=True) is not None


def _pattern(validator: Any, value: Any, instance: Any, _: Any) -> Iterable[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not _found(value, instance):
        yield ValidationError(f"{instance!r} does not match {value!r}")


def _pattern_properties(validator: Any, value: Any, instance: Any, _: Any) -> Iterable[Any]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, inner in value.items():
        for name, item in instance.items():
            if _found(pattern, name):
                yield from validator.descend(item, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "object"):
        return
    named: Mapping[str, Any] = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name, item in instance.items():
        if name in named or any(_found(pattern, name) for pattern in patterns):
            continue
        if validator.is_type(value, "object"):
            yield from validator.descend(item, value, path=name)
        elif value is False:
            yield ValidationError(f"{name!r} was unexpected")
