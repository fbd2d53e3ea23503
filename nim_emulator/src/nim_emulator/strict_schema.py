"""Strict validation of request fields: unknown, missing and out-of-range ones.

These checks look at the body as it came, before its types are checked, and report problems as
a list, so that a dialect can name all of them in one error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .dialect import Dialect, Limit
from .errors import Problem, RefusalError

Json = dict[str, Any]


def check_raw(dialect: Dialect, body: Json) -> None:
    """Check what the dialect checks in the body as it came.

    Raises:
        RefusalError: A field is not implemented, or has a value that is not allowed.
    """
    for name, message in dialect.not_implemented.items():
        if name in body:
            raise RefusalError(message, status=501)
    if dialect.checks_logit_bias:
        _check_logit_bias(dialect, body.get("logit_bias"))
    if dialect.closed_strict_tools:
        _check_strict_tools(body.get("tools"))


def _check_logit_bias(dialect: Dialect, bias: object) -> None:
    most = dialect.most_bias
    for key, value in bias.items() if isinstance(bias, dict) else ():
        if not (key.isdecimal() and int(key) < 2**32):
            raise RefusalError(
                "Logit bias key must be a non-negative 32-bit integer token id",
                rule="logit_bias",
                param="logit_bias",
                value=key,
            )
        if most is not None and isinstance(value, int | float) and not -most <= value <= most:
            raise RefusalError(
                f"Logit bias for token '{key}' must be between -{most:g} and {most:g}, got {value}"
            )


def _check_strict_tools(tools: object) -> None:
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or function.get("strict") is not True:
            continue
        parameters = function.get("parameters")
        if isinstance(parameters, dict) and parameters.get("additionalProperties") is not False:
            raise RefusalError(
                f"Invalid schema for function '{function.get('name')}': In context=#, object "
                "schemas require additionalProperties: false"
            )


def unknown_fields(dialect: Dialect, fields: frozenset[str], body: Json) -> list[Problem]:
    """Return the fields that the dialect refuses."""
    if not dialect.refuses_unknown:
        return []
    problems = [extra_field(("body", name), body[name]) for name in body if name not in fields]
    nvext = body.get("nvext")
    if isinstance(nvext, dict) and dialect.nvext_fields is not None and "nvext" in fields:
        problems += [
            extra_field(("body", "nvext", name), nvext[name])
            for name in nvext
            if name not in dialect.nvext_fields
        ]
    problems += _message_fields(dialect, body)
    return problems


def missing_fields(dialect: Dialect, fields: frozenset[str], body: Json) -> list[Problem]:
    """Return what the dialect requires beyond what all require."""
    problems = []
    if dialect.model_required and body.get("model") is None:
        problems.append({"type": "missing", "loc": ("body", "model"), "msg": "Field required"})
    if dialect.schema_name_required:
        problems += _schema_name(body)
    return [*problems, *_tool_parts(dialect, body if "tools" in fields else {})]


def _schema_name(body: Json) -> Iterator[Problem]:
    given = body.get("response_format")
    schema = given.get("json_schema") if isinstance(given, dict) else None
    if isinstance(schema, dict) and "name" not in schema:
        place = ("body", "response_format", "json_schema", "name")
        yield {"type": "missing", "loc": place, "msg": "Field required"}


def out_of_range(dialect: Dialect, body: Json) -> list[Problem]:
    """Return the fields whose values are out of the dialect's ranges.

    Each problem has the value as ``input``.
    """
    problems = []
    for name, limit in dialect.limits.items():
        value = body.get(name)
        if limit.length:
            if value is None:
                continue
            value = len(value) if isinstance(value, list) else 1
        if isinstance(value, int | float) and (problem := _outside(limit, value)):
            kind, text = problem
            problems.append({"type": kind, "loc": ("body", name), "msg": text, "input": body[name]})
    return problems


def _outside(limit: Limit, value: float) -> tuple[str, str] | None:
    if limit.length:
        return _length(limit, value)
    what = "Input should be"
    if limit.low is not None and limit.above and value <= limit.low:
        return "greater_than", f"{what} greater than {limit.low:g}"
    if limit.low is not None and value < limit.low:
        return "greater_than_equal", f"{what} greater than or equal to {limit.low:g}"
    if limit.high is not None and value > limit.high:
        return "less_than_equal", f"{what} less than or equal to {_plain(limit.high)}"
    return None


def _length(limit: Limit, value: float) -> tuple[str, str] | None:
    if limit.low is not None and value < limit.low:
        return "too_short", f"List should have at least {_plain(limit.low)} items, not {value}"
    if limit.high is not None and value > limit.high:
        return "too_long", f"List should have at most {_plain(limit.high)} items, not {value}"
    return None


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _message_fields(dialect: Dialect, body: Json) -> Iterator[Problem]:
    known = dialect.message_fields
    messages = body.get("messages")
    if known is None or not isinstance(messages, list):
        return
    for index, message in enumerate(messages):
        for name in message if isinstance(message, dict) else ():
            if name not in known:
                yield extra_field(("body", "messages", index, name), message[name])


def _tool_parts(dialect: Dialect, body: Json) -> Iterator[Problem]:
    tools = body.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            continue
        place = ("body", "tools", index, "function")
        for part in dialect.tool_parts:
            if function.get(part) is None:
                yield {"type": "missing", "loc": (*place, part), "msg": "Field required"}
        if "strict" in function and not dialect.strict_tools:
            yield extra_field((*place, "strict"), function["strict"])


def extra_field(loc: tuple[str | int, ...], value: object) -> Problem:
    """Return the problem of a field that is refused."""
    return {
        "type": "extra_forbidden",
        "loc": loc,
        "msg": "Extra inputs are not permitted",
        "input": value,
    }
