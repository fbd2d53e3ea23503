"""The one request builder: reads the table of ``nim.requests.placements``."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

from ..dialect import Dialect
from ..errors import invalid
from .forms import check_forms
from .placements import SPELLINGS, TABLE, At, Cell, Dropped, Feature, Refused, schema_of

logger = logging.getLogger(__name__)


# What an answer can be checked against here, where the NIM does not enforce it.
CHECKED = frozenset(f"structured_outputs.{kind}" for kind in ("json", "regex", "choice"))


def place(body: Mapping[str, Any], dialect: Dialect, *, unenforced: bool = False) -> dict[str, Any]:
    """Write a request the way one dialect takes it.

    Args:
        body: OpenAI's fields, and beside them vLLM's, NIM 1.x's ``nvext`` or ``guided_*``.
        dialect: Who will read it.
        unenforced: Leave out a constraint that the dialect cannot enforce and ``CHECKED`` names:
            the caller checks the answer.

    Returns:
        A new body; the given one is left as it is.

    Raises:
        InvalidRequestError: The dialect cannot carry a feature that the request uses. The text
            names both and says what can be done.
    """
    placed = canonical(body, dialect)
    structured = dict(placed.pop("structured_outputs", None) or {})
    completion = "prompt" in placed
    if completion and _is_schema(placed.get("response_format")):
        structured.setdefault("json", schema_of(placed.pop("response_format")))
    for feature in TABLE:
        top, _, inner = feature.source.partition(".")
        holder, name = (structured, inner) if inner else (placed, top)
        if name in holder and _is_meant(feature, holder[name]):
            cell = feature.cell(dialect, completion=completion)
            value = holder.pop(name)
            if not (unenforced and isinstance(cell, Refused) and feature.source in CHECKED):
                _move(placed, feature, cell, value, dialect)
    if structured:
        # Options of vLLM's beside the constraint, such as disable_any_whitespace.
        if dialect is not Dialect.NIM2_VLLM:
            raise invalid(
                f"structured_outputs.{next(iter(structured))}",
                f"a NIM of dialect {dialect} does not have it: leave it out",
            )
        placed["structured_outputs"] = {**placed.get("structured_outputs", {}), **structured}
    return _with_tools(placed, dialect)


def canonical(body: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Bring the spellings of other generations into the one form that the table starts from.

    A caller who wrote for NIM 1.x or for an older vLLM is understood by every NIM. What the
    NIM at hand calls by that very name stays as it is.

    Raises:
        InvalidRequestError: A field is of a type that no NIM takes, or ``nvext`` holds what
            only the generation it was written for knows.
    """
    check_forms(body)
    result = {key: value for key, value in body.items() if key != "nvext"}
    nvext = body.get("nvext")
    written = [
        ("nvext.", dict(nvext or {})),
        ("", {k: result[k] for k in SPELLINGS if k in result}),
    ]
    rest: dict[str, Any] = {}
    for prefix, fields in written:
        for name, value in fields.items():
            if name not in SPELLINGS:
                rest[name] = value
                continue
            if not prefix:
                del result[name]
            _put(result, SPELLINGS[name], value, f"{prefix}{name}")
    if rest:
        if dialect not in (Dialect.NIM1, Dialect.DYNAMO):
            raise invalid(
                f"nvext.{next(iter(rest))}",
                f"a NIM of dialect {dialect} has no `nvext`: leave it out",
            )
        result["nvext"] = rest
    return result


def _move(
    placed: dict[str, Any], feature: Feature, cell: Cell, value: Any, dialect: Dialect
) -> None:
    match cell:
        case Refused(instead=instead):
            problem = f"a NIM of dialect {dialect} has no {feature.name}: {instead}"
            raise invalid(feature.source, problem)
        case Dropped():
            _say_dropped(feature.source, dialect)
        case At(path=path, wrap=wrap):
            _put(placed, path, wrap(value) if wrap else value, feature.source)


@functools.cache
def _say_dropped(field: str, dialect: Dialect) -> None:
    """Say it once, not with every request."""
    logger.warning("%s is not sent: a NIM of dialect %s does not take it.", field, dialect)


def _is_meant(feature: Feature, value: Any) -> bool:
    """Tell a JSON schema from the other kinds of ``response_format``, which every NIM takes."""
    return feature.source != "response_format" or _is_schema(value)


def _is_schema(response_format: Any) -> bool:
    return isinstance(response_format, dict) and response_format.get("type") == "json_schema"


def _put(body: dict[str, Any], path: str, value: Any, source: str) -> None:
    top, _, inner = path.partition(".")
    holder = body
    name = top
    if inner:
        holder = body[top] = {**(body.get(top) or {})}
        name = inner
    if name in holder and holder[name] != value:
        raise invalid(source, f"says something else than `{path}`: send one of them")
    holder[name] = value


def _with_tools(placed: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    tools = placed.get("tools")
    if not tools:
        return placed
    forced = placed.get("tool_choice") not in (None, "auto", "none")
    if dialect is Dialect.NIM2_VLLM and forced:
        return {**placed, "tools": [_strict(tool) for tool in tools]}
    if dialect in (Dialect.NIM1, Dialect.HOSTED):
        return {**placed, "tools": [_lenient(tool, dialect) for tool in tools]}
    return placed


def _strict(tool: dict[str, Any]) -> dict[str, Any]:
    """Have the arguments of a forced call fit their schema.

    vLLM 0.31 forces the name alone otherwise: ``"arguments": "false"`` comes back for a tool
    with required parameters (observed 2026-11).
    """
    return {**tool, "function": {"strict": True, **tool.get("function", {})}}


def _lenient(tool: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Take off ``strict``, which NIM 1.x and hosted models refuse as an unknown field."""
    function = tool.get("function")
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    if function["strict"]:
        _say_dropped("tools[].function.strict", dialect)
    return {**tool, "function": {k: v for k, v in function.items() if k != "strict"}}
