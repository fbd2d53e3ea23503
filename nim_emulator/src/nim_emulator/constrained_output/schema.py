"""Generates instances of JSON schemas.

A builder proposes instances, jsonschema decides: nothing is sent that does not validate.
"""

from __future__ import annotations

import json
import random
from typing import Any, cast

import jsonschema
import referencing
import referencing.exceptions
from jsonschema.protocols import Validator

from .hints import Hints, UnsatisfiableError
from .instance_builder import Builder, ExhaustedError
from .schema_merge import Schema

_ATTEMPTS = 12


def validator_for(schema: Schema) -> Validator:
    """Return a validator for a schema.

    Raises:
        UnsatisfiableError: The schema is not a valid JSON schema.
    """
    cls = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        cls.check_schema(cast(Any, schema))
    except jsonschema.SchemaError as error:
        raise UnsatisfiableError(f"the JSON schema is not valid: {error.message}") from None
    # An empty registry: a schema must not make the emulator fetch URLs.
    return cls(schema, registry=referencing.Registry(), format_checker=cls.FORMAT_CHECKER)


def instance_for(schema: Schema, hints: Hints, rng: random.Random, *, optional: bool = True) -> Any:
    """Return an instance that validates against a schema.

    Values of the user's text are used where they fit, then minimal ones.

    Args:
        schema: A JSON schema.
        hints: Values of the user's text.
        rng: Decides where several values fit.
        optional: Fill in optional properties too; otherwise only those with a value in the
            user's text.

    Returns:
        A JSON value.

    Raises:
        UnsatisfiableError: The schema is not valid, or no instance was found.
    """
    validator = validator_for(schema)
    reason = "every attempt failed"
    for attempt in range(_ATTEMPTS):
        own = random.Random(rng.random())  # noqa: S311 - not for secrets
        builder = Builder(validator, hints, own, attempt, optional=optional)
        try:
            instance = builder.build(schema, 0)
            if validator.is_valid(instance):
                json.dumps(instance, allow_nan=False)
                return instance
        except (UnsatisfiableError, ExhaustedError, ValueError, OverflowError) as error:
            reason = str(error)
        except referencing.exceptions.Unresolvable as error:
            raise UnsatisfiableError(
                f"the JSON schema refers to what it does not hold: {error}"
            ) from None
    raise UnsatisfiableError(f"no instance was found for the JSON schema: {reason}")
