"""Error responses in the form of each dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from .dialect import Dialect, ErrorForm

Problem = dict[str, Any]


# Newer Pythons have other phrases for these.
_PHRASES = {413: "Payload Too Large", 422: "Unprocessable Entity"}

_TOO_HIGH = ("less_than_equal", "too_long")
RANGE_PROBLEMS = ("greater_than", "greater_than_equal", "too_short", *_TOO_HIGH)
"""Types of problems that are about the range of a value."""


class RefusalError(Exception):
    """A request that the NIM answers with an error.

    Attributes:
        message: What the error body says, unless there are ``problems``.
        param: The field at fault, where the NIM names one.
        value: The value at fault, where the NIM prints it.
        status: HTTP status.
        kind: The ``type`` of the error body, such as ``BadRequestError``.
        problems: Fields at fault: dictionaries with ``type``, ``loc`` (a tuple), ``msg`` and
            perhaps ``input``.
        details: The reason as data, where the dialect has a place for it.
        rule: Name of the rule that is broken, a key of the dialect's ``texts``.
        facts: What the text of that rule may mention, beside ``value``.
    """

    def __init__(
        self,
        message: str = "",
        *,
        param: str | None = None,
        value: object = None,
        status: int = 400,
        kind: str = "BadRequestError",
        problems: Sequence[Problem] = (),
        details: dict[str, Any] | None = None,
        rule: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.details = details
        self.message = message
        self.param = param
        self.value = value
        self.status = status
        self.kind = kind
        self.problems = list(problems)
        self.rule = rule
        self.facts = {**(facts or {}), "value": value}


def validation_refusal(problems: Sequence[Problem], status: int = 400) -> RefusalError:
    """Return the refusal of a request with fields that are unknown or of the wrong type."""
    first = problems[0]
    if len(problems) != 1 or first["type"] not in RANGE_PROBLEMS or "input" not in first:
        return RefusalError(problems=problems, status=status)
    name, value = str(first["loc"][-1]), first["input"]
    return RefusalError(
        problems=problems,
        status=status,
        param=name,
        value=len(value) if isinstance(value, list) else value,
        rule=f"{name}.{'high' if first['type'] in _TOO_HIGH else 'low'}",
    )


def literal_error(field: str, allowed: Sequence[str], value: object) -> RefusalError:
    """Return the refusal of a value that is none of a few."""
    place = [int(part) if part.isdecimal() else part for part in field.split(".")]
    problem = {
        "type": "literal_error",
        "loc": ("body", *place),
        "msg": f"Input should be {' or '.join(map(repr, sorted(allowed)))}",
        "input": value,
    }
    return validation_refusal([problem])


def error_reply(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Return status and JSON body of an error."""
    text = text_of(dialect, refusal)
    if text is None:
        return _FORMS[dialect.errors](dialect, refusal)
    own = RefusalError(
        text.format_map(refusal.facts),
        status=refusal.status,
        kind=refusal.kind,
        param=refusal.param,
        rule=refusal.rule,
    )
    return _FORMS[dialect.errors](dialect, own)


def text_of(dialect: Dialect, refusal: RefusalError) -> str | None:
    """Return the dialect's own text of an error, with its gaps."""
    rule = refusal.rule
    return dialect.texts.get(rule) or dialect.texts.get(rule.partition(".")[0])


def error_event(dialect: Dialect, refusal: RefusalError) -> dict[str, Any]:
    """Return the event that a stream has in place of an answer."""
    _, body = error_reply(dialect, refusal)
    if dialect.errors == "reason":
        fields = {"message": "Invalid request", "type": "invalid_request_error"}
        return {"error": {**fields, "code": refusal.status}}
    if dialect.errors == "sglang":
        return {"error": {**body, "type": "BAD_REQUEST"}}
    return body


_Form = Callable[[Dialect, RefusalError], tuple[int, dict[str, Any]]]


