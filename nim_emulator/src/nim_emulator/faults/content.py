"""Faults in the JSON of responses: malformed, of a wrong type, missing or repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import Field

from .connections import Count
from .operations import (
    DONE,
    Json,
    Operation,
    Operations,
    OriginalResponse,
    data_of,
    encoded,
    event_of,
)
from .registry import fault
from .wrong_types import EXAMPLES, WRONG_TYPES

Change = Callable[[Json], Any]


async def rewritten(response: OriginalResponse, change: Change, after: int = 0) -> Operations:
    """Yield the response with each chunk, or the whole body, changed.

    Args:
        response: The response.
        change: Gets a copy and returns the value to send.
        after: Number of chunks that stay as they are.
    """
    head = await response.head()
    yield head
    number = 0
    async for piece in response.pieces():
        if await response.streams():
            value = data_of(piece)
            changes = isinstance(value, dict) and number >= after
            yield event_of(change(value)) if changes else piece
        else:
            value = body_value(piece)
            yield encoded(change(value)) if isinstance(value, dict) else piece
        number += 1


def body_value(data: bytes) -> Any:
    """Return the JSON value of a body, None when it is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def parents(value: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """Yield the objects or lists that hold the field of a path, and its name or index there.

    Args:
        value: A chunk or a body.
        path: Names and indexes with dots; ``*`` means each item. ``message`` is ``delta`` in a
            chunk.
    """
    name, _, rest = path.partition(".")
    if isinstance(value, list):
        places: list[Any] = list(range(len(value)))
        chosen = places if name == "*" else [place for place in places if str(place) == name]
    elif isinstance(value, dict):
        chosen = ["delta" if name == "message" and "delta" in value else name]
    else:
        return
    for place in chosen:
        if not rest:
            yield value, place
        elif isinstance(value, list) or place in value:
            yield from parents(value[place], rest)


@fault("content", only="stream")
async def bad_json(
    response: OriginalResponse,
    kind: Literal["truncated", "text", "empty", "list", "string", "null", "nan", "nested"] = (
        "truncated"
    ),
    after: Count = 1,
) -> Operations:
    """The data of one event is not a JSON object; `nan`: it has the usage NaN beside the rest."""
    data = {
        "text": b"Internal Server Error",
        "empty": b"",
        "list": b"[]",
        "string": b'"text"',
        "null": b"null",
        "nested": b"[" * 100_000,
    }
    yield await response.head()
    number = 0
    async for piece in response.pieces():
        if number == after:
            cut = piece[6 : piece.rindex(b"}")] if kind == "nan" else piece[6 : len(piece) // 2]
            rest = b',"usage":NaN}' if kind == "nan" else b""
            piece = b"data: " + data.get(kind, cut + rest) + b"\n\n"
        number += 1
        yield piece


@fault("content", only="whole")
async def bad_body(
    response: OriginalResponse,
    kind: Literal["truncated", "text", "html", "empty", "list", "string", "null", "twice"] = (
        "truncated"
    ),
) -> Operations:
    """The body of a whole response is not a JSON object; the status stays as it is."""
    yield await response.head()
    body = await response.whole()
    yield {
        "truncated": body[: len(body) // 2],
        "text": b"upstream connect error",
        "html": b"<!DOCTYPE html><html><body>Please sign in</body></html>",
        "empty": b"",
        "list": b"[" + body + b"]",
        "string": b'"ok"',
        "null": b"null",
        "twice": body + body,
    }[kind]


@fault("content", examples=EXAMPLES)
async def wrong_type(
    response: OriginalResponse,
    field: str = "choices.*.message.content",
    value: Any = 5,
    after: Count = 0,
) -> Operations:
    """A field has a value of a wrong type, in the body or in every chunk that has its parent.

    `field` is a path with dots, `*` for each item of a list; `message` is `delta` in a chunk.
    """

    def change(chunk: Json) -> Json:
        for parent, name in parents(chunk, field):
            parent[name] = value
        return chunk

    async for operation in rewritten(response, change, after):
        yield operation


@fault("content", examples=tuple({"field": path} for path in WRONG_TYPES))
async def missing(
    response: OriginalResponse, field: str = "choices.*.message", after: Count = 0
) -> Operations:
    """A field is missing, in the body or in every chunk; `field` as for `wrong-type`."""

    def change(chunk: Json) -> Json:
        for parent, name in list(parents(chunk, field)):
            if isinstance(parent, dict):
                parent.pop(name, None)
        return chunk

    async for operation in rewritten(response, change, after):
        yield operation


@fault("content")
async def choices(
    response: OriginalResponse,
    kind: Literal["empty", "null", "missing"] = "empty",
    after: Count = 0,
) -> Operations:
    """The list of choices is empty, null or missing."""

    def change(chunk: Json) -> Json:
        if kind == "missing":
            chunk.pop("choices", None)
        else:
            chunk["choices"] = [] if kind == "empty" else None
        return chunk

    async for operation in rewritten(response, change, after):
        yield operation


@fault("content")
async def finish(
    response: OriginalResponse,
    kind: Literal[
        "several", "unknown", "missing", "null", "empty", "every", "twice", "aborted"
    ] = "unknown",
) -> Operations:
    """The finish reason is not what it should be.

    `several`: the last chunk once more with another reason; `twice`: with the same; `every`: each
    chunk has one; the others: an unknown word, no field, null, an empty text, `abort`.
    """
    wrong = {"unknown": "finished_somehow", "null": None, "empty": "", "aborted": "abort"}

    def change(chunk: Json) -> Json:
        for choice in chunk.get("choices") or ():
            if kind == "every":
                choice["finish_reason"] = choice.get("finish_reason") or "stop"
            elif not choice.get("finish_reason"):
                continue
            elif kind == "missing":
                del choice["finish_reason"]
            elif kind in wrong:
                choice["finish_reason"] = wrong[kind]
        return chunk

    async for operation in rewritten(response, change):
        yield operation
        if kind in ("several", "twice") and _is_event(operation):
            again = data_of(operation)
            reasons = [choice for choice in again["choices"] if choice.get("finish_reason")]
            for choice in reasons:
                if kind == "several":
                    choice["finish_reason"] = "length"
            if reasons:
                yield event_of(again)


def _is_event(operation: Operation) -> TypeGuard[bytes]:
    return isinstance(operation, bytes) and operation.startswith(b"data: {")


@fault("content")
async def no_content(
    response: OriginalResponse, kind: Literal["null", "empty", "missing"] = "null"
) -> Operations:
    """The response ends with its finish reason and says nothing."""

    def change(chunk: Json) -> Json:
        for choice in chunk.get("choices") or ():
            holder = choice.get("message") or choice.get("delta") or choice
            for name in ("content", "text", "tool_calls"):
                if name not in holder:
                    continue
                if kind == "missing" or name == "tool_calls":
                    del holder[name]
                else:
                    holder[name] = None if kind == "null" else ""
        return chunk

    async for operation in rewritten(response, change):
        yield operation


@fault("content")
async def usage(
    response: OriginalResponse,
    kind: Literal["null", "garbage", "negative", "empty", "repeated", "missing"] = "null",
) -> Operations:
    """The numbers of tokens are null, garbage, negative, none, in each chunk, or absent."""
    numbers = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    values: dict[str, Any] = {
        "null": None,
        "garbage": {"prompt_tokens": "many", "completion_tokens": [], "total_tokens": None},
        "negative": dict.fromkeys(numbers, -1),
        "empty": {},
    }

    def change(chunk: Json) -> Json:
        if kind == "missing":
            chunk.pop("usage", None)
        elif kind == "repeated":
            chunk["usage"] = chunk.get("usage") or numbers
        elif "usage" in chunk or "delta" in str(chunk):
            chunk["usage"] = values[kind]
        return chunk

    async for operation in rewritten(response, change):
        yield operation


@fault("content")
async def extra_choices(
    response: OriginalResponse, n: Annotated[int, Field(ge=2, le=16)] = 2
) -> Operations:
    """There are `n` choices although one was asked for, in turn in a stream."""

    def change(chunk: Json) -> Json:
        given = chunk.get("choices")
        if isinstance(given, list):
            chunk["choices"] = [
                {**choice, "index": place} for choice in given for place in range(n)
            ]
        return chunk

    if not await response.streams():
        async for operation in rewritten(response, change):
            yield operation
        return
    yield await response.head()
    async for piece in response.pieces():
        value = data_of(piece)
        given = value.get("choices") if isinstance(value, dict) else None
        if piece == DONE or not given:
            yield piece
            continue
        for place in range(n):
            yield event_of({**value, "choices": [{**choice, "index": place} for choice in given]})
