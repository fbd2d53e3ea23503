"""Mapping of a request's fields to one dialect, by the field table."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

from ..dialect import Dialect
from ..errors import invalid
from ..json_types import JSONObject
from .field_table import (
    FIELD_ALIASES,
    FIELD_TABLE,
    Feature,
    FieldMapping,
    Ignored,
    MapTo,
    Unsupported,
    schema_of,
)
from .field_types import validate_field_types

logger = logging.getLogger(__name__)


VALIDATED_LOCALLY = frozenset(f"structured_outputs.{kind}" for kind in ("json", "regex", "choice"))
"""Constraints that a response can be validated against here, where the NIM does not enforce them.
"""


def map_fields(
    body: Mapping[str, Any], dialect: Dialect, *, skip_unenforceable: bool = False
) -> JSONObject:
    """Map the fields of a request to where one dialect takes them.

    Args:
        body: OpenAI's fields, and beside them vLLM's, NIM 1.x's ``nvext`` or ``guided_*``.
        dialect: Who reads the result.
        skip_unenforceable: Leave out a constraint of ``VALIDATED_LOCALLY`` that the dialect
            cannot enforce: the caller validates the response.

    Returns:
        A new body; the given one is not changed.

    Raises:
        InvalidRequestError: The dialect has no such feature, or would ignore it silently. The
            text names both and says what can be done.
    """
    mapped = resolve_aliases(body, dialect)
    structured = dict(mapped.pop("structured_outputs", None) or {})
    completion = "prompt" in mapped
    if completion and _is_schema(mapped.get("response_format")):
        structured.setdefault("json", schema_of(mapped.pop("response_format")))
    for feature in FIELD_TABLE:
        top, _, inner = feature.field.partition(".")
        holder, name = (structured, inner) if inner else (mapped, top)
        if name in holder and _applies(feature, holder[name]):
            mapping = feature.mapping_for(dialect, completion=completion)
            value = holder.pop(name)
            unsupported = isinstance(mapping, Unsupported)
            if unsupported and (value is None or value in feature.no_op):
                continue
            if not (unsupported and skip_unenforceable and feature.field in VALIDATED_LOCALLY):
                _map_field(mapped, feature, mapping, value, dialect)
    if structured:
        # Options of vLLM's beside the constraint, such as disable_any_whitespace.
        if dialect is not Dialect.NIM2_VLLM:
            raise invalid(
                f"structured_outputs.{next(iter(structured))}",
                f"a NIM of dialect {dialect} does not have it: leave it out",
                code="unsupported_field",
            )
        mapped["structured_outputs"] = {**mapped.get("structured_outputs", {}), **structured}
    return _map_tools(mapped, dialect)


def resolve_aliases(body: Mapping[str, Any], dialect: Dialect) -> JSONObject:
    """Rename the fields of other generations of NIM to the names that the field table has.

    A caller who wrote for NIM 1.x or for an older vLLM is understood by every NIM. Other fields
    of ``nvext`` stay there for the dialects that have one. Null is as if left out.

    Raises:
        InvalidRequestError: A field is of a type that no NIM takes, two spellings of one field
            differ, or ``nvext`` holds what this dialect does not have.
    """
    validate_field_types(body)
    result = {k: v for k, v in body.items() if k != "nvext" and k not in FIELD_ALIASES}
    if structured := result.get("structured_outputs"):
        result["structured_outputs"] = _without_nulls(structured)
    written = [
        ("nvext.", _without_nulls(body.get("nvext") or {})),
        ("", _without_nulls({k: v for k, v in body.items() if k in FIELD_ALIASES})),
    ]
    rest: JSONObject = {}
    for prefix, fields in written:
        for name, value in fields.items():
            if name in FIELD_ALIASES:
                _set(result, FIELD_ALIASES[name], value, f"{prefix}{name}")
            else:
                rest[name] = value
    if rest:
        if dialect not in (Dialect.NIM1, Dialect.DYNAMO):
            raise invalid(
                f"nvext.{next(iter(rest))}",
                f"a NIM of dialect {dialect} has no `nvext`: leave it out",
                code="unsupported_field",
            )
        result["nvext"] = rest
    return result


def _without_nulls(fields: Mapping[str, Any]) -> JSONObject:
    return {name: value for name, value in fields.items() if value is not None}


def _map_field(
    mapped: JSONObject, feature: Feature, mapping: FieldMapping, value: Any, dialect: Dialect
) -> None:
    match mapping:
        case Unsupported(workaround=workaround):
            problem = f"a NIM of dialect {dialect} has no {feature.name}: {workaround}"
            raise invalid(feature.field, problem, code="unsupported_field")
        case Ignored():
            _log_ignored(feature.field, dialect)
        case MapTo(path=path, convert=convert):
            _set(mapped, path, convert(value) if convert else value, feature.field)


@functools.cache
def _log_ignored(field: str, dialect: Dialect) -> None:
    """Log it once, not with every request."""
    logger.warning("%s is not sent: a NIM of dialect %s does not take it.", field, dialect)


def _applies(feature: Feature, value: Any) -> bool:
    """Return whether a value is the feature: of ``response_format``, a JSON schema alone is."""
    return feature.field != "response_format" or _is_schema(value)


def _is_schema(response_format: Any) -> bool:
    return isinstance(response_format, dict) and response_format.get("type") == "json_schema"


def _set(body: JSONObject, path: str, value: Any, field: str) -> None:
    """Set a value at a path.

    Raises:
        InvalidRequestError: Another value stands there; ``field`` is named.
    """
    top, _, inner = path.partition(".")
    holder = body
    name = top
    if inner:
        holder = body[top] = {**(body.get(top) or {})}
        name = inner
    if name in holder and holder[name] != value:
        raise invalid(field, f"says something else than `{path}`: send one of them")
    holder[name] = value


def _map_tools(mapped: JSONObject, dialect: Dialect) -> JSONObject:
    tools = mapped.get("tools")
    if not tools:
        if tools == [] and dialect is Dialect.DYNAMO:
            del mapped["tools"]  # "tools array cannot be empty" (Dynamo 1.6.1)
        return mapped
    forced = mapped.get("tool_choice") not in (None, "auto", "none")
    if dialect in (Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG) and forced:
        return {**mapped, "tools": [_with_strict(tool) for tool in tools]}
    if dialect in (Dialect.NIM1, Dialect.HOSTED):
        return {**mapped, "tools": [_without_strict(tool, dialect) for tool in tools]}
    return mapped


def _with_strict(tool: JSONObject) -> JSONObject:
    """Have the arguments of a forced call fit their schema.

    vLLM 0.31 and SGLang 0.5.23 force the name alone otherwise: ``"arguments": "false"`` comes back
    for a tool with required parameters (observed 2026-11).
    """
    return {**tool, "function": {"strict": True, **tool.get("function", {})}}


def _without_strict(tool: JSONObject, dialect: Dialect) -> JSONObject:
    """Remove ``strict``, which NIM 1.x and hosted models refuse as an unknown field."""
    function = tool.get("function")
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    if function["strict"]:
        _log_ignored("tools[].function.strict", dialect)
    return {**tool, "function": {k: v for k, v in function.items() if k != "strict"}}
