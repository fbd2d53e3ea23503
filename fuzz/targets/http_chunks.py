"""HTTP chunks taken together, beside what h11 makes of the same bytes."""

from types import SimpleNamespace
from typing import Any, cast

import h11

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.transport.http_chunks import take_together

_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

SEEDS = [
    b"\x04\x05\x06\x07\x085\r\nhello\r\n3;x=1\r\nabc\r\n0\r\n\r\n",
    b"\x005\r\nhello\r\n0\r\ntrailer: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"\x005\r\nhelloXX0\r\n\r\n",
]


def _received(pieces: list[bytes], *, together: bool) -> tuple[bytes, str]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "nim")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(_HEAD)
    connection.next_event()
    if together:
        response = SimpleNamespace(stream=SimpleNamespace(_h11_state=connection))
        assert take_together(cast(Any, response))
    parts: list[bytes] = []
    for piece in pieces:
        connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                return b"".join(parts), "broken"
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return b"".join(parts), f"ended {event.headers} {connection.trailing_data}"
            else:
                break
    return b"".join(parts), "open"


def check(data: bytes) -> None:
    """Compare body and end."""
    source = Source(data)
    marks = Source(source.blob(24))
    pieces = marks.cuts(source.rest())
    assert _received(pieces, together=True) == _received(pieces, together=False)
