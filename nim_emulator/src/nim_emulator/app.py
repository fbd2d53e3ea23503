"""The ASGI application: routes, authentication and error handlers."""

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

from . import response_bodies, stream
from .control_api import Inspection, Recording
from .dialect import TOOL_STREAMS, Dialect, FixedReply, ToolStream
from .errors import Problem, RefusalError, error_event, error_reply, validation_refusal
from .event_sender import EventStream
from .faults import FaultPlan
from .gateway import PendingResponses, fixed_response, response_id
from .generation_request import GenerationRequest, digest
from .generator import generate
from .management import BODIES
from .metrics import MEDIA, Metrics
from .model_list import ModelList
from .record import RecordedRequest, Recorder
from .replay import Replay
from .request_parser import parse_chat, parse_completion
from .retrieval.retrieval_request import RetrievalRequest
from .retrieval.services import SERVICES
from .settings import Settings

_POST = ["POST"]
_Parser = Callable[[Dialect, object, Sequence[str], int], GenerationRequest]


def create_app(
    settings: Settings,
    recorder: Recorder | None = None,
    faults: FaultPlan | None = None,
    replay: Replay | None = None,
) -> ASGIApp:
    """Return the emulator as an ASGI application.

    Args:
        settings: How it behaves.
        recorder: Where requests are recorded and scripts are kept; a new one by default.
        faults: Where ordered faults are kept; a new one by default. Those of the connection and
            the port need ``EmulatorServer``.
        replay: Answers in place of the dialect. It needs ``EmulatorServer``.
    """
    recorder = recorder or Recorder()
    faults = faults or FaultPlan()
    if replay is not None:
        inspection = Starlette(routes=Inspection(recorder, faults).routes())
        return Recording(replay.app(inspection), recorder, faults)
    nim = _Nim(settings)
    dialect = settings.generation
    routes = [
        *nim.generation(),
        *(
            Route(path, nim.retrieval(service), methods=["POST"])
            for path, service in dialect.services.items()
        ),
        Route("/v1/models", nim.models, methods=["GET"]),
        *(
            [Route("/v1/models/{id:path}", nim.model, methods=["GET"])]
            if dialect.model_route
            else ()
        ),
        *(Route(path, nim.management, methods=["GET"]) for path in dialect.routes),
        *(Route(path, nim.always, methods=_POST) for path in dialect.replies),
        *Inspection(recorder, faults).routes(),
    ]
    if dialect.poll_path is not None:
        routes.append(Route(f"{dialect.poll_path}{{id}}", nim.poll, methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers={
            RefusalError: nim.refused,
            _FixedReplyError: nim.fixed,
            HTTPException: nim.not_routed,
        },
    )
    return Recording(app, recorder, faults)


class _FixedReplyError(Exception):
    """A request that gets a fixed reply."""

    def __init__(self, reply: FixedReply, model: str = "") -> None:
        super().__init__(reply.status)
        self.reply = reply
        self.model = model


class _Nim:
    """The endpoints of the NIM."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dialect = settings.generation
        self._models = ModelList(settings)
        self._pending = PendingResponses()
        names = self._dialect.metrics
        self._metrics = None if names is None else Metrics(names, self._models.llms)

    async def models(self, request: Request) -> Response:
        if not self._dialect.models_public:
            self._check_key(request)
        return _json({"object": "list", "data": self._models.entries(int(time.time()))})

    async def model(self, request: Request) -> Response:
        entries = self._models.entries(int(time.time()))
        name = request.path_params["id"]
        for entry in entries:
            if entry["id"] == name:
                return _json(entry)
            if self._dialect.model_ready is not None and f"{entry['id']}/ready" == name:
                return _json({"model": entry["id"], **self._dialect.model_ready})
        if self._dialect.no_such_entry is not None:
            raise _FixedReplyError(self._dialect.no_such_entry, name)
        raise RefusalError(str(self._dialect.unknown_model), status=404, kind="NotFoundError")

    async def always(self, request: Request) -> Response:
        raise _FixedReplyError(self._dialect.replies[request.url.path])

    async def management(self, request: Request) -> Response:
        name = self._dialect.routes[request.url.path]
        if name == "metrics":
            assert self._metrics is not None
            return Response(self._metrics.text(), media_type=MEDIA)
        body = BODIES[name](self._dialect, self._settings.served)
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
            if isinstance(body, list) and self._dialect.list_body is not None:
                raise _FixedReplyError(self._dialect.list_body)
            model = body.get("model") if isinstance(body, dict) else None
            dialect = request.state.dialect = self._dialect.rules(model)
            self._check_model(model)
            fields = dialect.chat_fields if parse is parse_chat else dialect.completion_fields
            # A server of an embedding or rerank model does not have these paths.
            if fields is None or self._models.kind(model) != "llm":
                raise HTTPException(404)
            generation = parse(dialect, body, self._models.ids, settings.context_length)
            generation = self._models.with_adapter(generation)
            tool_stream = _header_tool_stream(request) or settings.tool_stream
            name = self._response_id(request)
            digits = digest(settings.created, name)[: dialect.shapes.id_digits]
            try:
                choices = generate(dialect, generation)
            except RefusalError as error:
                if not (generation.stream and dialect.stream_refusals):
                    raise
                return self._error_stream(request, error)
            result = response_bodies.GeneratedResponse(
                dialect=dialect,
                request=generation,
                choices=choices,
                id=f"{'' if dialect.shapes.bare_ids else f'{prefix}-'}{digits}",
                created=int(time.time()),
                tool_stream=tool_stream or _tool_stream(dialect, generation),
            )
            return self._respond_or_defer(
                request, generation.model, lambda asking: self._generation_response(asking, result)
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
            name = self._response_id(request)
            retrieval = RetrievalRequest(
                dialect=dialect,
                body=body,
                models=self._models,
                path_params=request.path_params,
                id=digest(settings.created, name)[: dialect.shapes.id_digits],
                created=int(time.time()),
                max_batch=settings.max_batch,
            )
            # In a thread: a large batch takes a second, and other requests must not wait for it.
            body_json = await run_in_threadpool(SERVICES[service], retrieval)
            return self._respond_or_defer(
                request,
                str(model),
                lambda asking: _json(body_json, headers=self._response_headers(asking)),
            )

        return endpoint

    def _respond_or_defer(
        self,
        request: Request,
        model: str,
        respond: Callable[[Request], Response | EventStream],
    ) -> Response | EventStream:
        polls = self._polls(request, model)
        if polls is None:
            return respond(request)
        key = request.headers.get("authorization")
        return self._pending.put(self._response_id(request), key, polls, respond)

    async def poll(self, request: Request) -> Response | EventStream:
        self._check_key(request)
        try:
            found = self._pending.fetch(request.path_params["id"], request)
        except PermissionError:
            raise _FixedReplyError(self._dialect.wrong_key) from None
        if found is None:
            detail = f"Request {request.path_params['id']}: Not found"
            return _json({"status": 404, "title": "Not Found", "detail": detail}, 404)
        assert isinstance(found, Response | EventStream)
        return found

    async def refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        dialect = getattr(request.state, "dialect", self._dialect)
        status, body = error_reply(dialect, error)
        return _json(body, status, self._response_headers(request))

    async def fixed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, _FixedReplyError)
        name = self._response_id(request)
        response = fixed_response(error.reply, request, name, error.model)
        response.headers.update(self._response_headers(request))
        return response

    async def not_routed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if self._dialect.not_found is not None and error.status_code == 404:
            return fixed_response(self._dialect.not_found, request, self._response_id(request))
        return _json({"detail": error.detail}, error.status_code, error.headers)

    def _error_stream(self, request: Request, error: RefusalError) -> EventStream:
        """Return a stream that says that a constraint cannot be compiled."""
        event = error_event(request.state.dialect, error)
        frames = (stream.data_frame(event), stream.DONE)
        return EventStream(request.state.record, frames, headers=self._response_headers(request))

    def _generation_response(
        self, request: Request, result: response_bodies.GeneratedResponse
    ) -> Response | EventStream:
        settings = self._settings
        record: RecordedRequest = request.state.record
        headers = self._response_headers(request)
        if self._metrics is not None:
            self._metrics.started(result.request.model, result.prompt_tokens, record)
        if result.request.stream:
            done = settings.done and request.headers.get("x-emulator-done") != "no"
            return EventStream(
                record,
                stream.frames(result, done=done),
                rate=_header_rate(request) or settings.tokens_per_second,
                per_write=settings.frames_per_write,
                headers=headers,
            )
        record.sent(sum(choice.completion_tokens for choice in result.choices))
        return _json(response_bodies.body(result), headers=headers)

    def _check_key(self, request: Request) -> None:
        key = self._settings.api_key
        given = request.headers.get("authorization")
        if given is None and (key is not None or self._dialect.needs_key):
            raise _FixedReplyError(self._dialect.missing_key)
        if key is not None and given != f"Bearer {key}":
            raise _FixedReplyError(self._dialect.wrong_key)

    def _check_model(self, model: object) -> None:
        """Raise the fixed reply of a model that cannot be used."""
        if not self._models.ids and self._dialect.no_models is not None:
            raise _FixedReplyError(self._dialect.no_models)
        if isinstance(model, str) and model in self._dialect.specials:
            raise _FixedReplyError(self._dialect.specials[model], model)
        unknown = self._dialect.unknown_model
        if (
            isinstance(unknown, FixedReply)
            and isinstance(model, str)
            and model not in self._models.ids
        ):
            raise _FixedReplyError(unknown, model)

    def _polls(self, request: Request, model: str) -> int | None:
        """Return how often a response is not ready when it is fetched; None to answer at once."""
        if self._dialect.poll_path is None:
            return None
        text = request.headers.get("x-emulator-polls")
        if text is None:
            return self._settings.polls if model in self._dialect.pending else None
        if not text.isdecimal():
            raise RefusalError(f"x-emulator-polls: not a number: {text!r}")
        return int(text)

    def _response_id(self, request: Request) -> str:
        return response_id(request.state.record.id, self._settings.created)

    def _response_headers(self, request: Request) -> dict[str, str]:
        headers = {}
        if self._dialect.request_id_header is not None:
            name = request.path_params.get("id") or self._response_id(request)
            headers[self._dialect.request_id_header] = name
        given = request.headers.get("x-request-id")
        if given is not None and self._dialect.echoes_request_id:
            headers["x-request-id"] = given
        return headers


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(response_bodies.encode(value), status, headers, media_type="application/json")


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
        raise validation_refusal([problem], dialect.media_status)
    if not raw:
        problem = {"type": "missing", "loc": ("body",), "msg": "Field required"}
        raise validation_refusal([problem])
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        problem = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "JSON decode error",
            "ctx": {"error": error.msg},
        }
        raise validation_refusal([problem]) from None
    except (UnicodeDecodeError, RecursionError) as error:
        problem = {"type": "json_invalid", "loc": ("body",), "msg": f"JSON decode error: {error}"}
        raise validation_refusal([problem]) from None


def _tool_stream(dialect: Dialect, generation: GenerationRequest) -> ToolStream:
    if generation.tool_choice in ("required", "named") and dialect.forced_tool_stream is not None:
        return dialect.forced_tool_stream
    return dialect.tool_stream


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
