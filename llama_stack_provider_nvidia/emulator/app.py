"""The emulator's routes."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import stream, wire
from .dialect import TOOL_STREAMS, Canned, Dialect, ToolStream
from .errors import Problem, RefusalError, error_reply, invalid
from .faults import FaultPlan
from .gateway import Waiting, answer_id, canned_response
from .inspection import Inspection, Recording
from .job import Job, digest
from .management import BODIES
from .model import answer
from .parse import parse_chat, parse_completion
from .record import RecordedRequest, Recorder
from .retrieval.call import Call
from .retrieval.services import SERVICES
from .send import EventStream
from .served import Served
from .settings import Settings

_POST = ["POST"]
_Parser = Callable[[Dialect, object, Sequence[str], int], Job]


def create_app(
    settings: Settings, recorder: Recorder | None = None, faults: FaultPlan | None = None
) -> ASGIApp:
    """Return the emulator as an ASGI application.

    Args:
        settings: How it behaves.
        recorder: Where requests are recorded and scripts are kept; a new one by default.
        faults: Where ordered faults are kept; a new one by default. Those of the connection and
            the port need :class:`~.server.EmulatorServer`.
    """
    recorder = recorder or Recorder()
    faults = faults or FaultPlan()
    nim = _Nim(settings)
    dialect = settings.generation
    routes = [
        *nim.generation(),
        *(
            Route(path, nim.retrieval(service), methods=["POST"])
            for path, service in dialect.services.items()
        ),
        Route("/v1/models", nim.models, methods=["GET"]),
        *(Route(path, nim.management, methods=["GET"]) for path in dialect.routes),
        *Inspection(recorder, faults).routes(),
    ]
    if dialect.poll_path is not None:
        routes.append(Route(f"{dialect.poll_path}{{id}}", nim.poll, methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers={
            RefusalError: nim.refused,
            _CannedError: nim.canned,
            HTTPException: nim.not_routed,
        },
    )
    return Recording(app, recorder, faults)


class _CannedError(Exception):
    """A request that gets a fixed reply."""

    def __init__(self, reply: Canned, model: str = "") -> None:
        super().__init__(reply.status)
        self.reply = reply
        self.model = model


class _Nim:
    """The endpoints of the NIM."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dialect = settings.generation
        self._served = Served(settings)
        self._waiting = Waiting()

    async def models(self, request: Request) -> Response:
        if not self._dialect.models_public:
            self._check_key(request)
        return _json({"object": "list", "data": self._served.entries(int(time.time()))})

    async def management(self, request: Request) -> Response:
        body = BODIES[self._dialect.routes[request.url.path]](self._dialect, self._settings.served)
        return Response() if body is None else _json(body)

    def generation(self) -> list[Route]:
        """Return the routes of chats and completions, where there are any."""
        rules = (self._dialect, *(variant for _, variant in self._dialect.variants))
        chat = Route("/v1/chat/completions", self.inference(parse_chat, "chatcmpl"), methods=_POST)
        text = Route("/v1/completions", self.inference(parse_completion, "cmpl"), methods=_POST)
        return [
            *([chat] if any(item.chat_fields is not None for item in rules) else ()),
            *([text] if any(item.completion_fields is not None for item in rules) else ()),
        ]

    def inference(
        self, parse: _Parser, prefix: str
    ) -> Callable[[Request], Awaitable[Response | EventStream]]:
        async def endpoint(request: Request) -> Response | EventStream:
            self._check_key(request)
            settings = self._settings
            body = await _body(self._dialect, request)
            model = body.get("model") if isinstance(body, dict) else None
            dialect = request.state.dialect = self._dialect.rules(model)
            self._check_model(model)
            fields = dialect.chat_fields if parse is parse_chat else dialect.completion_fields
            # A server of an embedding or rerank model does not have these paths.
            if fields is None or self._served.kind(model) != "llm":
                raise HTTPException(404)
            job = parse(dialect, body, self._served.ids, settings.context_length)
            job = self._served.adapted(job)
            tool_stream = _header_tool_stream(request) or settings.tool_stream
            name = self._answer_id(request)
            result = wire.Answer(
                dialect=dialect,
                job=job,
                choices=answer(dialect, job),
                id=f"{prefix}-{digest(settings.created, name)[: dialect.shapes.id_digits]}",
                created=int(time.time()),
                tool_stream=tool_stream or dialect.tool_stream,
            )
            return self._now_or_later(
                request, job.model, lambda asking: self._answered(asking, result)
            )

        return endpoint

    def retrieval(self, service: str) -> Callable[[Request], Awaitable[Response | EventStream]]:
        """Return the endpoint of a service for embedding or rerank models."""

        async def endpoint(request: Request) -> Response | EventStream:
            self._check_key(request)
            settings = self._settings
            body = await _body(self._dialect, request)
            model = body.get("model") if isinstance(body, dict) else None
            dialect = request.state.dialect = self._dialect.rules(model)
            self._check_model(model)
            name = self._answer_id(request)
            call = Call(
                dialect=dialect,
                body=body,
                served=self._served,
                place=request.path_params,
                id=digest(settings.created, name)[: dialect.shapes.id_digits],
                created=int(time.time()),
                max_batch=settings.max_batch,
            )
            # In a thread: a large batch takes a second, and other requests must not wait for it.
            answered = await run_in_threadpool(SERVICES[service], call)
            return self._now_or_later(
                request,
                str(model),
                lambda asking: _json(answered, headers=self._answer_headers(asking)),
            )

        return endpoint

    def _now_or_later(
        self,
        request: Request,
        model: str,
        respond: Callable[[Request], Response | EventStream],
    ) -> Response | EventStream:
        polls = self._polls(request, model)
        if polls is None:
            return respond(request)
        key = request.headers.get("authorization")
        return self._waiting.put(self._answer_id(request), key, polls, respond)

    async def poll(self, request: Request) -> Response | EventStream:
        self._check_key(request)
        try:
            found = self._waiting.fetch(request.path_params["id"], request)
        except PermissionError:
            raise _CannedError(self._dialect.wrong_key) from None
        if found is None:
            detail = f"Request {request.path_params['id']}: Not found"
            return _json({"status": 404, "title": "Not Found", "detail": detail}, 404)
        assert isinstance(found, Response | EventStream)
        return found

    async def refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        dialect = getattr(request.state, "dialect", self._dialect)
        status, body = error_reply(dialect, error)
        return _json(body, status, self._answer_headers(request))

    async def canned(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, _CannedError)
        name = self._answer_id(request)
        response = canned_response(error.reply, request, name, error.model)
        response.headers.update(self._answer_headers(request))
        return response

    async def not_routed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if self._dialect.not_found is not None and error.status_code == 404:
            return canned_response(self._dialect.not_found, request, self._answer_id(request))
        return _json({"detail": error.detail}, error.status_code, error.headers)

    def _answered(self, request: Request, result: wire.Answer) -> Response | EventStream:
        settings = self._settings
        record: RecordedRequest = request.state.record
        headers = self._answer_headers(request)
        if result.job.stream:
            done = settings.done and request.headers.get("x-emulator-done") != "no"
            return EventStream(
                record,
                stream.frames(result, done=done),
                rate=_header_rate(request) or settings.tokens_per_second,
                per_write=settings.frames_per_write,
                headers=headers,
            )
        record.tokens_sent = sum(choice.completion_tokens for choice in result.choices)
        return _json(wire.body(result), headers=headers)

    def _check_key(self, request: Request) -> None:
        key = self._settings.api_key
        given = request.headers.get("authorization")
        if given is None and (key is not None or self._dialect.needs_key):
            raise _CannedError(self._dialect.missing_key)
        if key is not None and given != f"Bearer {key}":
            raise _CannedError(self._dialect.wrong_key)

    def _check_model(self, model: object) -> None:
        """Answer for models that cannot be used, where such are listed."""
        if isinstance(model, str) and model in self._dialect.specials:
            raise _CannedError(self._dialect.specials[model], model)
        unknown = self._dialect.unknown_model
        if isinstance(unknown, Canned) and isinstance(model, str) and model not in self._served.ids:
            raise _CannedError(unknown, model)

    def _polls(self, request: Request, model: str) -> int | None:
        """Return how often an answer is not ready when it is fetched; None to answer at once."""
        if self._dialect.poll_path is None:
            return None
        text = request.headers.get("x-emulator-polls")
        if text is None:
            return self._settings.polls if model in self._dialect.pending else None
        if not text.isdecimal():
            raise RefusalError(f"x-emulator-polls: not a number: {text!r}")
        return int(text)

    def _answer_id(self, request: Request) -> str:
        return answer_id(request.state.record.id, self._settings.created)

    def _answer_headers(self, request: Request) -> dict[str, str]:
        headers = {}
        if self._dialect.request_id_header is not None:
            name = request.path_params.get("id") or self._answer_id(request)
            headers[self._dialect.request_id_header] = name
        given = request.headers.get("x-request-id")
        if given is not None and self._dialect.echoes_request_id:
            headers["x-request-id"] = given
        return headers


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(wire.encode(value), status, headers, media_type="application/json")


