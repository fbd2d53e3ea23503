"""A client that hides nothing: what came over the socket, and how it ended."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from helpers import MODEL
from nim_emulator import EmulatorServer

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "count to 6"}]}
STREAM = {**CHAT, "stream": True}
WORDS = "1 2 3 4 5 6"


@dataclass
class Wire:
    """The bytes and the moments of a response.

    Attributes:
        data: All bytes.
        end: ``whole`` when the HTTP answer was complete, ``closed``, ``reset``, or ``open`` when
            nothing more came.
        chunks: The chunks of a chunked body, each as it was sent.
    """

    data: bytes = b""
    end: str = "open"
    chunks: list[bytes] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        pairs = [line.partition(": ") for line in lines]
        return {name.lower(): value for name, _, value in pairs}

    @property
    def body(self) -> bytes:
        """The body; of a chunked one the chunks that are complete."""
        if "transfer-encoding" in self.headers:
            return b"".join(self.chunks)
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The JSON values of a stream that is framed plainly."""
        found = [item.removeprefix(b"data: ") for item in self.body.split(b"\n\n")]
        return [json.loads(item) for item in found if item not in (b"", b"[DONE]")]

    @property
    def text(self) -> str:
        """The text of the first choice of such a stream."""
        deltas = [choice["delta"] for event in self.events for choice in event["choices"][:1]]
        return "".join(delta.get("content") or "" for delta in deltas)


def connect(nim: EmulatorServer, seconds: float = 5) -> socket.socket:
    parts = urlsplit(nim.url)
    return socket.create_connection((parts.hostname, parts.port), seconds)


def request(
    body: Any = None,
    path: str = "/v1/chat/completions",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "host: nim"]
    given = {"content-type": "application/json", "content-length": str(len(data))}
    lines += [f"{name}: {value}" for name, value in {**given, **(headers or {})}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def ask(nim: EmulatorServer, body: Any = None, *, quiet: float = 5, **options: Any) -> Wire:
    """Send a request and read until the answer is complete, or for so many quiet seconds."""
    with connect(nim) as peer:
        peer.sendall(request(body, **options))
        return read(peer, quiet)


def read(peer: socket.socket, quiet: float = 5) -> Wire:
    wire = Wire()
    peer.settimeout(quiet)
    while not _complete(wire):
        try:
            data = peer.recv(1 << 16)
        except TimeoutError:
            return wire
        except ConnectionResetError:
            wire.end = "reset"
            return wire
        if not data:
            wire.end = "closed"
            return wire
        wire.data += data
    wire.end = "whole"
    return wire


def _complete(wire: Wire) -> bool:
    head, blank, body = wire.data.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"HTTP/"):
        return False
    if "transfer-encoding" not in wire.headers:
        length = wire.headers.get("content-length")
        return length is not None and len(body) >= int(length)
    wire.chunks = []
    while True:
        size, line, rest = body.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            return False
        if not line or len(rest) < length + 2:
            return False
        if length == 0:
            return True
        wire.chunks.append(rest[:length])
        body = rest[length + 2 :]
