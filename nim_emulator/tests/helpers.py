"""Helpers of the emulator's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx

from nim_emulator import EmulatorServer

MODEL = "meta/llama-3.1-8b-instruct"

Post = Callable[..., httpx.Response]

# Keeps no connection, so there is none to close.
_HTTP = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "read_clock", "description": "Reads a clock"}}


class Servers:
    """Emulators by dialect; each starts when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, EmulatorServer] = {}

    def __getitem__(self, dialect: str) -> EmulatorServer:
        if dialect not in self._started:
            self._started[dialect] = self._stack.enter_context(EmulatorServer(dialect))
        server = self._started[dialect]
        server.clear()
        return server


def post(nim: EmulatorServer, path: str, body: Any) -> httpx.Response:
    """Post to any path, with a key."""
    headers = {"authorization": "Bearer nvapi-test"}
    return _HTTP.post(nim.url + path, json=body, headers=headers)


def message(answer: httpx.Response) -> dict[str, Any]:
    """Return the message of the only choice."""
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    return choice["message"]


def content(answer: httpx.Response) -> str:
    return message(answer)["content"]


def calls(answer: httpx.Response) -> list[tuple[str, Any]]:
    """Return name and parsed arguments of each tool call."""
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"))
        for call in message(answer).get("tool_calls", [])
    ]


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the chunks of a stream; check its frame."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    *frames, end = answer.text.split("\n\n")
    assert end == ""
    assert frames.pop() == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def error(answer: httpx.Response) -> dict[str, Any]:
    """Return the error of a body in either form."""
    body = answer.json()
    return body.get("error", body)