async def _body(dialect: Dialect, request: Request) -> object:
    """Return the parsed body.

    Raises:
        RefusalError: It is too large, is not declared as JSON, or is not JSON.
    """
    raw = await request.body()
    if dialect.max_body is not None and len(raw) > dialect.max_body:
        raise RefusalError("length limit exceeded", status=413)
    media = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media != "application/json":
        message = "Unsupported Media Type: Only 'application/json' is allowed"
        problem: Problem = {"type": "value_error", "loc": ("body",), "msg": message}
        raise invalid([problem], dialect.media_status)
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        problem = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "JSON decode error",
            "ctx": {"error": error.msg},
        }
        raise invalid([problem]) from None
    except UnicodeDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body",), "msg": f"JSON decode error: {error}"}
        raise invalid([problem]) from None


def _header_rate(request: Request) -> float | None:
    text = request.headers.get("x-emulator-tokens-per-second")
    if text is None:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise RefusalError(f"x-emulator-tokens-per-second: not a positive number: {text!r}")
    return rate


def _header_tool_stream(request: Request) -> ToolStream | None:
    text = request.headers.get("x-emulator-tool-stream")
    for style in TOOL_STREAMS:
        if style == text:
            return style
    if text is not None:
        raise RefusalError(f"x-emulator-tool-stream: {text!r} is none of {list(TOOL_STREAMS)}")
    return None
