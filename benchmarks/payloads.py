"""Payloads of the replay server: chunks and responses as a NIM with vLLM writes them."""

from __future__ import annotations

import base64
import functools
import json
import random
import struct
from typing import Any

MODEL = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/llama-3.2-nv-embedqa-1b-v2"
TOKEN = "tok"
"""Stands once in every generated token, so that counting it counts the tokens that arrived."""

CALLS = 4
"""Tool calls in an answer of the kind ``tools``."""

KINDS = ("text", "logprobs", "tools")

_HEAD = {"id": "chatcmpl-5d1c8a6f2b", "created": 1700000000, "model": MODEL}


def prompt(kind: str, chunks: int, rate: int) -> str:
    """The user's message that asks the replay server for an answer.

    Args:
        kind: One of ``KINDS``.
        chunks: How many chunks with a token each.
        rate: Chunks a second; 0 means as fast as the socket takes them.
    """
    return f"bench kind={kind} chunks={chunks} rate={rate}"


def _delta(kind: str, position: int, chunks: int) -> dict[str, Any]:
    if kind != "tools":
        return {"content": f" {TOKEN}"}
    per_call = max(3, chunks // CALLS)
    call, step = divmod(position, per_call)
    if step == 0:
        head = {"id": f"call_{call}", "type": "function"}
        function = {"name": "remember", "arguments": ""}
        return {"tool_calls": [{"index": call, **head, "function": function}]}
    piece = f" {TOKEN}"
    if step == 1:
        piece = '{"words": "'
    elif step == per_call - 1 or position == chunks - 1:
        piece = '"}'
    return {"tool_calls": [{"index": call, "function": {"arguments": piece}}]}


def _logprobs(kind: str) -> dict[str, Any] | None:
    if kind != "logprobs":
        return None
    top = [
        {"token": token, "logprob": value, "bytes": list(token.encode())}
        for token, value in ((f" {TOKEN}", -0.125), (" other", -2.5), (" third", -4.75))
    ]
    return {"content": [{**top[0], "top_logprobs": top}]}


def events(kind: str, chunks: int, *, usage: bool = False) -> list[bytes]:
    """The server-sent events of one streamed chat, the role first and ``[DONE]`` last."""
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [_delta(kind, position, chunks) for position in range(chunks)]
    bodies: list[dict[str, Any]] = []
    for number, delta in enumerate(deltas):
        choice = {"index": 0, "delta": delta, "logprobs": _logprobs(kind) if number else None}
        bodies.append({"choices": [{**choice, "finish_reason": None}]})
    reason = "tool_calls" if kind == "tools" else "stop"
    bodies.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    if usage:
        counts = {"prompt_tokens": 9, "completion_tokens": chunks, "total_tokens": 9 + chunks}
        bodies.append({"choices": [], "usage": counts})
    head = {"object": "chat.completion.chunk", **_HEAD}
    made = [b"data: " + _json({**head, **body}) + b"\n\n" for body in bodies]
    return [*made, b"data: [DONE]\n\n"]


@functools.cache
def tokens(kind: str, chunks: int) -> int:
    """How many tokens a streamed answer holds: in tool calls some chunks have none."""
    if kind != "tools":
        return chunks
    return sum(event.count(b" " + TOKEN.encode()) for event in events(kind, chunks))


def completion_events(chunks: int) -> list[bytes]:
    """The server-sent events of one streamed completion."""
    head = {"object": "text_completion", **_HEAD}
    made = []
    for number in range(chunks):
        reason = "stop" if number == chunks - 1 else None
        choice = {"index": 0, "text": f" {TOKEN}", "logprobs": None, "finish_reason": reason}
        made.append(b"data: " + _json({**head, "choices": [choice]}) + b"\n\n")
    return [*made, b"data: [DONE]\n\n"]


@functools.lru_cache(maxsize=64)
def framed(path: str, kind: str, chunks: int, usage: bool) -> tuple[bytes, ...]:
    """The body of a streamed answer, one HTTP chunk per event, the end of the body last."""
    made = completion_events(chunks) if path == "completions" else events(kind, chunks, usage=usage)
    return (*(b"%x\r\n%b\r\n" % (len(event), event) for event in made), b"0\r\n\r\n")


@functools.lru_cache(maxsize=64)
def joined(path: str, kind: str, chunks: int, usage: bool) -> bytes:
    """The same in one piece."""
    return b"".join(framed(path, kind, chunks, usage))


@functools.lru_cache(maxsize=64)
def answer(path: str, tokens: int) -> bytes:
    """A whole chat answer or completion."""
    text = f" {TOKEN}" * tokens
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    if path == "completions":
        choice["text"] = text
    else:
        choice["message"] = {"role": "assistant", "content": text}
    counts = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    kind = "text_completion" if path == "completions" else "chat.completion"
    return _json({"object": kind, **_HEAD, "choices": [choice], "usage": counts})


@functools.lru_cache(maxsize=8)
def embeddings(texts: int, dimensions: int, encoding: str) -> bytes:
    """The vectors of some texts, as numbers or as base64."""
    source = random.Random(7)
    vectors = [[source.uniform(-0.1, 0.1) for _ in range(dimensions)] for _ in range(min(texts, 8))]
    packed = [struct.pack(f"<{dimensions}f", *vector) for vector in vectors]
    written: list[Any] = [base64.b64encode(data).decode() for data in packed]
    if encoding != "base64":
        written = [struct.unpack(f"<{dimensions}f", data) for data in packed]
    data = [
        {"object": "embedding", "index": number, "embedding": written[number % len(written)]}
        for number in range(texts)
    ]
    usage = {"prompt_tokens": 4 * texts, "total_tokens": 4 * texts}
    return _json({"object": "list", "model": EMBEDDER, "data": data, "usage": usage})


@functools.cache
def models() -> bytes:
    """The answer of ``GET /v1/models``."""
    listed = [
        {"id": name, "object": "model", "created": 1700000000, "owned_by": "vllm"}
        for name in (MODEL, EMBEDDER)
    ]
    return _json({"object": "list", "data": listed})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
