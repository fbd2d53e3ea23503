"""Faults in the framing of server-sent events: much of it is allowed, and rarely seen."""

from __future__ import annotations

import json
import zlib
from typing import Any, Literal

from .catalogue import fault
from .connections import Count, Seconds, Size
from .operations import DONE, Answer, Pause, Play, data_of, event_of


@fault("events")
async def split(answer: Answer, size: Size = 1) -> Play:
    """The body comes in writes of `size` bytes."""
    yield await answer.head()
    async for piece in answer.pieces():
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


@fault("events", only="stream")
async def merged(answer: Answer) -> Play:
    """All events come in one write."""
    yield await answer.head()
    yield b"".join([piece async for piece in answer.pieces()])


@fault("events", only="stream")
async def line_ends(answer: Answer, kind: Literal["crlf", "cr", "mixed"] = "crlf") -> Play:
    """Lines end with CRLF, with CR, or with each in turn."""
    ends = {"crlf": [b"\r\n"], "cr": [b"\r"], "mixed": [b"\r\n", b"\n", b"\r"]}[kind]
    yield await answer.head()
    number = 0
    async for piece in answer.pieces():
        yield piece.replace(b"\n", ends[number % len(ends)])
        number += 1


@fault("events", only="stream")
async def comments(answer: Answer) -> Play:
    """Comments and keep-alives come before and within each event."""
    yield await answer.head()
    async for piece in answer.pieces():
        yield b": keep-alive\n\n:\n\n: data: {\n" + piece


@fault("events", only="stream")
async def fields(answer: Answer) -> Play:
    """Events have lines `event:`, `id:`, `retry:` and one of an unknown name."""
    yield await answer.head()
    number = 0
    async for piece in answer.pieces():
        yield b"event: message\nid: %d\nretry: 1000\nx-unknown: 1\n" % number + piece
        number += 1


@fault("events", only="stream")
async def no_space(answer: Answer) -> Play:
    """There is no space after `data:`."""
    yield await answer.head()
    async for piece in answer.pieces():
        yield piece.replace(b"data: ", b"data:", 1)


@fault("events", only="stream")
async def data_lines(answer: Answer) -> Play:
    """The JSON of each event is spread over several `data:` lines."""
    yield await answer.head()
    async for piece in answer.pieces():
        value = data_of(piece)
        if value is None:
            yield piece
            continue
        lines = json.dumps(value, indent=1).encode().split(b"\n")
        yield b"".join(b"data: %s\n" % line for line in lines) + b"\n"


@fault("events", only="stream")
async def huge_line(answer: Answer, size: Size = 1_000_000, after: Count = 1) -> Play:
    """One event has an unknown field with a text of `size` bytes."""
    yield await answer.head()
    left = after
    async for piece in answer.pieces():
        value = data_of(piece)
        if left == 0 and isinstance(value, dict):
            piece = event_of({**value, "padding": "x" * size})
        left -= 1
        yield piece


@fault("events", only="stream")
async def byte_order_mark(answer: Answer) -> Play:
    """The stream starts with a byte order mark."""
    yield await answer.head()
    yield b"\xef\xbb\xbf"
    async for piece in answer.pieces():
        yield piece


@fault("events", only="stream")
async def invalid_utf8(answer: Answer, after: Count = 1) -> Play:
    """A text in one event holds bytes that are not UTF-8."""
    yield await answer.head()
    left = after
    async for piece in answer.pieces():
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
    answer: Answer, end: Literal["done", "finish"] = "done", newline: bool = False
) -> Play:
    """The blank line after the last event is missing.

    The last event is `[DONE]`, or with `finish` the last chunk. With `newline` its line is ended.
    """
    yield await answer.head()
    pieces = [piece async for piece in answer.pieces()]
    if end == "finish":
        pieces = [piece for piece in pieces if piece != DONE]
    for piece in pieces[:-1]:
        yield piece
    yield pieces[-1].rstrip(b"\n") + b"\n" * newline


@fault("events", only="stream")
async def no_done(answer: Answer) -> Play:
    """The stream ends without `[DONE]`."""
    yield await answer.head()
    async for piece in answer.pieces():
        if piece != DONE:
            yield piece


@fault("events", only="stream")
async def after_done(
    answer: Answer, what: Literal["chunk", "garbage", "comment", "done"] = "chunk"
) -> Play:
    """Something comes after `[DONE]`: the chunks once more, no JSON, a comment, or `[DONE]`."""
    yield await answer.head()
    pieces = [piece async for piece in answer.pieces()]
    for piece in pieces:
        yield piece
    if what == "chunk":
        for piece in pieces:
            yield piece
    else:
        yield {"garbage": b"data: {{{\n\n", "comment": b": bye\n\n", "done": DONE}[what]


@fault("stream", only="stream")
async def open_end(answer: Answer, seconds: Seconds | None = None) -> Play:
    """The connection stays open after `[DONE]`, for `seconds` or for ever."""
    yield await answer.head()
    async for piece in answer.pieces():
        yield piece
    yield Pause(seconds)


@fault("stream", only="stream")
async def endless(
    answer: Answer,
    what: Literal["text", "comments", "empty", "line"] = "text",
    pause_s: Seconds = 0.001,
) -> Play:
    """After the first event, the same thing comes until the client goes away.

    Text of the answer, comments, chunks without choices, or one line that never ends.
    """
    yield await answer.head()
    event = b""
    first = True
    async for event in answer.pieces():
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
async def gzip(answer: Answer, kind: Literal["right", "undeclared", "untrue"] = "right") -> Play:
    """The body is compressed although no one may have asked for it.

    With `undeclared` no header says so, with `untrue` a header says so and it is not.
    """
    head = await answer.head()
    yield head if kind == "undeclared" else head.changed(content_encoding="gzip")
    packer = zlib.compressobj(wbits=31)
    async for piece in answer.pieces():
        if kind == "untrue":
            yield piece
        else:
            yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    if kind != "untrue":
        yield packer.flush()
