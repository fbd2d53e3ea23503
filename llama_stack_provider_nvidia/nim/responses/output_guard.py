"""Check that a response obeys the constraint that its request set."""

from collections.abc import Mapping
from typing import Any

import msgspec

from .. import errors
from ..dialect import Dialect
from ..requests.field_mapping import resolve_aliases
from ..requests.field_table import schema_of
from .constraint_process import problem_of


class Constraint:
    """Constraint on a response's text: a JSON schema, a regex or a list of choices."""

    def __init__(self, kind: str, value: Any, field: str) -> None:
        """Take a constraint whose type has been checked, apart from a JSON schema's.

        Args:
            kind: `regex`, `choice`, `JSON schema` or `JSON object`.
            value: As the request has it.
            field: Where the request has it.

        Raises:
            InvalidRequestError: It is no JSON schema.
        """
        self.kind = kind
        self._value = value
        self._field = field
        if kind == "JSON schema" and not isinstance(value, dict | bool):
            raise errors.invalid(field, "must be a JSON schema, which is an object")

    async def validate(self) -> None:
        """Check the constraint itself.

        Raises:
            InvalidRequestError: It is not a schema or a regular expression, or cannot be checked.
        """
        if self.kind in ("regex", "JSON schema"):
            await problem_of(self.kind, self._value, None, self._field)

    async def check(self, text: str, *, finish_reason: str | None) -> None:
        """Check a whole text.

        Raises:
            ServerError: It does not obey; the text says in what.
            InvalidRequestError: It was cut by ``max_tokens``, or the constraint cannot be checked.
        """
        if finish_reason == "length":
            raise errors.make(
                "output_truncated",
                f"The response was cut by max_tokens before it could fit the {self.kind}.",
            )
        if problem := await self._problem(text):
            raise errors.make(
                "constraint_not_met",
                f"The NIM did not enforce the {self.kind}: its response {problem}.",
            )

    async def _problem(self, text: str) -> str | None:
        if self.kind == "choice":
            return None if text in self._value else f"is none of {', '.join(self._value)}"
        if self.kind == "JSON object":
            return _object_problem(text)
        return await problem_of(self.kind, self._value, text, self._field)


def _object_problem(text: str) -> str | None:
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        return f"is not JSON ({error})"
    return None if isinstance(answer, dict) else "is not an object"


class OutputGuard:
    """Collects the text of each choice as it arrives, and checks it when the choice has ended."""

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._texts: dict[int, list[str]] = {}
        self._passed: set[int] = set()
        self._ended: list[tuple[str, str | None]] = []

    def feed(self, chunk: Any) -> list[Any]:
        """Take a chunk, or a whole response, of any codec."""
        for choice in chunk.choices or ():
            index = choice.index or 0
            texts = self._texts.setdefault(index, [])
            message = getattr(choice, "message", None)
            written = message if message is not None else getattr(choice, "delta", choice)
            texts.append(getattr(written, "content", None) or getattr(written, "text", None) or "")
            if getattr(written, "tool_calls", None):
                self._passed.add(index)  # the model calls a tool in place of an answer
            if choice.finish_reason or message is not None:
                self._end(index, choice.finish_reason)
        return [chunk]

    def close(self) -> list[Any]:
        """End the choices that the NIM has left without a finish reason; return nothing."""
        for index in self._texts:
            self._end(index, None)
        return []

    def _end(self, index: int, finish_reason: str | None) -> None:
        if index not in self._passed:
            self._passed.add(index)
            self._ended.append(("".join(self._texts[index]), finish_reason))

    async def check(self) -> None:
        """Check the choices that have ended since the last time.

        Raises:
            ServerError: One does not obey.
            InvalidRequestError: One was cut, or the constraint cannot be checked.
        """
        while self._ended:
            text, finish_reason = self._ended.pop(0)
            await self._constraint.check(text, finish_reason=finish_reason)


def constraint_of(body: Mapping[str, Any]) -> Constraint | None:
    """Return the constraint that a request sets, if a response can be checked against it.

    A grammar is none of them: there is no parser here to check it with.

    Args:
        body: The request as ``place`` takes it.
    """
    request = resolve_aliases(body, Dialect.NIM1)
    structured = request.get("structured_outputs") or {}
    for kind in ("regex", "choice"):
        if kind in structured:
            return Constraint(kind, structured[kind], f"structured_outputs.{kind}")
    response_format = request.get("response_format") or {}
    if "json" in structured:
        return Constraint("JSON schema", structured["json"], "structured_outputs.json")
    if response_format.get("type") == "json_schema":
        field = "response_format.json_schema.schema"
        return Constraint("JSON schema", schema_of(response_format), field)
    if response_format.get("type") == "json_object":
        return Constraint("JSON object", None, "response_format")
    return None
