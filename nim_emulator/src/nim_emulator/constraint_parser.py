"""Reads the output constraint of a request from the fields of each dialect."""

from __future__ import annotations

import json
import re
from typing import Any

from .constrained_output import Constraint
from .dialect import Dialect
from .errors import RefusalError, literal_error
from .request_models import (
    ChatRequest,
    CompletionRequest,
    NamedChoice,
    Nvext,
    ResponseFormat,
    StructuredOutputs,
)


def read_constraint(
    dialect: Dialect, request: ChatRequest | CompletionRequest
) -> Constraint | None:
    """Return the constraint of a request.

    Raises:
        RefusalError: It is incomplete, unknown to the dialect, or one of several.
    """
    found: list[Constraint] = []
    if request.response_format is not None:
        found += _from_response_format(dialect, request.response_format)
    if request.structured_outputs is not None:
        found += _from_structured_outputs(request.structured_outputs)
    if request.nvext is not None:
        found += _from_guided(request.nvext)
    guided = _from_guided(request)
    found = guided if guided and dialect.guided_first else [*found, *guided]
    if request.regex is not None:
        found.append(Constraint("regex", request.regex))
    if request.ebnf is not None:
        found.append(Constraint("grammar", request.ebnf))
    if not found:
        return None
    if len(found) > 1:
        kinds = ", ".join(item.kind for item in found)
        raise RefusalError(
            "You can only use one kind of guided decoding or structured outputs constraint but "
            f"multiple are specified: {kinds}.",
            rule="constraints",
            facts={"kinds": kinds},
        )
    if found[0].kind == "choice" and not found[0].value:
        raise RefusalError("Choice '[]' cannot be an empty list")
    if dialect.constraint_with_tool and isinstance(
        getattr(request, "tool_choice", None), NamedChoice
    ):
        raise RefusalError(
            "You can only either use constraints for structured outputs or tools, not both."
        )
    return found[0]


def _from_response_format(dialect: Dialect, given: ResponseFormat) -> list[Constraint]:
    if given.type not in dialect.response_formats:
        raise literal_error("response_format.type", sorted(dialect.response_formats), given.type)
    if given.type == "text":
        return []
    if given.type == "json_object":
        return [Constraint("json_object")]
    if given.json_schema is None or given.json_schema.json_schema is None:
        raise RefusalError(
            "You must use one kind of structured outputs constraint but none are specified: "
            "response_format has no json_schema.schema.",
            rule="schema",
        )
    return [Constraint("json", given.json_schema.json_schema)]


def _from_structured_outputs(given: StructuredOutputs) -> list[Constraint]:
    if given.structural_tag is not None:
        raise RefusalError("structured_outputs.structural_tag is not emulated")
    space = _whitespace(given.whitespace_pattern)
    if given.disable_any_whitespace:
        space = ""
    found = _constraints(space, given.json_, given.regex, given.choice, given.grammar)
    if given.json_object:
        found.append(Constraint("json_object", whitespace=space))
    if not found:
        raise RefusalError(
            "You must use one kind of structured outputs constraint but none are specified."
        )
    return found


def _from_guided(given: Nvext | ChatRequest | CompletionRequest) -> list[Constraint]:
    return _constraints(
        _whitespace(given.guided_whitespace_pattern),
        given.guided_json,
        given.guided_regex,
        given.guided_choice,
        given.guided_grammar,
    )


def _constraints(
    space: str,
    schema: dict[str, Any] | bool | str | None,
    regex: str | None,
    choice: list[str] | None,
    grammar: str | None,
) -> list[Constraint]:
    """Return the constraints that are given; of a JSON schema, what is white space as well."""
    found = [] if schema is None else [Constraint("json", _schema(schema), space)]
    if regex is not None:
        found.append(Constraint("regex", regex))
    if choice is not None:
        found.append(Constraint("choice", choice))
    if grammar is not None:
        found.append(Constraint("grammar", grammar))
    return found


def _schema(given: dict[str, Any] | bool | str) -> dict[str, Any] | bool:
    if not isinstance(given, str):
        return given
    try:
        schema = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise RefusalError(f"The JSON schema is not JSON: {error}") from None
    if not isinstance(schema, dict | bool):
        raise RefusalError("The JSON schema is neither an object nor a boolean.")
    return schema


def _whitespace(pattern: str | None) -> str:
    """Return white space that the pattern allows between tokens of JSON."""
    if pattern is None:
        return " "
    try:
        allowed = [space for space in (" ", "", "\n", "  ") if re.fullmatch(pattern, space)]
    except re.error as error:
        raise RefusalError(f"The whitespace pattern is not valid: {error}") from None
    if not allowed:
        raise RefusalError("The whitespace pattern allows no white space of JSON.")
    return allowed[0]
