"""A pool of ``AsyncOpenAI`` clients: one per event loop, endpoint and key."""

import asyncio
import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field

import httpx
import openai

from ..._version import __version__
from .body_reader import ENCODINGS, limit_body
from .deadlines import NO_LIMITS, TimeLimits
from .http_client import HTTPClient, HTTPClientFactory
from .log_redaction import REQUEST_HEADERS, redact_library_logs
from .network import NetworkConfig
from .retry import RetryPolicy

USER_AGENT = f"llama-stack: nvidia-inference-adapter/{__version__}"

# A server with a key per tenant must not keep a connection pool for each one it ever saw.
MAX_CLIENTS = 256

# The SDK wants a key; the header made of this one is taken off again.
_NO_KEY = "none"


@dataclass(frozen=True)
class TransportSettings:
    """How to reach one endpoint, apart from the key.

    Attributes:
        endpoint: Address that paths are appended to, usually ending with ``/v1``.
        timeout: Seconds to wait for the next bytes.
        connect_timeout: Seconds to wait for a connection.
        retry: Further attempts before any of the response has arrived.
        limits: Of the time that a response may take.
        max_concurrent_requests: For inference; None for any number.
        requests_per_minute: For inference, each attempt counted; None for any number.
        network: TLS, proxy, headers and pool limits. Its time limits go before those above.
    """

    endpoint: str
    timeout: float = 600
    connect_timeout: float = 10
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    limits: TimeLimits = NO_LIMITS
    max_concurrent_requests: int | None = None
    requests_per_minute: int | None = None
    network: NetworkConfig = field(default_factory=NetworkConfig)


class _Entry:
    """A client and how many use it just now."""

    def __init__(self, client: openai.AsyncOpenAI, http: HTTPClient, version: int) -> None:
        self.client = client
        self.http = http
        self.version = version
        self.users = 0
        self.dropped = False


class Lease:
    """The use of a client, until it is closed."""

    def __init__(self, entry: _Entry) -> None:
        self._entry: _Entry | None = entry
        self.client = entry.client
        entry.users += 1

    def close(self) -> None:
        """End the use; the last one of a client that was put out of the pool closes it."""
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.users -= 1
            if entry.dropped and not entry.users:
                _close_soon(entry.client)

    def __enter__(self) -> "Lease":
        """Begin the use."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the use."""
        self.close()


def _drop(entry: _Entry) -> None:
    """Close a client that is out of the pool, when nobody uses it any more."""
    entry.dropped = True
    if not entry.users:
        _close_soon(entry.client)


def _close_soon(client: openai.AsyncOpenAI) -> None:
    task = asyncio.get_running_loop().create_task(client.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


# The loop keeps only weak references to its tasks.
_closing: set["asyncio.Task[None]"] = set()

_Clients = OrderedDict[str | None, _Entry]


class ClientPool:
    """Makes ``AsyncOpenAI`` clients when first needed and keeps them for the next request.

    A client belongs to one event loop (the library client of Llama Stack uses several in
    turn), one endpoint and one key, so that no connection is ever shared between keys.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = (
            weakref.WeakKeyDictionary()
        )
        # Loops run in threads of their own, which may come here at the same time.
        self._lock = threading.Lock()
        self._factory = HTTPClientFactory(settings.network)

    def lease(self, key: str | None) -> Lease:
        """Lease the running loop's client for a key; None is for a NIM that needs no key."""
        loop = asyncio.get_running_loop()
        with self._lock:
            clients = self._by_loop.get(loop)
            if clients is None:
                self._forget_ended()
                clients = self._by_loop[loop] = OrderedDict()
            if time.monotonic() >= self._factory.look_at:
                self._factory.reload()
            version = self._factory.version
        entry = clients.get(key)
        if entry is None or entry.version != version:
            if entry is not None:
                _drop(clients.pop(key))
            entry = clients[key] = _Entry(*self._make(key), version)
            if len(clients) > MAX_CLIENTS:
                _drop(clients.popitem(last=False)[1])
        else:
            clients.move_to_end(key)
        return Lease(entry)

    def _forget_ended(self) -> None:
        # Open connections hold on to their loop, and so the weak reference never ends by itself.
        for ended in [loop for loop in self._by_loop if loop.is_closed()]:
            for entry in self._by_loop.pop(ended).values():
                entry.http.abandon()

    async def aclose(self) -> None:
        """Close the running loop's clients. Those of ended loops cannot be closed any more."""
        with self._lock:
            clients = self._by_loop.pop(asyncio.get_running_loop(), None)
        for entry in clients.values() if clients else ():
            await entry.client.close()

    def _make(self, key: str | None) -> tuple[openai.AsyncOpenAI, HTTPClient]:
        settings = self._settings
        read, connect = settings.network.timeouts(settings.timeout, settings.connect_timeout)
        timeout = httpx.Timeout(read, connect=connect)
        redact_library_logs()
        before = [_note_headers] if key else [_without_key, _note_headers]
        hooks = {"request": before, "response": [limit_body]}
        http = self._factory.make(timeout, event_hooks=hooks)
        client = openai.AsyncOpenAI(
            base_url=settings.endpoint,
            api_key=key or _NO_KEY,
            timeout=timeout,  # type: ignore[arg-type, unused-ignore]
            max_retries=0,  # see nim.transport.sender
            default_headers={
                "Accept-Encoding": ENCODINGS,
                **self._factory.headers,
                "User-Agent": USER_AGENT,
            },
            # The SDK moved to httpx2 in version 3, and still takes clients of httpx: handing it
            # one keeps responses and errors of one kind from 1.66 on.
            http_client=http,  # type: ignore[arg-type, unused-ignore]
        )
        # The SDK fills these from OPENAI_ORG_ID and OPENAI_PROJECT_ID: not for NVIDIA to see.
        client.organization = None
        client.project = None
        return client, http


async def _note_headers(request: httpx.Request) -> None:
    REQUEST_HEADERS.set(request.headers)


async def _without_key(request: httpx.Request) -> None:
    request.headers.pop("Authorization", None)
