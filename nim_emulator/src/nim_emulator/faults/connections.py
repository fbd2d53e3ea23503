"""Faults of the connection and of the port."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .operations import Cut, Head, Operations, OriginalResponse, Pause, Raw, Restart, chunked
from .registry import describe, fault

Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]

describe(
    "port",
    "refuse",
    "The port is closed from now on, and opened again after `seconds`; connections that are open "
    "stay. It waits for no request.",
    seconds=(Seconds, 0.2),
)


@fault("port")
async def restart(response: OriginalResponse, seconds: Seconds = 0.2) -> Operations:
    """The request and all other connections are reset, and the port is closed for `seconds`."""
    yield Restart(seconds)


@fault("connection")
async def reset(
    response: OriginalResponse, when: Literal["before-headers", "in-headers"] = "before-headers"
) -> Operations:
    """The connection is reset (RST); for a reset in the body see `cut`."""
    if when == "in-headers":
        head = (await response.head()).raw()
        yield Raw(head[: len(head) // 2])
    yield Cut("reset")


@fault("connection")
async def hang_up(
    response: OriginalResponse, when: Literal["before-headers", "in-headers"] = "before-headers"
) -> Operations:
    """The connection is closed (FIN) without a response."""
    if when == "in-headers":
        head = (await response.head()).raw()
        yield Raw(head[: len(head) // 2])
    yield Cut("close")


@fault("connection")
async def no_answer(response: OriginalResponse, seconds: Seconds | None = None) -> Operations:
    """The request is taken and not answered for `seconds`, or for ever without them."""
    yield Pause(seconds)
    yield await response.head()
    async for piece in response.pieces():
        yield piece


@fault("connection")
async def slow_headers(response: OriginalResponse, pause_s: Seconds = 0.001) -> Operations:
    """The head of the response comes byte by byte, with a pause after each."""
    for byte in (await response.head()).changed(transfer_encoding="chunked").raw():
        yield Raw(bytes([byte]))
        yield Pause(pause_s)
    async for piece in response.pieces():
        yield Raw(chunked(piece))
    yield Raw(chunked(b""))
    yield Cut("close")


@fault("connection")
async def slow_body(
    response: OriginalResponse, size: Size = 32, pause_s: Seconds = 0.001
) -> Operations:
    """The body comes in writes of `size` bytes, with a pause before each."""
    yield await response.head()
    async for piece in response.pieces():
        for start in range(0, len(piece), size):
            yield Pause(pause_s)
            yield piece[start : start + size]


@fault("connection")
async def not_http(
    response: OriginalResponse,
    what: Literal["text", "tls", "bad-chunk-size", "two-lengths"] = "text",
) -> Operations:
    """The response breaks the rules of HTTP/1.1."""
    head = Head(200, [("content-type", "application/json")])
    if what == "bad-chunk-size":
        yield Raw(head.changed(transfer_encoding="chunked").raw() + b"zz\r\n{}\r\n0\r\n\r\n")
    elif what == "two-lengths":
        lengths = [("content-length", "2"), ("content-length", "3")]
        yield Raw(Head(200, head.headers + lengths).raw() + b"{} ")
    else:
        # The start of a TLS alert, as a port that speaks TLS answers plain HTTP.
        yield Raw(b"\x15\x03\x01\x00\x02\x02\x46" if what == "tls" else b"no HTTP here\r\n\r\n")
    yield Cut("close")


@fault("stream")
async def stall(
    response: OriginalResponse, after: Count = 2, seconds: Seconds | None = None
) -> Operations:
    """The response stops after `after` events, for `seconds` or for ever.

    A body that is no stream counts as four events.
    """
    yield await response.head()
    left = after
    async for part in response.parts():
        if left == 0:
            yield b""
            yield Pause(seconds)
        left -= 1
        yield part


@fault("stream")
async def cut(
    response: OriginalResponse,
    after: Count = 2,
    how: Literal["end", "close", "reset", "chunk"] = "end",
) -> Operations:
    """The response is cut after `after` events (of four for a body that is no stream).

    `end` ends the HTTP response properly, `close` closes the connection before its end, `reset`
    resets it, and `chunk` closes it in the middle of an HTTP chunk. A whole body that is closed or
    reset has a `content-length`.
    """
    head = await response.head()
    if how == "end":
        yield head
    elif how == "chunk" or await response.streams():
        yield Raw(head.changed(transfer_encoding="chunked").raw())
    else:
        body = await response.whole()
        yield Raw(head.changed(content_length=str(len(body))).raw())
        yield Raw(body[: len(body) * min(after, 4) // 4])
        yield Cut("reset" if how == "reset" else "close")
        return
    left = after
    async for part in response.parts():
        if left == 0:
            if how == "chunk":
                yield Raw(chunked(part)[: -(len(part) // 2 + 2)])
            break
        left -= 1
        yield part if how == "end" else Raw(chunked(part))
    if how != "end":
        yield Cut("reset" if how == "reset" else "close")
