"""Answers of a server to the fixed requests."""

from __future__ import annotations

import json

import httpx

from llama_stack_provider_nvidia.capture.answers import MODEL, Answer, read_answer
from scripts.wire.calls import Call


def request(client: httpx.Client, call: Call, model: str) -> Answer:
    """Send a call and return the normalized answer."""
    path = call.path.replace(MODEL, model)
    if call.body is None:
        return _read(client.get(path), model)
    text = call.body if isinstance(call.body, str) else json.dumps(call.body)
    headers = {"content-type": "application/json"}
    body = text.replace(json.dumps(MODEL), json.dumps(model))
    return _read(client.post(path, content=body, headers=headers), model)


def _read(response: httpx.Response, model: str) -> Answer:
    media = response.headers.get("content-type", "")
    return read_answer(response.status_code, media, response.content, model)
