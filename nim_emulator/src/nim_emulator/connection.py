"""Client connections and the listening port of the running server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .record import Recorder

TRANSPORT = "emulator.transport"
"""Key of the ASGI scope under which the connection's transport is found."""

_WAIT_S = 5.0


def protocol_class(recorder: Recorder) -> type[asyncio.Protocol]:
    """Return a protocol that records connections and shows the transport to the application."""

    class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            app: ASGIApp = options["config"].loaded_app

            async def shown(scope: Scope, receive: Receive, send: Send) -> None:
                scope[TRANSPORT] = self.transport
                await app(scope, receive, send)

            self.app = shown

        def connection_made(self, transport: asyncio.Transport) -> None:
            peer = transport.get_extra_info("peername")
            recorder.connected(self, peer[1] if peer else 0)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            recorder.closed(self)
            super().connection_lost(exc)

    return Protocol


def reset(transport: asyncio.Transport) -> None:
    """Break a connection so that the client gets a TCP reset."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        # Closed with a linger time of zero, a socket sends RST in place of FIN.
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Port:
    """The listening port of a running server, which can be closed for a while.

    Args:
        server: The server.
        listen: Opens a listening socket on the same address.
        loop: The loop in which the server runs.
    """

    def __init__(
        self,
        server: uvicorn.Server,
        listen: Callable[[], socket.socket],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._server = server
        self._listen = listen
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def refuse(self, seconds: float, *, drop: bool = False) -> None:
        """Refuse new connections for a while; safe to call from any thread.

        Args:
            seconds: How long; counts anew when the port is closed already.
            drop: Reset the connections that are open, too.
        """
        if not self._here():
            self._wait(self._closing(seconds, drop))
        elif self._opening is None or self._opening.done():
            self._close(seconds, drop)
        else:
            self._task = self._loop.create_task(self._closing(seconds, drop))

    def open(self) -> None:
        """Accept connections again at once; safe to call from any thread."""
        if self._here():
            self._open()
        else:
            self._wait(self._reopening())

    async def _closing(self, seconds: float, drop: bool) -> None:
        # The server does not know its sockets until it has opened them.
        if self._opening is not None:
            await self._opening
        self._close(seconds, drop)

    async def _reopening(self) -> None:
        self._open()
        if self._opening is not None:
            await self._opening

    def _here(self) -> bool:
        with contextlib.suppress(RuntimeError):
            return asyncio.get_running_loop() is self._loop
        return False

    def _wait(self, call: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(call, self._loop).result(_WAIT_S)

    def _close(self, seconds: float, drop: bool) -> None:
        for server in self._server.servers:
            server.close()
        if drop:
            for connection in list(self._server.server_state.connections):
                transport: Any = connection.transport
                reset(transport)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._open)

    def _open(self) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        if not self._server.should_exit:
            listener = self._listen()
            self._opening = self._loop.create_task(self._server.startup(sockets=[listener]))
