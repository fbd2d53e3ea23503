"""Differences between two answers to one request, apart from what a model happens to write."""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from .answers import Answer, Json

_LITERAL = frozenset({"finish_reason", "object", "role", "owned_by"})
"""Fields whose values are compared; of others the type is."""

_LAST = 1000
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")
_PARSERS = re.compile(
    r"(N validation error|Failed to deserialize the JSON body into the target type).*", re.DOTALL
)
"""Errors of the types of fields, which each library words in its own way."""

_MESSAGES = frozenset({"message", "detail"})


class Difference(NamedTuple):
    """One thing that is not as expected.

    Attributes:
        aspect: ``status``, ``media``, ``message``, ``body`` or ``events``.
        field: The place in it, as a dotted path; empty for the whole.
        expected: A value in short, None where there should be nothing.
        seen: A value in short, None where there is nothing.
    """

    aspect: str
    field: str
    expected: str | None
    seen: str | None

    def __str__(self) -> str:
        """Return it as a sentence."""
        place = self.field or "it"
        if self.seen is None:
            return f"{place} is missing ({self.expected})"
        if self.expected is None:
            return f"{place} is too many ({self.seen})"
        return f"{place} is {self.seen}, not {self.expected}"


def differences(expected: Answer, seen: Answer) -> list[Difference]:
    """Return how an answer differs from the expected one."""
    if expected.status != seen.status:
        pair = (_with_body(expected), _with_body(seen))
        return [Difference("status", "status", *pair)]
    if expected.media != seen.media:
        return [Difference("media", "content-type", expected.media or "none", seen.media or "none")]
    if isinstance(expected.body, list) and isinstance(seen.body, list):
        pairs: dict[str, tuple[Json, Json]] = {
            "events": (_events(expected.body), _events(seen.body))
        }
    elif expected.status >= 400:
        pairs = {
            "body": (_error(expected.body), _error(seen.body)),
            "message": (_message(expected.body), _message(seen.body)),
        }
    else:
        pairs = {"body": (_shape(expected.body), _shape(seen.body))}
    return [
        difference
        for aspect, (wanted, other) in pairs.items()
        for difference in _changes(aspect, wanted, other, "")
    ]


def _with_body(answer: Answer) -> str:
    """Return a status, and of an error its body."""
    body = f": {shown(answer.body)}" if answer.status >= 400 else ""
    return f"{answer.status}{body}"


def _changes(aspect: str, wanted: Json, other: Json, place: str) -> Iterator[Difference]:
    """Yield where two values differ."""
    if isinstance(wanted, dict) and isinstance(other, dict):
        for name in sorted({*wanted, *other}):
            if name not in other:
                yield Difference(aspect, f"{place}{name}", shown(wanted[name]), None)
            elif name not in wanted:
                yield Difference(aspect, f"{place}{name}", None, shown(other[name]))
            else:
                yield from _changes(aspect, wanted[name], other[name], f"{place}{name}.")
    elif isinstance(wanted, list) and isinstance(other, list) and len(wanted) == len(other):
        for index, pair in enumerate(zip(wanted, other, strict=True)):
            yield from _changes(aspect, *pair, f"{place}{index}.")
    elif wanted != other:
        yield Difference(aspect, place.removesuffix("."), shown(wanted), shown(other))


def shown(value: Json) -> str:
    """Return a value as text for people."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shape(value: Json, name: str = "") -> Json:
    """Return the fields and types of a value."""
    if isinstance(value, dict):
        if name == "top_logprobs" and "logprob" not in value:
            return "by token"
        return {key: _shape(value[key], key) for key in sorted(value)}
    if isinstance(value, list):
        shapes = [_shape(item, name) for item in value]
        return shapes if name == "choices" else shapes[:1]
    if name in _LITERAL or value is None:
        return value
    return "number" if isinstance(value, int | float) else type(value).__name__


def _events(blocks: list[Json]) -> list[Json]:
    """Return the course of a stream: its different kinds of events, choice by choice."""
    kinds: list[tuple[int, Json]] = []
    for block in blocks:
        if not isinstance(block, dict):
            kinds.append((_LAST, block))
        elif _is_part_of_character(block):
            continue
        elif "choices" not in block:
            kinds.append((_LAST, _error(block)))
        else:
            kinds.append((_index(block["choices"]), _shape(block)))
    # The choices of one stream come in any order.
    ordered = sorted(kinds, key=lambda kind: kind[0])
    return [kind for (_, kind), _ in groupby(ordered)]


def _is_part_of_character(chunk: Json) -> bool:
    """Return whether a chunk has the log probability of a token that makes no text yet."""
    choices = chunk.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, dict) and _has_logprobs_alone(choice) for choice in choices)
    )


def _has_logprobs_alone(choice: dict[str, Json]) -> bool:
    delta = choice.get("delta")
    empty = isinstance(delta, dict) and not any(delta.values())
    return empty and bool(choice.get("logprobs")) and not choice.get("finish_reason")


def _index(choices: Json) -> int:
    """Return the number of the choice that a chunk is of."""
    first = choices[0] if isinstance(choices, list) and choices else None
    index = first.get("index") if isinstance(first, dict) else None
    return index if isinstance(index, int) else _LAST


def _error(body: Json) -> Json:
    """Return an error without its text: fields, types, and what programs read."""
    if isinstance(body, dict):
        return {
            key: "text" if key in _MESSAGES and isinstance(body[key], str) else _error(body[key])
            for key in sorted(body)
        }
    if isinstance(body, list):
        return [_error(item) for item in body[:1]]
    # Numbers such as those of tokens depend on the tokenizer.
    return "number" if isinstance(body, int) and body > 999 else body


def _message(body: Json) -> str:
    """Return the text of an error, without its numbers and what a parser says of its own."""
    if isinstance(body, str):
        return body
    found = body
    while isinstance(found, dict):
        found = found.get("error") or found.get("message") or found.get("detail")
    return _PARSERS.sub(r"\1", _NUMBERS.sub("N", str(found)))
