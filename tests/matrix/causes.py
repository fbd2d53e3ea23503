"""How each cause of docs/errors.md is brought about, in front of the emulated NIM."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nim_emulator import EmulatorServer
from scripts.child_process import free_port

LLM = "meta/llama-3.1-8b-instruct"
GHOST = "meta/llama-ghost-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
SERVER_KEY = "nvapi-secret-of-the-server"
NIM_KEY = "nvapi-secret-of-the-nim"
WRONG_KEY = "nvapi-secret-that-is-wrong"
TWO_WORDS = "nvapi-secret of two words"
SECRETS = (SERVER_KEY, NIM_KEY, WRONG_KEY, TWO_WORDS)
REQUEST_ID = "5ca1ab1e-0000-4000-8000-000000000000"

HASTE_S = 0.25
# A NIM on a busy machine must be able to begin a stream in this time.
BRIEF_S = 1.5
_CHAT = "/v1/chat/completions"
_MESSAGES = [{"role": "user", "content": "count to 6"}]
_SCHEMA = {"name": "city", "schema": {"type": "object", "required": ["name"]}}
_NO_SCHEMA = {"name": "city", "schema": {"type": "city"}}
_TEXT_ANSWER = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "no"}, "finish_reason": "stop"}
    ]
}
_TEXT_EVENT = {"choices": [{"index": 0, "delta": {"content": "no"}, "finish_reason": "stop"}]}
_CUT_ANSWER = {"choices": [{**_TEXT_ANSWER["choices"][0], "finish_reason": "length"}]}
_CUT_EVENT = {"choices": [{**_TEXT_EVENT["choices"][0], "finish_reason": "length"}]}
_TEXT_EVENT_OPEN = {"choices": [{"index": 0, "delta": {"content": "no"}}]}
_ABORTED_EVENT = {"choices": [{"index": 0, "delta": {}, "finish_reason": "abort"}]}
_ABORTED_ANSWER = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "no"}, "finish_reason": "abort"}
    ]
}
_VECTOR = {"data": [{"index": 0, "embedding": [0.5, float("nan")]}], "model": EMBEDDER}


@dataclass(frozen=True)
class Way:
    """A request that fails for a certain cause.

    Attributes:
        provider: Whose model is asked for.
        model: The NIM's id of it.
        route: ``chat``, ``completion`` or ``embeddings``.
        fields: Further fields of the request, as OpenAI's client takes them.
        native: The same for a native chat; None if it has no such fields.
        data: The provider data that the request brings.
        whole: The fault that a whole answer meets.
        streamed: The fault that a stream meets; that of a whole answer unless given.
        script: The answer in the place of the emulator's own, as above.
        streamed_script: As above.
        names: What the text names of the model, the endpoint and the NIM's request id.
        asked_before: How many requests come before the one that fails.
        holds: A long stream, ``LONG``, is under way meanwhile.
        waits: It takes as long as a time limit.
    """

    provider: str = "nvidia"
    model: str = LLM
    route: str = "chat"
    fields: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[str, Any] | None = None
    data: Mapping[str, str] | None = None
    whole: Mapping[str, Any] | str | None = None
    streamed: Mapping[str, Any] | str | None = None
    script: Mapping[str, Any] | None = None
    streamed_script: Mapping[str, Any] | None = None
    names: tuple[str, ...] = ("model", "endpoint")
    asked_before: int = 0
    holds: bool = False
    waits: bool = False

    def order(self, nim: EmulatorServer, *, stream: bool, times: int = 1) -> None:
        """Order the fault for the next requests."""
        nim.clear()
        fault = self.streamed or self.whole if stream else self.whole
        script = self.streamed_script if stream else self.script
        if fault is not None:
            nim.faults([fault] * times)
        if script is not None:
            nim.script([script])


def _status(status: int, message: str = "it cannot be", body: str = "nested") -> Way:
    headers = {"nvcf-reqid": REQUEST_ID}
    fault = {"fault": "status", "status": status, "message": message, "body": body}
    fault["retry_after"] = 0
    return Way(whole={**fault, "headers": headers}, names=("model", "endpoint", "request id"))


_TOKEN = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
LONG = {"path": _CHAT, "sse": [_TOKEN] * 100, "chunk_delay_s": 0.1}
"""A stream that takes longer than any request of a test."""


def _image(url: str) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"messages": [{"role": "user", "content": [part]}]}


WAYS = {
    "invalid_field": Way(
        provider="checking",
        fields={"response_format": {"type": "json_schema", "json_schema": _NO_SCHEMA}},
        native={"sampling_params": {"strategy": {"type": "greedy"}, "stop": [""]}},
        names=(),
    ),
    "unsupported_field": Way(
        provider="generic",
        route="completion",
        fields={"extra_body": {"guided_choice": ["yes", "no"]}},
        native={"response_format": {"type": "grammar", "bnf": {"grammar": 'root ::= "a"'}}},
    ),
    "invalid_base64_image": Way(fields=_image("data:image/png;base64,"), names=()),
    "invalid_image_url": Way(fields=_image("data:text/plain;base64,aGk="), names=()),
    "failed_to_download_image": Way(
        provider="downloading", fields=_image("http://127.0.0.1/a.png"), names=()
    ),
    "malformed_api_key": Way(data={"nvidia_api_key": TWO_WORDS}, names=()),
    "request_refused": _status(422, "seed: too small", body="detail-list"),
    "context_length_exceeded": Way(
        fields={"messages": [{"role": "user", "content": "word " * 9000}]},
        native={"messages": [{"role": "user", "content": "word " * 9000}]},
    ),
    "request_too_large": _status(413, body="html"),
    "model_not_found": Way(model=GHOST),
    "model_not_served": Way(provider="several", model=GHOST, names=("model",)),
    "model_not_available": _status(404, "Function '0': Not found for account 'a'", body="problem"),
    "model_withdrawn": _status(410, body="problem"),
    "api_key_missing": Way(provider="guarded"),
    "invalid_api_key": Way(provider="guarded", data={"nvidia_api_key": WRONG_KEY}),
    "permission_denied": _status(403, f"{SERVER_KEY} may not do this", body="problem"),
    "credits_exhausted": _status(402, body="detail-text"),
    "rate_limit_exceeded": _status(429, body="title"),
    "server_limit_exceeded": Way(provider="limited", asked_before=1, waits=True),
    "no_worker": Way(provider="workerless"),
    "nim_not_ready": _status(503, "the model is being loaded"),
    "nim_overloaded": _status(503, "ResourceExhausted: Worker local total request limit reached"),
    "model_degraded": _status(400, "DEGRADED function cannot be invoked", body="problem"),
    "nim_failed": Way(
        whole=_status(500).whole,
        streamed={"fault": "error-event", "after": 2},
    ),
    "generation_aborted": Way(
        script={"path": _CHAT, "body": _ABORTED_ANSWER},
        streamed_script={"path": _CHAT, "sse": [_TEXT_EVENT_OPEN, _ABORTED_EVENT, "[DONE]"]},
    ),
    "not_implemented": _status(501),
    "unexpected_status": Way(provider="odd"),
    "redirected": Way(whole="redirect"),
    "gateway_timeout": _status(504, body="html"),
    "request_timeout": _status(408),
    "hosted_result_timeout": Way(provider="hasty", whole="never-ready", waits=True),
    "connect_timeout": Way(provider="mute", waits=True),
    "pool_exhausted": Way(provider="narrow", holds=True, waits=True),
    "response_timeout": Way(provider="hasty", whole="no-answer", streamed="stall", waits=True),
    "first_token_timeout": Way(provider="first", streamed="no-answer"),
    "token_timeout": Way(provider="between", streamed="stall"),
    "total_timeout": Way(provider="total", whole="no-answer", streamed="stall", waits=True),
    "connection_failed": Way(provider="down"),
    "dns_failed": Way(provider="nowhere"),
    "tls_certificate_rejected": Way(provider="untrusted"),
    "tls_failed": Way(provider="tls"),
    "connection_lost": Way(whole="hang-up", streamed="cut:how=reset"),
    "response_cut_off": Way(streamed="cut:how=end"),
    "response_too_large": Way(streamed={"fault": "huge-line", "size": 33 << 20}),
    "unreadable_response": Way(whole="bad-body", streamed="bad-json:after=2"),
    "output_truncated": Way(
        provider="checking",
        fields={"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
        native={"response_format": {"type": "json_schema", "json_schema": _SCHEMA["schema"]}},
        script={"path": _CHAT, "body": _CUT_ANSWER},
        streamed_script={"path": _CHAT, "sse": [_CUT_EVENT, "[DONE]"]},
    ),
    "constraint_not_met": Way(
        provider="checking",
        fields={"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
        native={"response_format": {"type": "json_schema", "json_schema": _SCHEMA["schema"]}},
        script={"path": _CHAT, "body": _TEXT_ANSWER},
        streamed_script={"path": _CHAT, "sse": [_TEXT_EVENT, "[DONE]"]},
    ),
    "vector_not_finite": Way(
        model=EMBEDDER,
        route="embeddings",
        script={"path": "/v1/embeddings", "body": _VECTOR},
    ),
}
"""A request for each cause, by its code."""

ELSEWHERE = {
    "nim_changed": "tests/adapter/test_detection.py",
    "constraint_not_checked": "tests/nim/responses/test_constraint_process.py",
}
"""Causes that take more than one request, and the tests of them."""


class FixedServer:
    """A server that answers each request with the same bytes, be they HTTP or not."""

    def __init__(self, response: bytes) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                size = 0
                while (line := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = line.lower().partition(b":")
                    size = int(value) if name == b"content-length" else size
                self.rfile.read(size)
                self.wfile.write(response)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> FixedServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Nims:
    """The NIMs, and what is none, behind the providers of ``WAYS``."""

    def __init__(self) -> None:
        self.plain = EmulatorServer(models=[LLM, EMBEDDER])
        self.guarded = EmulatorServer(models=[LLM], api_key=NIM_KEY)
        self.untrusted = EmulatorServer(models=[LLM], tls="unknown-ca")
        self.workerless = EmulatorServer(dialect="dynamo", models=[])
        self._emulators = (self.plain, self.guarded, self.untrusted, self.workerless)
        # The emulator's own server knows no such status.
        self._odd = FixedServer(
            b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        # It takes connections from ``open_mute`` on, and never says a word.
        self._mute = socket.socket()
        self._mute.bind(("127.0.0.1", 0))

    def __enter__(self) -> Nims:
        for nim in (*self._emulators, self._odd):
            nim.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for nim in (*self._emulators, self._odd):
            nim.__exit__(None, None, None)
        self._mute.close()

    def open_mute(self) -> None:
        """Listen where nobody answers: a server that starts would wait for it."""
        self._mute.listen()

    def providers(self) -> dict[str, dict[str, Any]]:
        """The ``config:`` of each provider."""
        plain = {"url": self.plain.url, "api_key": SERVER_KEY, "max_retries": 0}
        once: dict[str, Any] = {"dialect": "nim2-vllm", "max_retries": 0}
        untrusted = {"tls": {"verify": self.untrusted.certificates.ca_file}}
        narrow = {"limits": {"max_connections": 1}}
        mute = f"https://127.0.0.1:{self._mute.getsockname()[1]}"
        return {
            "nvidia": plain,
            "generic": {**plain, "dialect": "generic"},
            "checking": {**plain, "structured_output": "validate"},
            "guarded": {**once, "url": self.guarded.url},
            "several": {
                **once,
                "endpoints": [
                    {"url": self.plain.url},
                    {"url": self.guarded.url, "api_key": NIM_KEY},
                ],
            },
            "limited": {**plain, "requests_per_minute": 1, "timeout": BRIEF_S},
            "odd": {**once, "url": self._odd.url},
            "narrow": {**plain, "network": narrow, "timeout": BRIEF_S},
            "downloading": {**plain, "download_images": True},
            "hasty": {**plain, "timeout": BRIEF_S},
            "first": {**plain, "first_token_timeout": HASTE_S},
            "between": {**plain, "token_timeout": HASTE_S},
            "total": {**plain, "total_timeout": BRIEF_S},
            "down": {**once, "url": f"http://127.0.0.1:{free_port()}"},
            "nowhere": {**once, "url": "http://nim.invalid"},
            "workerless": {"url": self.workerless.url, "max_retries": 0},
            "untrusted": {**once, "url": self.untrusted.url, "network": untrusted},
            "tls": {**once, "url": self.plain.url.replace("http:", "https:")},
            "mute": {**once, "url": mute, "connect_timeout": HASTE_S},
        }
