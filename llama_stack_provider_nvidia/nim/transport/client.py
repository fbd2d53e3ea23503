"""Clients and their connections: one pool per event loop, address and key."""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai

from ... import __version__
from .bounds import ENCODINGS, bound
from .network import NetworkConfig, Road
from .retry import RetryPolicy
from .timing import TimeLimits

USER_AGENT = f"llama-stack: nvidia-inference-adapter/{__version__}"

# A server with a key per tenant must not keep a connection pool for each one it ever saw.
MAX_CLIENTS = 256

# The SDK wants a key; the header made of this one is taken off again.
_NO_KEY = "none"


@dataclass(frozen=True)
class Transport:
    """How to reach a NIM, apart from the key.

    Attributes:
        endpoint: Address that paths are appended to, usually ending with ``/v1``.
        timeout: Seconds to wait for the next bytes.
        connect_timeout: Seconds to wait for a connection.
        retry: Further tries before any of the answer has arrived.
        limits: Of the time that an answer may take.
        max_concurrent_requests: For inference; None for any number.
        requests_per_minute: For inference; None for any number.
        network: TLS, proxy, headers and pool limits. Its time limits go before those above.
    """

    endpoint: str
    timeout: float = 600
    connect_timeout: float = 10
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    limits: TimeLimits = field(default_factory=TimeLimits)
    max_concurrent_requests: int | None = None
    requests_per_minute: int | None = None
    network: NetworkConfig = field(default_factory=NetworkConfig)


class _Entry:
    """A client and how many use it just now."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self.client = client
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


def _close_soon(client: openai.AsyncOpenAI) -> None:
    task = asyncio.get_running_loop().create_task(client.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


# The loop keeps only weak references to its tasks.
_closing: set["asyncio.Task[None]"] = set()


class ClientPool:
    """Makes ``AsyncOpenAI`` clients when first needed and keeps them for the next request.

    A client belongs to one event loop (the library client of Llama Stack uses several in
    turn), one address and one key, so that no connection is ever shared between keys.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._by_loop: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, OrderedDict[str | None, _Entry]
        ] = weakref.WeakKeyDictionary()
        self._road = Road(transport.network)

    def lease(self, key: str | None) -> Lease:
        """Give the running loop's client for a key; None is for a NIM that needs no key."""
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            self._forget_ended()
        entries = self._by_loop.setdefault(loop, OrderedDict())
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = _Entry(self._make(key))
            if len(entries) > MAX_CLIENTS:
                _, old = entries.popitem(last=False)
                old.dropped = True
                if not old.users:
                    _close_soon(old.client)
        else:
            entries.move_to_end(key)
        return Lease(entry)

    def _forget_ended(self) -> None:
        # Open connections hold on to their loop, and so the weak reference never ends by itself.
        for ended in [loop for loop in self._by_loop if loop.is_closed()]:
            del self._by_loop[ended]

    async def aclose(self) -> None:
        """Close the running loop's clients. Those of ended loops cannot be closed any more."""
        entries = self._by_loop.pop(asyncio.get_running_loop(), None)
        for entry in entries.values() if entries else ():
            await entry.client.close()

    def _make(self, key: str | None) -> openai.AsyncOpenAI:
        transport = self._transport
        read, connect = transport.network.timeouts(transport.timeout, transport.connect_timeout)
        timeout = httpx.Timeout(read, connect=connect)
        client = openai.AsyncOpenAI(
            base_url=transport.endpoint,
            api_key=key or _NO_KEY,
            timeout=timeout,  # type: ignore[arg-type, unused-ignore]
            max_retries=0,  # see nim.transport.sender
            default_headers={
                "Accept-Encoding": ENCODINGS,
                **self._road.headers,
                "User-Agent": USER_AGENT,
            },
            # The SDK moved to httpx2 in version 3, and still takes clients of httpx: handing it
            # one keeps responses and errors of one kind from 1.66 on.
            http_client=self._road.client(  # type: ignore[arg-type, unused-ignore]
                timeout, event_hooks={"request": [] if key else [_without_key], "response": [bound]}
            ),
        )
        # The SDK fills these from OPENAI_ORG_ID and OPENAI_PROJECT_ID: not for NVIDIA to see.
        client.organization = None
        client.project = None
        return client


async def _without_key(request: httpx.Request) -> None:
    request.headers.pop("Authorization", None)


async def post(
    client: openai.AsyncOpenAI,
    path: str,
    body: dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Send a request through the SDK, once: its time limits and errors, none of its parsing.

    Args:
        client: From ``ClientPool.lease``.
        path: Below the endpoint, such as ``/chat/completions``.
        body: JSON body as it goes on the wire.
        headers: To be sent beside the client's own.

    Returns:
        The response, with its headers read and its body not.

    Raises:
        openai.APIError: There is none, or it has an error status.
    """
    response: Any = await client.post(
        path,
        cast_to=httpx.Response,
        body=body,
        options={"headers": headers} if headers else {},
        stream=True,
        stream_cls=openai.AsyncStream[Any],
    )
    assert isinstance(response, httpx.Response)
    return response
