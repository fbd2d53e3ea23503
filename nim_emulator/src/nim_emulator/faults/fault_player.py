"""Plays a fault: turns its operations into writes to the connection."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from starlette.types import ASGIApp, Receive, Scope, Send

from ..connection import TRANSPORT, Port, reset
from ..event_sender import DisconnectWatcher
from ..record import RecordedRequest
from .operations import Cut, Head, Operation, OriginalResponse, Pause, Raw, Restart
from .plan import Fault

_WRITES_PER_CHECK = 64
"""Writes after which other connections get a turn."""


class FaultyResponse:
    """A response with a fault: an ASGI application.

    Args:
        record: The request; what happens is noted there.
        fault: The fault.
        app: Gives the response without the fault.
        raw: The body of the request.
        port: The server's port, None when the application runs elsewhere.
    """

    def __init__(
        self,
        record: RecordedRequest,
        fault: Fault,
        app: ASGIApp,
        raw: bytes,
        port: Port | None,
    ) -> None:
        self._record = record
        self._fault = fault
        self._app = app
        self._raw = raw
        self._port = port
        self._head: Head | None = None
        self._started = False
        self._writes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play the fault until it is over or the client goes away."""
        play = self._fault.kind.play
        assert play is not None
        self._scope = scope
        self._send = send
        self._watch = DisconnectWatcher(receive, self._record)
        response = OriginalResponse(self._app, scope, self._raw)
        try:
            async with aclosing(play(response, **self._fault.parameters)) as operations:
                async for operation in operations:
                    if not await self._do(operation):
                        return
            if self._head is not None:
                await self._write(b"", more=False)
        finally:
            self._watch.cancel()
            await response.aclose()

    async def _do(self, operation: Operation) -> bool:
        """Carry out an operation; return whether the fault goes on."""
        if TRANSPORT in self._scope and self._transport.is_closing():
            await self._watch.disconnected(None)
            return False
        match operation:
            case Head():
                self._head = operation
            case bytes():
                self._writes += 1
                if self._writes % _WRITES_PER_CHECK == 0 and await self._watch.disconnected():
                    return False
                await self._write(operation)
            case Pause():
                return not await self._watch.disconnected(operation.seconds)
            case Raw():
                self._transport.write(operation.data)
                # A turn of the loop, so that each write is one of its own.
                await asyncio.sleep(0)
            case Cut():
                await self._cut(operation)
                return False
            case Restart():
                self._record.end()
                assert self._port is not None
                self._port.refuse(operation.seconds, drop=True)
                await self._watch.disconnected(None)
                return False
        return True

    async def _cut(self, operation: Cut) -> None:
        self._record.end()
        if operation.how == "reset":
            reset(self._transport)
        else:
            self._transport.close()
        # Without this the server would miss the rest of the response, and say so in its log.
        await self._watch.disconnected(None)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        assert self._head is not None
        if not self._started:
            self._started = True
            headers = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in self._head.headers
            ]
            status = self._head.status
            start = {"type": "http.response.start", "status": status, "headers": headers}
            await self._send(start)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._scope[TRANSPORT]
        return transport