def _flat(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Older vLLM servers, NIM 1.x among them; a printed list of problems."""
    return refusal.status, {
        "object": "error",
        "message": _text(refusal),
        "type": refusal.kind,
        "param": None,
        "code": refusal.status,
    }


def _sglang(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """SGLang: as older vLLM servers; each problem on a line."""
    status, body = _flat(dialect, refusal)
    if refusal.problems:
        body |= {"message": _lines(refusal.problems), "type": "Bad Request"}
    elif refusal.rule in ("n", "arguments"):
        body["type"] = "BadRequest"
    return status, body


def _lines(problems: Sequence[Problem]) -> str:
    lines = "".join(f"\n  {item}" for item in problems)
    return f"{len(problems)} validation error{'' if len(problems) == 1 else 's'}:{lines}"


def _nested(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Newer vLLM servers, which name the field at fault; each problem on a line."""
    message, param, kind = refusal.message, refusal.param, refusal.kind
    if refusal.problems:
        problems = [{**item, "loc": ".".join(map(str, item["loc"]))} for item in refusal.problems]
        message = _lines(problems)
        param, kind = problems[0]["loc"], "Bad Request"
    value = "" if refusal.value is None else f", value={refusal.value}"
    told = f"(parameter={param}{value})"
    if (
        param is not None
        and text_of(dialect, refusal) is None
        and (refusal.status, kind) == (400, "BadRequestError")
    ):
        message = f"{message} {told}"
    fields = {"message": message, "type": kind, "param": param, "code": refusal.status}
    return refusal.status, {"error": fields}


def _openai(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """OpenAI's own form."""
    fields = {
        "message": _text(refusal),
        "type": "invalid_request_error",
        "param": refusal.param,
        "code": None,
    }
    return refusal.status, {"error": fields}


def _reason(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Dynamo: the type is the reason phrase of the HTTP status."""
    if refusal.details is not None:
        body = {"message": "Invalid request", "type": "Bad Request", "code": refusal.status}
        return refusal.status, {**body, "details": refusal.details}
    message = refusal.message
    if refusal.status in (400, 501) and refusal.rule not in _PLAIN:
        message = f"Validation: {message}"
    extra = [item["loc"] for item in refusal.problems if item["type"] == "extra_forbidden"]
    if any(len(loc) == 2 for loc in extra):
        unknown = ", ".join(f"`{loc[1]}`" for loc in extra if len(loc) == 2)
        message = f"Validation: Unsupported parameter(s): {unknown}"
    elif refusal.problems:
        said = "; ".join(_told(item, dialect) for item in refusal.problems)
        ranges = all(item["type"] in RANGE_PROBLEMS for item in refusal.problems)
        how = "Validation" if ranges else "Failed to deserialize the JSON body into the target type"
        message = f"{how}: {said}"
    body = {
        "message": message,
        "type": _PHRASES.get(refusal.status) or HTTPStatus(refusal.status).phrase,
        "code": refusal.status,
    }
    return refusal.status, body


_PLAIN = frozenset({"constraint", "constraints", "stop.high"})
"""Rules that Dynamo's front end does not check itself: their texts have no prefix."""


def _told(problem: Problem, dialect: Dialect) -> str:
    place = ".".join(map(str, problem["loc"][1:-1]))
    if problem["type"] == "extra_forbidden" and place == "nvext":
        known = ", ".join(f"`{name}`" for name in sorted(dialect.nvext_fields or ()))
        return f"nvext: unknown field `{problem['loc'][-1]}`, expected one of {known}"
    return f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}"


def _string(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Some hosted models: the error is a text."""
    return refusal.status, {"error": _text(refusal)}


def _detail(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Some hosted models: FastAPI's list of problems."""
    details = [
        {"loc": list(item["loc"]), "msg": item["msg"], "type": item["type"]}
        for item in _problems(refusal)
    ]
    return _unprocessable(refusal), {"detail": details}


def _problem(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Some hosted models: the gateway turns the list of problems into problem details."""
    status = _unprocessable(refusal)
    lines = [
        f"{' -> '.join(map(str, item['loc']))}\n  {item['msg']} (type={item['type']})"
        for item in _problems(refusal)
    ]
    title = _PHRASES.get(status) or HTTPStatus(status).phrase
    return status, {
        "type": f"urn:inference-service:problem-details:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": "\n".join(lines),
        "instance": "/v2/nvcf/pexec/functions/5f3e7a10-0000-4000-8000-000000000000",
        "requestId": "00000000-0000-4000-8000-000000000000",
    }


def _fastapi(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """FastAPI's own form: a text, or a list of problems."""
    if refusal.problems:
        return _detail(dialect, refusal)
    return refusal.status, {"detail": refusal.message}


def _mixed(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Retriever NIMs: FastAPI's list of problems, but texts under another name."""
    if refusal.problems:
        return _detail(dialect, refusal)
    return refusal.status, {"error": refusal.message}


def _text(refusal: RefusalError) -> str:
    return str(refusal.problems) if refusal.problems else refusal.message


def _problems(refusal: RefusalError) -> list[Problem]:
    if refusal.problems:
        return refusal.problems
    loc = ("body", *([refusal.param] if refusal.param else []))
    return [{"type": "value_error", "loc": loc, "msg": refusal.message}]


def _unprocessable(refusal: RefusalError) -> int:
    return 422 if refusal.status == 400 else refusal.status


_FORMS: dict[ErrorForm, _Form] = {
    "flat": _flat,
    "sglang": _sglang,
    "nested": _nested,
    "openai": _openai,
    "reason": _reason,
    "text": _string,
    "detail": _detail,
    "problem": _problem,
    "fastapi": _fastapi,
    "mixed": _mixed,
}
