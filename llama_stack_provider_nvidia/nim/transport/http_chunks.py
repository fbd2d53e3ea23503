"""All HTTP chunks of one socket read taken together.

An engine's server sends each event as an HTTP chunk of its own, and the HTTP library hands on one
at a time, through five layers: that takes longer than all that is done with the event here. There
is no public way to change it. So the part of h11 that takes chunks out of the buffer is replaced,
in the one connection that brings this response and for this response only. Where the library has
changed inside, nothing is replaced and all works as before.
"""

import re
from typing import Any

import httpx

try:
    from h11 import Connection, Data
    from h11._readers import ChunkedReader
except ImportError:  # pragma: no cover (not in any release of h11 up to 0.16)
    ChunkedReader = None  # type: ignore[assignment,misc]

# The way from a response's stream down to h11's connection, through whatever wraps it.
_INWARDS = ("_h11_state", "_connection", "_httpcore_stream", "_stream", "_body")
_MOST_STEPS = 10
_HEADER = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_END = b"\r\n"


def take_together(response: httpx.Response) -> bool:
    """Have the chunks of a response taken together.

    Args:
        response: Its headers have come, nothing of its body has been read.

    Returns:
        Whether that is so now. It is not for bodies without chunks, and for HTTP/2.
    """
    if ChunkedReader is None:
        return False
    found: Any = response.stream
    for _ in range(_MOST_STEPS):
        if isinstance(found, Connection):
            break
        found = next((getattr(found, name) for name in _INWARDS if hasattr(found, name)), None)
    reader = getattr(found, "_reader", None)
    if type(reader) is not ChunkedReader or vars(reader) != _FRESH:
        return False
    found._reader = _WholeChunks()
    return True


if ChunkedReader is not None:
    _FRESH = {"_bytes_in_chunk": 0, "_bytes_to_discard": b"", "_reading_trailer": False}

    class _WholeChunks(ChunkedReader):
        """Takes what is whole, and leaves the rest, all ends and all errors to h11."""

        def __call__(self, buf: Any) -> Any:
            if self._bytes_in_chunk or self._reading_trailer:
                return super().__call__(buf)
            received = bytes(buf)
            position = 0
            if self._bytes_to_discard:  # the end of a chunk that h11 took
                if self._bytes_to_discard != _END or not received.startswith(_END):
                    return super().__call__(buf)
                position = len(_END)
            pieces = []
            while header := _HEADER.match(received, position):
                begin, size = header.end(), int(header[1], 16)
                end = begin + size
                if not size or received[end : end + len(_END)] != _END:
                    break
                pieces.append(received[begin:end])
                position = end + len(_END)
            if not pieces:
                return super().__call__(buf)
            buf.maybe_extract_at_most(position)
            self._bytes_to_discard = b""
            return Data(data=b"".join(pieces), chunk_start=True, chunk_end=True)
