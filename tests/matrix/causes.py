"""How each cause of docs/errors.md is brought about, in front of the emulated NIM."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_stack_provider_nvidia.emulator import EmulatorServer
from scripts.stack_server import free_port

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
BRIEF_S = 0.5
_CHAT = "/v1/chat/completions"
_MESSAGES = [{"role": "user", "content": "count to 6"}]
_NO_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
_SCHEMA = {"name": "city", "schema": {"type": "object", "required": ["name"]}}
_TEXT_ANSWER = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "no"}, "finish_reason": "stop"}
    ]
}
_TEXT_EVENT = {"choices": [{"index": 0, "delta": {"content": "no"}, "finish_reason": "stop"}]}
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


WAYS = {
    "bad-field": Way(
        fields={"messages": [{"role": "user", "content": [_NO_IMAGE]}]},
        native={"sampling_params": {"strategy": {"type": "greedy"}, "stop": [""]}},
        names=(),
    ),
    "unsupported": Way(
        provider="generic",
        route="completion",
        fields={"extra_body": {"guided_choice": ["yes", "no"]}},
        native={"response_format": {"type": "grammar", "bnf": {"grammar": 'root ::= "a"'}}},
    ),
    "refused-field": _status(422, "seed: too small", body="detail-list"),
    "long-prompt": Way(
        fields={"messages": [{"role": "user", "content": "word " * 9000}]},
        native={"messages": [{"role": "user", "content": "word " * 9000}]},
    ),
    "large-request": _status(413, body="html"),
    "key-text": Way(data={"nvidia_api_key": TWO_WORDS}, names=()),
    "unknown-model": Way(model=GHOST),
    "nobody-s-model": Way(provider="several", model=GHOST, names=("model",)),
    "not-for-account": _status(404, "Function '0': Not found for account 'a'", body="problem"),
    "withdrawn": _status(410, body="problem"),
    "no-key": Way(provider="guarded"),
    "wrong-key": Way(provider="guarded", data={"nvidia_api_key": WRONG_KEY}),
    "forbidden": _status(403, f"{SERVER_KEY} may not do this", body="problem"),
    "no-credits": _status(402, body="detail-text"),
    "rate-limit": _status(429, body="title"),
    "own-limit": Way(provider="limited", asked_before=1, waits=True),
    "not-ready": _status(503, "the model is being loaded"),
    "overloaded": _status(503, "ResourceExhausted: Worker local total request limit reached"),
    "degraded": _status(400, "DEGRADED function cannot be invoked", body="problem"),
    "failed": Way(
        whole=_status(500).whole,
        streamed={"fault": "error-event", "after": 2},
    ),
    "gateway-timeout": _status(504, body="html"),
    "never-ready": Way(provider="hasty", whole="never-ready", waits=True),
    "refused": Way(provider="down"),
    "dns": Way(provider="nowhere"),
    "certificate": Way(provider="untrusted"),
    "tls": Way(provider="tls"),
    "connect-timeout": Way(provider="mute", waits=True),
    "silence": Way(provider="hasty", whole="no-answer", streamed="stall", waits=True),
    "first-token": Way(provider="first", streamed="no-answer"),
    "pause": Way(provider="between", streamed="stall"),
    "total": Way(provider="total", whole="no-answer", streamed="stall", waits=True),
    "broken": Way(whole="hang-up", streamed="cut:how=reset"),
    "cut": Way(streamed="cut:how=end"),
    "oversized": Way(streamed={"fault": "huge-line", "size": 33 << 20}),
    "malformed": Way(whole="bad-body", streamed="bad-json:after=2"),
    "redirect": Way(whole="redirect"),
    "does-not-fit": Way(
        provider="checking",
        fields={"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
        native={"response_format": {"type": "json_schema", "json_schema": _SCHEMA["schema"]}},
        script={"path": _CHAT, "body": _TEXT_ANSWER},
        streamed_script={"path": _CHAT, "sse": [_TEXT_EVENT, "[DONE]"]},
    ),
    "no-number": Way(
        model=EMBEDDER,
        route="embeddings",
        script={"path": "/v1/embeddings", "body": _VECTOR},
    ),
}
"""A request for each cause, by its name."""


class Nims:
    """The NIMs, and what is none, behind the providers of ``WAYS``."""

    def __init__(self) -> None:
        self.plain = EmulatorServer(models=[LLM, EMBEDDER])
        self.guarded = EmulatorServer(models=[LLM], api_key=NIM_KEY)
        self.untrusted = EmulatorServer(models=[LLM], tls="unknown-ca")
        # It takes connections from ``open_mute`` on, and never says a word.
        self._mute = socket.socket()
        self._mute.bind(("127.0.0.1", 0))

    def __enter__(self) -> Nims:
        for nim in (self.plain, self.guarded, self.untrusted):
            nim.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for nim in (self.plain, self.guarded, self.untrusted):
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
            "limited": {**plain, "requests_per_minute": 1, "timeout": HASTE_S},
            "hasty": {**plain, "timeout": BRIEF_S},
            "first": {**plain, "first_token_timeout": HASTE_S},
            "between": {**plain, "token_timeout": HASTE_S},
            "total": {**plain, "total_timeout": BRIEF_S},
            "down": {**once, "url": f"http://127.0.0.1:{free_port()}"},
            "nowhere": {**once, "url": "http://nim.invalid"},
            "untrusted": {**once, "url": self.untrusted.url, "network": untrusted},
            "tls": {**once, "url": self.plain.url.replace("http:", "https:")},
            "mute": {**once, "url": mute, "connect_timeout": HASTE_S},
        }
