"""Errors, and how each dialect writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from .dialect import Dialect, ErrorForm

Problem = dict[str, Any]


# Newer Pythons have other phrases for these.
_PHRASES = {413: "Payload Too Large", 422: "Unprocessable Entity"}

RANGE_PROBLEMS = ("greater_than", "greater_than_equal", "less_than_equal")
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
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.value = value
        self.status = status
        self.kind = kind
        self.problems = list(problems)


def invalid(problems: Sequence[Problem], status: int = 400) -> RefusalError:
    """Return the refusal of a request with fields that are unknown or of the wrong type."""
    return RefusalError(problems=problems, status=status)


def literal(field: str, allowed: Sequence[str], value: object) -> RefusalError:
    """Return the refusal of a value that is none of a few."""
    problem = {
        "type": "literal_error",
        "loc": ("body", *field.split(".")),
        "msg": f"Input should be {' or '.join(map(repr, sorted(allowed)))}",
        "input": value,
    }
    return invalid([problem])


def error_reply(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Return status and JSON body of an error."""
    return _FORMS[dialect.errors](dialect, refusal)


_Form = Callable[[Dialect, RefusalError], tuple[int, dict[str, Any]]]


def _flat(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Older vLLM servers, NIM 1.x among them, and SGLang; a printed list of problems."""
    return refusal.status, {
        "object": "error",
        "message": _text(refusal),
        "type": refusal.kind,
        "param": None,
        "code": refusal.status,
    }


def _nested(dialect: Dialect, refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """Newer vLLM servers, which name the field at fault; each problem on a line."""
    message, param, kind = refusal.message, refusal.param, refusal.kind
    if refusal.problems:
        problems = refusal.problems
        lines = [str({**item, "loc": ".".join(map(str, item["loc"]))}) for item in problems]
        plural = "" if len(lines) == 1 else "s"
        message = f"{len(lines)} validation error{plural}:\n  " + "\n  ".join(lines)
        param, kind = ".".join(map(str, problems[0]["loc"])), "Bad Request"
    if param is not None and (refusal.status, kind) == (400, "BadRequestError"):
        value = "" if refusal.value is None else f", value={refusal.value}"
        message = f"{message} (parameter={param}{value})"
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
    message = refusal.message
    if refusal.status == 400:
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
    "nested": _nested,
    "openai": _openai,
    "reason": _reason,
    "text": _string,
    "detail": _detail,
    "problem": _problem,
    "fastapi": _fastapi,
    "mixed": _mixed,
}
