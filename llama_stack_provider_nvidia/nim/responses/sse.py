"""Decode server-sent events from bytes as they arrive."""

from collections import deque

import msgspec

from ..errors import malformed
from ..json_types import UNREADABLE

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""No chunk of a response comes near it; what does would fill the memory."""

# Of those before or in an event that reports an error; servers send others to keep a connection.
_COMMENTS = 8
_COMMENT_BYTES = 4096
_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Splits bytes, cut anywhere, into the data of server-sent events.

    Follows the WHATWG rules: lines end with LF, CRLF or CR; several data lines of an event are
    joined; an event without data, or with empty data, is none. Of names of events:

    * An event ``error`` is given as an error report, be its text in its data or, as Dynamo has it,
      in a comment.
    * One of another name than ``message`` stands beside the response and is left out, such as
      Dynamo's ``tool_call_dispatch``.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._pieces: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []
        self._name = b""
        self._comments: deque[bytes] = deque(maxlen=_COMMENTS)
        self._size = 0
        self._at_start = True

    def feed(self, received: bytes) -> list[bytes]:
        """Take the next bytes and give the data of each event they complete.

        Raises:
            ServerError: An event is longer than ``MAX_EVENT_BYTES``. Those before it have been
                given by then.
        """
        if self._is_middle(received):
            # To join a long line's pieces one by one would take its length squared.
            self._pieces.append(received)
            self._held += len(received)
            self._check_size()
            return []
        buffer = b"".join((self._tail, *self._pieces, received)) if self._tail else received
        self._pieces, self._held = [], 0
        if self._at_start:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._tail = buffer
                return []
            buffer = buffer.removeprefix(_BOM)
            self._at_start = False
        if b"\r" in buffer:
            buffer, held = (buffer[:-1], b"\r") if buffer.endswith(b"\r") else (buffer, b"")
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            held = b""
        lines = buffer.split(b"\n")
        self._tail = lines.pop() + held
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._size += len(line)
            elif line:
                self._see(line)
            elif event := self._end_event():
                events.append(event)
        if not events:
            self._check_size()
        return events

    def _see(self, line: bytes) -> None:
        """Take a line that is no data."""
        if line.startswith(b"event:"):
            self._name = line[6:].strip()
            self._size += len(line)
        elif line.startswith(b":"):
            self._comments.append(line[1:_COMMENT_BYTES].strip())

    def _end_event(self) -> bytes:
        """End the event, and return its data; empty for none."""
        data, name = b"\n".join(self._data), self._name
        if name == b"error":
            data = _report(data or b"\n".join(self._comments))
        elif name not in (b"", b"message") and data != b"[DONE]":
            data = b""
        self._data, self._size, self._name = [], 0, b""
        self._comments.clear()
        return data

    def _is_middle(self, received: bytes) -> bool:
        """Return whether a line has begun before these bytes and ends after them."""
        return (
            bool(self._tail)
            and not self._at_start
            and not self._tail.endswith(b"\r")
            and b"\n" not in received
            and b"\r" not in received
        )

    def _check_size(self) -> None:
        if self._size + len(self._tail) + self._held > MAX_EVENT_BYTES:
            raise malformed(
                f"The NIM sent an event of more than {MAX_EVENT_BYTES} bytes.",
                code="response_too_large",
            )

    def close(self) -> list[bytes]:
        """Return the event that the end of the stream completes, if any.

        The rules drop it; a server that forgets the last blank line has still said it.
        """
        return self.feed(b"\n\n") if self._tail or self._data or self._name else []


def _report(text: bytes) -> bytes:
    """Return an error report in OpenAI's form for the text of an ``error`` event."""
    try:
        said = msgspec.json.decode(text)
    except UNREADABLE:
        said = text.decode("utf-8", "replace").strip()
    if isinstance(said, dict) and said.get("error"):
        return text
    if not isinstance(said, dict):
        said = {"message": str(said or "") or "an error event without a reason"}
    return msgspec.json.encode({"error": said or {"message": "an error event without a reason"}})
