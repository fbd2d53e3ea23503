"""Server-sent events, split from bytes as they arrive."""

from ..errors import ServerError

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""No answer's chunk comes near it; what does would fill the memory."""

_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Splits bytes, cut anywhere, into the data of server-sent events.

    Follows the WHATWG rules: lines end with LF, CRLF or CR; comments and fields other than
    ``data`` are skipped; several data lines of an event are joined; an event without data
    (Dynamo sends such), or with empty data, is none.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True

    def feed(self, received: bytes) -> list[bytes]:
        """Take the next bytes and give the data of each event they complete.

        Raises:
            ServerError: An event is longer than ``MAX_EVENT_BYTES``. Those before it have been
                given by then.
        """
        buffer = self._tail + received if self._tail else received
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
            elif not line and self._data:
                if event := b"\n".join(self._data):
                    events.append(event)
                self._data, self._size = [], 0
        if self._size + len(self._tail) > MAX_EVENT_BYTES and not events:
            raise ServerError(f"The NIM sent an event of more than {MAX_EVENT_BYTES} bytes.")
        return events

    def close(self) -> list[bytes]:
        """Give the event that the end of the stream completes, if any.

        The rules drop it; a server that forgets the last blank line has still said it.
        """
        return self.feed(b"\n\n") if self._tail or self._data else []
