"""Server-sent events, split from bytes as they arrive."""

from ..errors import malformed

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
        self._pieces: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []
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
            elif not line and self._data:
                if event := b"\n".join(self._data):
                    events.append(event)
                self._data, self._size = [], 0
        if not events:
            self._check_size()
        return events

    def _is_middle(self, received: bytes) -> bool:
        """Whether there is a line that has begun before these bytes and ends after them."""
        return (
            bool(self._tail)
            and not self._at_start
            and not self._tail.endswith(b"\r")
            and b"\n" not in received
            and b"\r" not in received
        )

    def _check_size(self) -> None:
        if self._size + len(self._tail) + self._held > MAX_EVENT_BYTES:
            raise malformed(f"The NIM sent an event of more than {MAX_EVENT_BYTES} bytes.")

    def close(self) -> list[bytes]:
        """Give the event that the end of the stream completes, if any.

        The rules drop it; a server that forgets the last blank line has still said it.
        """
        return self.feed(b"\n\n") if self._tail or self._data else []
