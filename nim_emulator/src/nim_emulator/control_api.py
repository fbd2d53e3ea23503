"""The routes under ``/emulator/``: recorded requests, scripted replies and faults.

All of it is the same in every dialect.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .event_sender import ScriptedResponse
from .faults import FaultPlan, FaultyResponse
from .record import Recorder
from .response_bodies import encode

_PREFIX = "/emulator/"


class Inspection:
    """The endpoints of the emulator itself."""

    def __init__(self, recorder: Recorder, faults: FaultPlan) -> None:
        self._recorder = recorder
        self._faults = faults

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(f"{_PREFIX}requests", self.requests, methods=["GET", "DELETE"]),
            Route(f"{_PREFIX}connections", self.connections, methods=["GET"]),
            Route(f"{_PREFIX}script", self.script, methods=["POST", "DELETE"]),
            Route(f"{_PREFIX}faults", self.faults, methods=["GET", "POST", "DELETE"]),
        ]

    async def requests(self, request: Request) -> Response:
        """Return or forget the recorded requests."""
        if request.method == "DELETE":
            self._recorder.clear_requests()
            return Response(status_code=204)
        return _json([record.to_dict() for record in self._recorder.requests()])

    async def connections(self, request: Request) -> Response:
        """Return the connections."""
        return _json(asdict(self._recorder.connections()))

    async def script(self, request: Request) -> Response:
        """Set or drop scripted replies."""
        if request.method == "DELETE":
            self._recorder.clear_script()
            return Response(status_code=204)
        try:
            waiting = self._recorder.script(await request.json())
        except ValidationError as error:
            return _malformed(error)
        except (ValueError, TypeError, RecursionError) as error:
            return _json({"error": f"the script is not a JSON list: {error}"}, 400)
        return _json({"waiting": waiting})

    async def faults(self, request: Request) -> Response:
        """Order, show or drop faults."""
        if request.method == "DELETE":
            self._faults.clear()
            return Response(status_code=204)
        if request.method == "GET":
            return _json(self._faults.waiting())
        try:
            waiting = self._faults.add(await request.json())
        except ValidationError as error:
            return _malformed(error)
        except (ValueError, TypeError, RecursionError) as error:
            return _json({"error": f"the faults are not a usable JSON list: {error}"}, 400)
        return _json({"waiting": waiting})


class Recording:
    """Records each request to the NIM; plays scripted replies and faults before any routing."""

    def __init__(self, app: ASGIApp, recorder: Recorder, faults: FaultPlan) -> None:
        self._app = app
        self._recorder = recorder
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        came = time.time()
        request = Request(scope, receive)
        raw = await request.body()
        record = self._recorder.open(scope["method"], path, request.headers.items(), raw)
        record.received_at = came
        record.client_port = request.client.port if request.client else None
        scope.setdefault("state", {})["record"] = record
        reply = self._recorder.take(scope["method"], path, raw)
        app = self._app if reply is None else ScriptedResponse(record, reply)
        fault = self._faults.take(record, raw)
        if fault is not None:
            record.fault = fault.fault
            app = FaultyResponse(record, fault, app, raw, self._faults.port)
        unread = [{"type": "http.request", "body": raw, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await receive()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            elif not message.get("more_body", False):
                record.end()
            await send(message)

        await app(scope, replay, note)


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


def _malformed(error: ValidationError) -> Response:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return _json({"error": problems}, 400)
