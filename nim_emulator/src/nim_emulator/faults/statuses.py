"""Faults of the HTTP status."""

from __future__ import annotations

import uuid
from email.utils import formatdate
from time import time
from typing import Annotated, Literal

from pydantic import Field

from .connections import Count, Seconds
from .error_bodies import Body, error_body, error_json
from .operations import Head, Operations, OriginalResponse, event_of
from .registry import fault

Status = Annotated[int, Field(ge=200, le=599)]

NEVER_READY = "fa170000-0000-4000-8000-"
"""The start of the ids of responses that are never ready."""


@fault("status")
async def status(
    response: OriginalResponse,
    status: Status = 503,
    body: Body = "nested",
    message: str = "Service temporarily overloaded",
    headers: dict[str, str] = {},  # noqa: B006 - read only
    retry_after: Seconds | None = None,
    retry_date: bool = False,
) -> Operations:
    """The response has `status`, and a body of the given form.

    `retry_after` seconds go into the header of that name, as a date with `retry_date`.
    """
    data, media = error_body(body, status, message)
    given = {name.lower(): value for name, value in headers.items()}
    if media is not None:
        given.setdefault("content-type", media)
    if retry_after is not None:
        date = formatdate(time() + retry_after + 0.999, usegmt=True)
        given["retry-after"] = date if retry_date else f"{retry_after:g}"
    if status != 204 and status != 304:
        given.setdefault("content-length", str(len(data)))
    else:
        data = b""
    yield Head(status, list(given.items()))
    yield data


@fault("status")
async def redirect(
    response: OriginalResponse,
    status: Literal[307, 301, 302, 303, 308] = 307,
    to: str = "",
) -> Operations:
    """The client is sent to `to` (an address, or a path), or to the same address without it."""
    yield Head(status, [("location", to or response.path), ("content-length", "0")])


@fault("status")
async def never_ready(response: OriginalResponse) -> Operations:
    """Status 202 with an id to ask for the response, and 202 each time that it is asked for."""
    name = response.path.rpartition("/")[2]
    if not name.startswith(NEVER_READY):
        name = f"{NEVER_READY}{uuid.uuid4().hex[:12]}"
    yield Head(202, [("nvcf-reqid", name), ("content-length", "0")])


@fault("status")
async def wrong_kind(response: OriginalResponse) -> Operations:
    """A stream where none was asked for, and a whole response where a stream was asked for."""
    streamed = bool(response.request.get("stream"))
    response.change_request(stream=not streamed, stream_options=None)
    yield await response.head()
    async for piece in response.pieces():
        yield piece


@fault("stream", only="stream")
async def error_event(
    response: OriginalResponse,
    after: Count = 2,
    body: Literal[
        "nested",
        "nested-object",
        "flat",
        "reason",
        "string",
        "problem",
        "title",
        "detail-list",
        "comment",
    ] = "nested",
    status: Status = 500,
    message: str = "The engine has failed",
    done: bool = False,
    named: bool = False,
) -> Operations:
    """An error comes as an event after `after` events, and the stream ends.

    It ends with ``[DONE]`` with `done`; with `named` the event has a line ``event: error``. With
    the body `comment` it has that line and no data: the message is a comment, as in Dynamo.
    """
    yield await response.head()
    left = after
    async for piece in response.pieces():
        if left == 0:
            break
        left -= 1
        yield piece
    if body == "comment":
        yield b"event: error\n: " + message.encode() + b"\n\n"
    else:
        yield b"event: error\n" * named + event_of(error_json(body, status, message))
    if done:
        yield b"data: [DONE]\n\n"
