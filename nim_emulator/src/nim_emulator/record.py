"""Recorded requests and scripted replies."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

REMEMBERED = 1000
"""Number of requests that are kept."""

_KEY_HEADERS = ("authorization", "x-api-key", "api-key")
_SECRET_HEADERS = {*_KEY_HEADERS, "proxy-authorization", "cookie"}


@dataclass(slots=True)
class RecordedRequest:
    """One request that the emulator received.

    Attributes:
        id: Number of the request, from 1.
        method: HTTP method.
        path: Path without the query.
        headers: Headers by lower-case name; keys and cookies are replaced by a hash, see
            ``fingerprint``.
        body: The parsed JSON body, or its text when it is not JSON, or None when empty.
        status: HTTP status of the response, None before it starts.
        streamed: The response is a stream of events.
        disconnected: The client went away before the response was complete.
        tokens_sent: Tokens of the response that were sent.
        first_token_at: Unix time when the first of them was sent, None before.
        client_port: TCP port the request came from: requests on one connection share it.
        key: Hash of the key that the request carries, see ``fingerprint``; None without one.
        fault: Name of the fault that was applied to the response, None for none.
        received_at: Unix time in seconds when the head of the request was read.
        ended_at: Unix time when the response was complete or the emulator cut it, None before.
        disconnected_at: Unix time when the client went away before that, None otherwise.
    """

    id: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    status: int | None = None
    streamed: bool = False
    disconnected: bool = False
    tokens_sent: int = 0
    first_token_at: float | None = None
    client_port: int | None = None
    key: str | None = None
    fault: str | None = None
    received_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    disconnected_at: float | None = None

    def sent(self, tokens: int) -> None:
        """Record that tokens of the response were sent."""
        self.tokens_sent += tokens
        if tokens and self.first_token_at is None:
            self.first_token_at = time.time()

    def end(self) -> None:
        """Record that the response is over."""
        if self.ended_at is None and not self.disconnected:
            self.ended_at = time.time()

    def leave(self) -> None:
        """Record that the client went away, unless the response was over before."""
        if self.ended_at is None and not self.disconnected:
            self.disconnected = True
            self.disconnected_at = time.time()

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON data."""
        return asdict(self)


def fingerprint(value: str) -> str:
    """Return what a secret header value is recorded as.

    Args:
        value: The header, such as ``Bearer nvapi-...``.

    Returns:
        The scheme, if there is one, and twelve hex digits of the key's SHA-256: enough to tell
        whether two requests carry the same key, useless to anyone else.
    """
    scheme, _, key = value.rpartition(" ")
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{scheme} sha256:{digest}".strip()


def key_in(headers: Mapping[str, str]) -> str | None:
    """Return the hash of the key among the headers, by lower-case name; None without one."""
    for name in _KEY_HEADERS:
        if headers.get(name):
            return fingerprint(headers[name]).rpartition(" ")[2]
    return None


class Reply(BaseModel):
    """A scripted reply, used once.

    Attributes:
        path: Path of the request it is for. Without one it is for the next POST to any path,
            so that probes (GET) do not use it up.
        match: Text that the raw body of the request must hold.
        status: HTTP status.
        headers: HTTP headers.
        body: JSON body; a string is sent as it is. Ignored when ``sse`` is given.
        sse: Events of a stream: an object is sent as a JSON chunk, a string as the data of an
            event (``"[DONE]"``), and ``{"raw": "..."}`` exactly as it stands.
        delay_s: Seconds before the response starts.
        chunk_delay_s: Seconds before each event.
        close: ``clean``, or ``abrupt`` to break the connection after what was sent.
    """

    model_config = ConfigDict(extra="forbid")

    path: str | None = None
    match: str = ""
    status: Annotated[int, Field(ge=200, le=599)] = 200
    headers: dict[str, str] = {}
    body: Any = None
    sse: list[dict[str, Any] | str] | None = None
    delay_s: Annotated[float, Field(ge=0)] = 0
    chunk_delay_s: Annotated[float, Field(ge=0)] = 0
    close: Literal["clean", "abrupt"] = "clean"

    def fits(self, method: str, path: str, body: bytes) -> bool:
        """Return whether the reply is for a request."""
        right_path = method == "POST" if self.path is None else path == self.path
        return right_path and self.match.encode() in body

    def events(self) -> list[bytes]:
        """Return the bytes of each event."""
        return [_event(item) for item in self.sse or ()]

    def content(self) -> bytes:
        """Return the bytes of the body."""
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def _event(item: dict[str, Any] | str) -> bytes:
    if isinstance(item, str):
        return f"data: {item}\n\n".encode()
    if item.keys() == {"raw"} and isinstance(item["raw"], str):
        return item["raw"].encode()
    return b"data: " + json.dumps(item).encode() + b"\n\n"


_REPLIES = TypeAdapter(list[Reply])


@dataclass(slots=True)
class Connections:
    """Connections that clients made to the emulator.

    Attributes:
        opened: Number of connections since the start or since they were forgotten.
        open: TCP port of the client of each connection that is open, oldest first.
    """

    opened: int
    open: list[int]


class Recorder:
    """The request log and the script; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = 0
        self._open: dict[object, int] = {}
        self._requests: deque[RecordedRequest] = deque(maxlen=REMEMBERED)
        self._script: list[Reply] = []
        self._count = 0

    def open(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> RecordedRequest:
        """Record a request and return its record, which is filled in as the response goes."""
        given = dict(headers)
        shown = {k: fingerprint(v) if k in _SECRET_HEADERS else v for k, v in given.items()}
        with self._lock:
            self._count += 1
            record = RecordedRequest(self._count, method, path, shown, readable(body))
            record.key = key_in(given)
            self._requests.append(record)
        return record

    def requests(self) -> list[RecordedRequest]:
        """Return the records, oldest first."""
        with self._lock:
            return list(self._requests)

    def clear_requests(self) -> None:
        """Forget all requests, and start again to count connections."""
        with self._lock:
            self._requests.clear()
            self._opened = 0

    def connected(self, connection: object, port: int) -> None:
        """Record that a client made a connection from a port."""
        with self._lock:
            self._opened += 1
            self._open[connection] = port

    def closed(self, connection: object) -> None:
        """Record that a connection is closed."""
        with self._lock:
            self._open.pop(connection, None)

    def connections(self) -> Connections:
        """Return the number of connections made, and those that are open."""
        with self._lock:
            return Connections(self._opened, list(self._open.values()))

    def script(self, replies: Iterable[Reply | Mapping[str, Any]]) -> int:
        """Append scripted replies.

        Args:
            replies: Replies, or their JSON form.

        Returns:
            The number of replies that now wait.

        Raises:
            pydantic.ValidationError: One of them is malformed; then none is kept.
        """
        checked = _REPLIES.validate_python(list(replies))
        with self._lock:
            self._script += checked
            return len(self._script)

    def clear_script(self) -> None:
        """Drop all scripted replies."""
        with self._lock:
            self._script.clear()

    def take(self, method: str, path: str, body: bytes) -> Reply | None:
        """Take the first scripted reply for a request, None when there is none."""
        with self._lock:
            for index, reply in enumerate(self._script):
                if reply.fits(method, path, body):
                    return self._script.pop(index)
        return None


def readable(body: bytes) -> Any:
    """Return a body's JSON value, its text where it is not JSON, None where it is empty."""
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
