"""Starting and stopping the server in process."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import httpx
import pytest
import uvicorn

import nim_emulator as emulator
from helpers import MODEL
from nim_emulator import EmulatorServer


def test_start_and_stop() -> None:
    nim = EmulatorServer()
    with pytest.raises(RuntimeError, match="not running"):
        _ = nim.url
    assert not nim.running
    nim.stop()
    with nim:
        assert nim.running
        assert nim.url.startswith("http://127.0.0.1:")
        with pytest.raises(RuntimeError, match="running already"):
            nim.start()
        url = nim.url
    assert not nim.running
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v1/models", trust_env=False)
    nim.start()
    nim.stop()
    nim.stop()


def test_a_port_in_use() -> None:
    with EmulatorServer() as nim, pytest.raises(OSError, match="in use"):
        EmulatorServer(port=int(nim.url.rsplit(":", 1)[1])).start()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_ipv6() -> None:
    nim = EmulatorServer(host="::1")
    if not has_ipv6():
        with pytest.raises(OSError, match=r"address|family"):
            nim.start()
        return
    with nim:
        assert nim.url.startswith("http://[::1]:")
        assert httpx.get(f"{nim.url}/v1/models", trust_env=False).status_code == 200


def test_a_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: uvicorn.Server, sockets: Any = None) -> None:
        return None

    monkeypatch.setattr(uvicorn.Server, "serve", fail)
    with pytest.raises(RuntimeError, match="did not start"):
        EmulatorServer().start()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"dialect": "nim9"}, "unknown dialect 'nim9'"),
        ({"tool_stream": "slices"}, "unknown tool stream 'slices'"),
        ({"models": []}, "at least one model"),
        ({"context": 0}, "at least 1"),
        ({"frames_per_write": 0}, "at least 1"),
        ({"tokens_per_second": 0}, "greater than 0"),
        ({"polls": -1}, "at least 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        EmulatorServer(**settings)


def test_stopping_cuts_streams() -> None:
    headers = {"x-emulator-tokens-per-second": "5"}
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "count to 500"}],
        "stream": True,
    }
    with EmulatorServer() as nim, httpx.Client(trust_env=False) as http:
        url = f"{nim.url}/v1/chat/completions"
        with http.stream("POST", url, json=body, headers=headers) as answer:
            next(answer.iter_lines())
            start = time.monotonic()
            nim.stop()
            assert time.monotonic() - start < 5


def test_many_clients_at_once() -> None:
    results: list[int] = []
    with EmulatorServer() as nim:

        def ask() -> None:
            body = {"model": MODEL, "prompt": "count to 300", "max_tokens": 300}
            answer = httpx.post(f"{nim.url}/v1/completions", json=body, trust_env=False)
            results.append(answer.json()["usage"]["completion_tokens"])

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(nim.requests) == 16
    assert results == [300] * 16


def test_public_names() -> None:
    assert all(hasattr(emulator, name) for name in emulator.__all__)
