"""A NIM that is faster than the server: every token arrives, in fewer events, none held back."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from benchmarks import children, payloads
from benchmarks.children import Replay
from scripts.stack_server import StackServer

from .conftest import MODEL

pytestmark = pytest.mark.server

_TIMEOUT = 60


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with children.replay() as nim:
        yield nim


@pytest.fixture(scope="module")
def server(replay: Replay, start_server: Callable[[dict[str, Any]], StackServer]) -> StackServer:
    return start_server({"url": replay.url})


def native(server: StackServer, prompt: str) -> Iterator[dict[str, Any]]:
    """Stream a chat and give its events."""
    body = {
        "model_id": MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
    }
    with httpx.stream(
        "POST",
        f"{server.url}/v1/inference/chat-completion",
        json=body,
        timeout=_TIMEOUT,
        trust_env=False,
    ) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line.startswith("data: {"):
                made: dict[str, Any] = json.loads(line[6:])["event"]
                yield made


def test_engine_at_2000_tokens_a_second_loses_nothing(server: StackServer) -> None:
    chunks = 600
    events = list(native(server, payloads.prompt("text", chunks, 2000)))
    assert [event["event_type"] for event in (events[0], events[-1])] == ["start", "complete"]
    assert "".join(event["delta"]["text"] for event in events) == " tok" * chunks
    # This release sleeps 10 ms after each event.
    assert len(events) < chunks / 3


def test_log_probabilities_come_one_per_token(server: StackServer) -> None:
    chunks = 200
    events = list(native(server, payloads.prompt("logprobs", chunks, 2000)))
    tokens = [
        token for event in events for found in event["logprobs"] or () for token in found.values()
    ]
    assert len(tokens) == chunks
    assert len(events) < chunks / 3


def test_many_streams_at_a_time_lose_nothing(server: StackServer) -> None:
    streams, chunks = 24, 80

    def read(_: int) -> str:
        events = native(server, payloads.prompt("text", chunks, 400))
        return "".join(event["delta"]["text"] for event in events)

    with ThreadPoolExecutor(streams) as pool:
        assert list(pool.map(read, range(streams))) == [" tok" * chunks] * streams


def test_openai_style_stream_loses_nothing(server: StackServer) -> None:
    chunks = 600
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": payloads.prompt("text", chunks, 2000)}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    texts, usages = [], []
    url = f"{server.url}/v1/openai/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=_TIMEOUT, trust_env=False) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                texts += [choice["delta"]["content"] for choice in chunk["choices"]]
                usages += [chunk["usage"]] if chunk.get("usage") else []
    assert "".join(filter(None, texts)) == " tok" * chunks
    assert [usage["completion_tokens"] for usage in usages] == [chunks]
    assert len(texts) < chunks / 3


class WaitingNIM(ThreadingHTTPServer):
    """A NIM that sends a token when it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.may_send = threading.Semaphore(0)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: WaitingNIM

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in payloads.events("text", 3):
            if b"tok" in event:
                assert self.server.may_send.acquire(timeout=_TIMEOUT)
            self.wfile.write(event)

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_each_token_comes_before_the_next_is_sent(
    start_server: Callable[[dict[str, Any]], StackServer],
) -> None:
    with WaitingNIM() as nim:
        thread = threading.Thread(target=nim.serve_forever)
        thread.start()
        try:
            server = start_server({"url": nim.url})
            nim.may_send.release()
            seen = []
            for event in native(server, "Hi"):
                if event["delta"]["text"]:
                    seen.append(event["delta"]["text"])
                    nim.may_send.release()
        finally:
            nim.shutdown()
            thread.join()
    assert seen == [" tok"] * 3
