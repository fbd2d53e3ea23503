"""Faults in the framing of server-sent events, and legal framing that is rarely seen."""

from __future__ import annotations

import json
import zlib
from typing import Any, Literal

from .connections import Count, Seconds, Size
from .operations import DONE, Operations, OriginalResponse, Pause, data_of, event_of
from .registry import fault


@fault("events")
async def split(response: OriginalResponse, size: Size = 1) -> Operations:
    """The body comes in writes of `size` bytes."""
    yield await response.head()
    async for piece in response.pieces():
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


@fault("events", only="stream")
async def merged(response: OriginalResponse) -> Operations:
    """All events come in one write."""
    yield await response.head()
    yield b"".join([piece async for piece in response.pieces()])


@fault("events", only="stream")
async def line_ends(
    response: OriginalResponse, kind: Literal["crlf", "cr", "mixed"] = "crlf"
) -> Operations:
    """Lines end with CRLF, with CR, or with each in turn."""
    ends = {"crlf": [b"\r\n"], "cr": [b"\r"], "mixed": [b"\r\n", b"\n", b"\r"]}[kind]
    yield await response.head()
    number = 0
    async for piece in response.pieces():
        yield piece.replace(b"\n", ends[number % len(ends)])
        number += 1


@fault("events", only="stream")
async def comments(response: OriginalResponse) -> Operations:
    """Comments and keep-alives come before and within each event."""
    yield await response.head()
    async for piece in response.pieces():
        yield b": keep-alive\n\n:\n\n: data: {\n" + piece


@fault("events", only="stream")
async def fields(
    response: OriginalResponse, kind: Literal["lines", "side-events"] = "lines"
) -> Operations:
    """Events have lines `event:`, `id:`, `retry:` and one of an unknown name.

    `side-events`: between the chunks come events of other names, no part of the response.
    """
    yield await response.head()
    number = 0
    async for piece in response.pieces():
        if kind == "side-events":
            yield b'event: tool_dispatch\ndata: {"index":0}\n\nevent: ping\ndata: {}\n\n' + piece
        else:
            yield b"event: message\nid: %d\nretry: 1000\nx-unknown: 1\n" % number + piece
        number += 1


@fault("events", only="stream")
async def no_space(response: OriginalResponse) -> Operations:
    """There is no space after `data:`."""
    yield await response.head()
    async for piece in response.pieces():
        yield piece.replace(b"data: ", b"data:", 1)


@fault("events", only="stream")
async def data_lines(response: OriginalResponse) -> Operations:
    """The JSON of each event is spread over several `data:` lines."""
    yield await response.head()
    async for piece in response.pieces():
        value = data_of(piece)
        if value is None:
            yield piece
            continue
        lines = json.dumps(value, indent=1).encode().split(b"\n")
        yield b"".join(b"data: %s\n" % line for line in lines) + b"\n"


@fault("events", only="stream")
async def huge_line(
    response: OriginalResponse, size: Size = 1_000_000, after: Count = 1
) -> Operations:
    """One event has an unknown field with a text of `size` bytes."""
    yield await response.head()
    left = after
    async for piece in response.pieces():
        value = data_of(piece)
        if left == 0 and isinstance(value, dict):
            piece = event_of({**value, "padding": "x" * size})
        left -= 1
        yield piece


@fault("events", only="stream")
async def byte_order_mark(response: OriginalResponse) -> Operations:
    """The stream starts with a byte order mark."""
    yield await response.head()
    yield b"\xef\xbb\xbf"
    async for piece in response.pieces():
        yield piece


@fault("events", only="stream")
async def invalid_utf8(response: OriginalResponse, after: Count = 1) -> Operations:
    """A text in one event holds bytes that are not UTF-8."""
    yield await response.head()
    left = after
    async for piece in response.pieces():
        if left <= 0 and b'"content":"' in piece:
            piece = piece.replace(b'"content":"', b'"content":"\xff\xc3\x28', 1)
            left = 1 << 62
        elif left <= 0 and b'"text":"' in piece:
            piece = piece.replace(b'"text":"', b'"text":"\xff\xc3\x28', 1)
            left = 1 << 62
        left -= 1
        yield piece


@fault("events", only="stream")
async def no_last_blank_line(
    response: OriginalResponse, end: Literal["done", "finish"] = "done", newline: bool = False
) -> Operations:
    """The blank line after the last event is missing.

    The last event is `[DONE]`, or with `finish` the last chunk. With `newline` its line is ended.
    """
    yield await response.head()
    pieces = [piece async for piece in response.pieces()]
    if end == "finish":
        pieces = [piece for piece in pieces if piece != DONE]
    for piece in pieces[:-1]:
        yield piece
    yield pieces[-1].rstrip(b"\n") + b"\n" * newline


@fault("events", only="stream")
async def no_done(response: OriginalResponse) -> Operations:
    """The stream ends without `[DONE]`."""
    yield await response.head()
    async for piece in response.pieces():
        if piece != DONE:
            yield piece


@fault("events", only="stream")
async def after_done(
    response: OriginalResponse, what: Literal["chunk", "garbage", "comment", "done"] = "chunk"
) -> Operations:
    """Something comes after `[DONE]`: the chunks once more, no JSON, a comment, or `[DONE]`."""
    yield await response.head()
    pieces = [piece async for piece in response.pieces()]
    for piece in pieces:
        yield piece
    if what == "chunk":
        for piece in pieces:
            yield piece
    else:
        yield {"garbage": b"data: {{{\n\n", "comment": b": bye\n\n", "done": DONE}[what]


@fault("stream", only="stream")
async def open_end(response: OriginalResponse, seconds: Seconds | None = None) -> Operations:
    """The connection stays open after `[DONE]`, for `seconds` or for ever."""
    yield await response.head()
    async for piece in response.pieces():
        yield piece
    yield Pause(seconds)


@fault("stream", only="stream")
async def endless(
    response: OriginalResponse,
    what: Literal["text", "comments", "empty", "line"] = "text",
    pause_s: Seconds = 0.001,
) -> Operations:
    """After the first event, the same thing comes until the client goes away.

    Text of the response, comments, chunks without choices, or one line that never ends.
    """
    yield await response.head()
    event = b""
    first = True
    async for event in response.pieces():
        value: Any = data_of(event)
        if first:
            yield event
            if what != "text":
                event = event_of({**value, "choices": []}) if what == "empty" else b": wait\n\n"
                break
        elif b'"content":"' in event or b'"text":"' in event:
            break
        first = False
    if what == "line":
        yield b"data: "
        event = b" " * 64
    while True:
        yield event
        yield Pause(pause_s)


@fault("events")
async def gzip(
    response: OriginalResponse, kind: Literal["right", "undeclared", "untrue"] = "right"
) -> Operations:
    """The body is compressed although no one may have asked for it.

    With `undeclared` no header says so, with `untrue` a header says so and it is not.
    """
    head = await response.head()
    yield head if kind == "undeclared" else head.changed(content_encoding="gzip")
    packer = zlib.compressobj(wbits=31)
    async for piece in response.pieces():
        if kind == "untrue":
            yield piece
        else:
            yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    if kind != "untrue":
        yield packer.flush()
