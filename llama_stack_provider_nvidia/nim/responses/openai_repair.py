"""Build the openai SDK's objects of responses that its classes refuse."""

from collections.abc import Callable
from typing import Any

from openai import BaseModel
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError

from .. import errors

PARTS_OF_THE_ANSWER = frozenset(
    (
        *("choices", "index", "message", "delta", "text", "content", "refusal", "finish_reason"),
        *("tool_calls", "function", "function_call", "name", "arguments", "id"),
        *("logprobs", "token", "tokens", "token_logprobs", "top_logprobs", "logprob"),
    )
)
"""Fields that may not be left out. All others are, where their value is wrong."""

_ATTEMPTS = 4  # what nests may take more than one


def repaired(
    body: dict[str, Any],
    kind: type[BaseModel],
    error: ValidationError,
    make: Callable[[dict[str, Any], type[BaseModel]], Any],
) -> Any:
    """Return the SDK's object of a body that its class has refused.

    A word that the SDK does not know stays as it is; a field with a wrong value that is no part of
    the answer is left out, whatever its name.

    Args:
        body: A response, or a chunk of one.
        kind: The SDK's class.
        error: Why it was refused.
        make: Makes the object, or raises such an error.

    Raises:
        ServerError: A value that is part of the answer has a wrong type; the text says where.
    """
    problems = _problems(error)
    if not problems:
        return kind.construct(**body)
    for choice in body["choices"]:
        # Readers take them for granted.
        if kind is Completion:
            choice["text"] = choice.get("text") or ""
        elif kind is ChatCompletionChunk:
            choice["delta"] = choice.get("delta") or {}
    for _ in range(_ATTEMPTS):
        for problem in problems:
            _remove_optional(body, problem["loc"])
        try:
            return make(body, kind)
        except ValidationError as still:
            problems = _problems(still)
        if not problems:
            return kind.construct(**body)
    where = ".".join(map(str, problems[0]["loc"]))
    raise errors.malformed(f"The NIM's response cannot be read: {where}: {problems[0]['msg']}.")


def _problems(error: ValidationError) -> list[Any]:
    """Return what is wrong but for what is only unusual.

    That is a word that the SDK does not know, such as another finish reason, and a token without
    a probability, such as the first of all.
    """
    return [
        problem
        for problem in error.errors(include_url=False, include_context=False)
        if not (problem["type"] == "literal_error" and isinstance(problem["input"], str))
        and not (
            problem["input"] is None
            and "logprobs" in problem["loc"]
            and "content" not in problem["loc"]
        )
    ]


def _remove_optional(body: dict[str, Any], place: tuple[Any, ...]) -> None:
    """Remove the innermost field on the way to a place that may be left out."""
    holder: Any = body
    optional: tuple[dict[str, Any], str] | None = None
    for key in place:
        if isinstance(holder, dict) and key in holder:
            # Beside the choices everything may be, also what has the name of a part of them.
            is_part = key in PARTS_OF_THE_ANSWER and place[0] == "choices"
            if not is_part or (key == "refusal" and "logprobs" in place):
                optional = holder, key
            holder = holder[key]
        elif isinstance(holder, list) and isinstance(key, int) and key < len(holder):
            holder = holder[key]
        # Else it is the name of a class: they stand in a place where there are several.
    if optional is not None:
        optional[0].pop(optional[1], None)
