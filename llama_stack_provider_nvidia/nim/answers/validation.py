"""Whether an answer obeys the constraint that its request set."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeVar

import msgspec

from .. import errors
from ..dialect import Dialect
from ..requests.place import canonical
from .checking import check_pattern, check_schema, matches, schema_problem


class Constraint:
    """What an answer's text must be: fits a JSON schema, matches a regex, or is one of some."""

    def __init__(self, kind: str, value: Any, field: str) -> None:
        """Nothing is checked yet.

        Args:
            kind: `regex`, `choice`, `JSON schema` or `JSON object`.
            value: As the request has it.
            field: Where the request has it.

        Raises:
            InvalidRequestError: It is none of its kind.
        """
        self.kind = kind
        self._value = value
        self._field = field
        if kind == "regex":
            check_pattern(value, field)
        elif kind == "choice":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise errors.invalid(field, "must be a list of strings")
        elif kind == "JSON schema":
            check_schema(value, field)

    def check(self, text: str, *, finish_reason: str | None) -> None:
        """Check a whole answer.

        Raises:
            ServerError: It does not obey; the text says in what.
        """
        if finish_reason == "length":
            raise errors.ServerError(
                f"The answer was cut by max_tokens before it could fit the {self.kind}: raise it."
            )
        if problem := self._problem(text):
            raise errors.ServerError(
                f"The NIM did not enforce the {self.kind}: its answer {problem}. Set `dialect` if "
                "the NIM is not what it was taken for, or use a NIM that enforces it."
            )

    def _problem(self, text: str) -> str | None:
        if self.kind == "regex":
            return None if matches(self._value, text, self._field) else "does not match it"
        if self.kind == "choice":
            return None if text in self._value else f"is none of {', '.join(self._value)}"
        try:
            answer = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            return f"is not JSON ({error})"
        if self.kind == "JSON object":
            return None if isinstance(answer, dict) else "is not an object"
        return schema_problem(self._value, answer, self._field)


Chunk = TypeVar("Chunk")


class Follower:
    """Collects the text of each choice as it arrives, and checks it when the choice ends."""

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._texts: dict[int, list[str]] = {}

    def see(self, chunk: Any) -> None:
        """Take a chunk, or a whole answer, of whatever class.

        Raises:
            ServerError: A choice has ended and does not obey.
        """
        for choice in chunk.choices or ():
            texts = self._texts.setdefault(choice.index or 0, [])
            message = getattr(choice, "message", None)
            written = message if message is not None else getattr(choice, "delta", choice)
            texts.append(getattr(written, "content", None) or getattr(written, "text", None) or "")
            if getattr(written, "tool_calls", None) or choice.finish_reason == "tool_calls":
                continue  # the model called a tool in place of an answer
            if choice.finish_reason or message is not None:
                self._constraint.check("".join(texts), finish_reason=choice.finish_reason)


def checked(answer: Any, constraint: Constraint) -> None:
    """Check a whole answer.

    Raises:
        ServerError: It does not obey.
    """
    Follower(constraint).see(answer)


async def checked_stream(
    chunks: AsyncGenerator[Chunk, None], constraint: Constraint
) -> AsyncGenerator[Chunk, None]:
    """Hand a stream on, and fail at its end if the answer does not obey."""
    follower = Follower(constraint)
    try:
        async for chunk in chunks:
            follower.see(chunk)
            yield chunk
    finally:
        await chunks.aclose()


def constraint_of(body: Mapping[str, Any]) -> Constraint | None:
    """Find the constraint that a request sets and an answer can be checked against.

    A grammar is none of them: there is no parser here to check it with.

    Args:
        body: The request as ``place`` takes it.
    """
    request = canonical(body, Dialect.NIM1)
    structured = request.get("structured_outputs") or {}
    for kind in ("regex", "choice"):
        if kind in structured:
            return Constraint(kind, structured[kind], f"structured_outputs.{kind}")
    response_format = request.get("response_format") or {}
    if "json" in structured:
        return Constraint("JSON schema", structured["json"], "structured_outputs.json")
    if response_format.get("type") == "json_schema":
        return Constraint(
            "JSON schema",
            (response_format.get("json_schema") or {}).get("schema"),
            "response_format.json_schema.schema",
        )
    if response_format.get("type") == "json_object":
        return Constraint("JSON object", None, "response_format")
    return None
