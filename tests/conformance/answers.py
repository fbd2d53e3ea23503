"""Answers in one form, whole or streamed, so that two of them can be compared."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import openai

from .cases import EMBEDDINGS, Case

_JOINED = ("content", "reasoning", "reasoning_content", "refusal", "text")
# Two answers are of two moments, and have names of their own.
_OF_THE_ANSWER = {"id", "created"}


def ask(client: openai.OpenAI, case: Case, fields: Mapping[str, Any], stream: bool) -> Any:
    """Send a request with OpenAI's own client, and give its answer as plain data.

    Returns:
        The answer; a streamed one as the list of its chunks.

    Raises:
        openai.APIError: The server refuses it, or the stream ends with an error.
    """
    body = {**fields, "stream": True} if stream else dict(fields)
    call: Any = {
        "/chat/completions": client.chat.completions,
        "/completions": client.completions,
        EMBEDDINGS: client.embeddings,
    }[case.path].create
    named = {"model", "messages", "prompt", "input", "stream", "encoding_format"} & body.keys()
    known = {name: body.pop(name) for name in named}
    answer = call(**known, extra_body=body)
    if not stream:
        return plain(answer)
    with answer:
        return [plain(chunk) for chunk in answer]


def plain(answer: Any) -> Any:
    """Give an object of the SDK as it came, without what is null: some servers leave it out."""
    return without_nulls(answer.model_dump(mode="json", warnings=False))


def without_nulls(value: Any) -> Any:
    """Take away nulls, and what holds nothing else."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def summary(answer: Any) -> dict[str, Any]:
    """Give what an answer says, the same for a whole and for a streamed one.

    Args:
        answer: As :func:`ask` gives it.
    """
    if isinstance(answer, list):
        return joined(answer)
    found = {name: value for name, value in answer.items() if name not in _OF_THE_ANSWER}
    if "data" in found:
        return found
    found["choices"] = {choice["index"]: _whole(choice) for choice in found["choices"]}
    return found


def _whole(choice: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in choice.items() if name != "message"}
    said.update(choice.get("message") or {})
    calls = dict(enumerate(said.get("tool_calls") or ()))
    return {**said, "tool_calls": calls, **{name: said.get(name) or "" for name in _JOINED}}


def joined(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the chunks of a stream together."""
    found: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for part in chunk.get("choices") or ():
            _join(choices.setdefault(part["index"], _empty(part["index"])), part)
        rest = {name: value for name, value in chunk.items() if name not in _OF_THE_ANSWER}
        rest.pop("choices", None)
        found.update(rest)
    return {**found, "choices": choices}


def _empty(index: int) -> dict[str, Any]:
    return {"index": index, "tool_calls": {}, **dict.fromkeys(_JOINED, "")}


def _join(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    given = {**part, **(part.get("delta") or {})}
    given.pop("delta", None)
    for name in _JOINED:
        choice[name] += given.pop(name, None) or ""
    for call in given.pop("tool_calls", None) or ():
        calls = choice["tool_calls"]
        # NIM 1.x numbers no calls: an id begins the next one.
        place = call.get("index", len(calls) - (0 if call.get("id") else 1))
        _join_call(calls.setdefault(place, {"index": place}), call)
    for name, value in (given.pop("logprobs", None) or {}).items():
        known = choice.setdefault("logprobs", {})
        known[name] = known.get(name, []) + value
    choice.update(given)


def _join_call(call: dict[str, Any], part: Mapping[str, Any]) -> None:
    function = part.get("function") or {}
    known = call.setdefault("function", {})
    for name in ("name", "arguments"):
        known[name] = known.get(name, "") + (function.get(name) or "")
    call.update({name: part[name] for name in ("id", "type") if part.get(name)})


def unlike(left: Any, right: Any, path: str = "") -> list[str]:
    """List the places where two answers differ; numbers may differ as rounding does."""
    if isinstance(left, dict) and isinstance(right, dict):
        return [
            line
            for name in sorted({*left, *right}, key=str)
            for line in unlike(left.get(name), right.get(name), f"{path}.{name}".lstrip("."))
        ]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [
            line
            for place, (one, other) in enumerate(zip(left, right, strict=True))
            for line in unlike(one, other, f"{path}[{place}]")
        ]
    if isinstance(left, float) and isinstance(right, float):
        same = math.isclose(left, right, rel_tol=1e-6)
    else:
        # To Python, 1 is True; to a server of another making it is not.
        same = left == right and isinstance(left, bool) == isinstance(right, bool)
    return [] if same else [f"{path}: {left!r} became {right!r}"]
