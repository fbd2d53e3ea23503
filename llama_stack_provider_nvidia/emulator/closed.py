"""What a dialect knows of a request: fields, fields of messages, parts of tools, ranges.

These checks look at the body as it came, before its types are checked, and report problems as
a list, so that a dialect can name all of them in one error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .dialect import Dialect, Limit
from .errors import Problem

Json = dict[str, Any]


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
    return [*problems, *_tool_parts(dialect, body if "tools" in fields else {})]


def out_of_range(dialect: Dialect, body: Json) -> list[Problem]:
    """Return the fields whose values are out of the dialect's ranges."""
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
    what = "List should have a length" if limit.length else "Input should be"
    if limit.low is not None and limit.above and value <= limit.low:
        return "greater_than", f"{what} greater than {limit.low:g}"
    if limit.low is not None and value < limit.low:
        return "greater_than_equal", f"{what} greater than or equal to {limit.low:g}"
    if limit.high is not None and value > limit.high:
        return "less_than_equal", f"{what} less than or equal to {_plain(limit.high)}"
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
