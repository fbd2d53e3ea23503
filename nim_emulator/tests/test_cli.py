"""The command ``nim-emulator``, as a user runs it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import nim_emulator
from helpers import WEATHER
from nim_emulator import DIALECTS, TOOL_STREAMS, EmulatorServer
from nim_emulator.cli import DIALECT_HELP, ToolStreamName, command_line

COMMAND = [sys.executable, "-m", "nim_emulator"]


@pytest.fixture
def spawn() -> Iterator[Any]:
    """Start the emulator in a process of its own; return it and its first line."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_emulate(spawn: Any, number: signal.Signals) -> None:
    process, line = spawn("--dialect", "nim1", "--model", "a/b", "--model", "c/d")
    assert line.startswith("Emulating NIM (nim1) at http://127.0.0.1:")
    assert line.endswith("/v1")
    models = httpx.get(line.split()[-1] + "/models", trust_env=False).json()["data"]
    assert [model["id"] for model in models] == ["a/b", "c/d"]
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_emulate_with_everything(spawn: Any) -> None:
    process, line = spawn(
        *("--host", "127.0.0.1", "--api-key", "k", "--context", "100"),
        *("--tokens-per-second", "1000", "--tool-stream", "whole", "--log-level", "info"),
        *("--release", "2.0.1", "--no-done", "--polls", "0", "--tool-parser"),
    )
    url = line.split()[-1]
    body = {
        "model": "meta/llama-3.1-8b-instruct",
        "messages": [{"role": "user", "content": "Weather in Paris"}],
        "tools": [WEATHER],
        "stream": True,
    }
    with httpx.Client(trust_env=False, headers={"authorization": "Bearer k"}) as http:
        answer = http.post(f"{url}/chat/completions", json=body)
        assert answer.text.count("data: ") == 3
        assert http.get(f"{url}/version").json()["release"] == "2.0.1"
        assert http.get(f"{url}/models").json()["data"][0]["max_model_len"] == 100
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '"POST /v1/chat/completions HTTP/1.1" 200' in err


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command_line("nim-emulator"), list(arguments))


def test_version() -> None:
    assert run("--version").output == f"{nim_emulator.__version__}\n"


def test_help() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Run a local NIM" in result.output
    assert "nim-emulator --dialect nim1" in result.output


def test_help_names_all_dialects() -> None:
    help_ = DIALECT_HELP
    for dialect in DIALECTS.values():
        for name in (dialect.name, *dialect.aliases):
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", help_), name


def test_emulate_embeddings_and_adapters(spawn: Any) -> None:
    _, line = spawn("--dialect", "retriever", "--max-batch", "1")
    url = line.split()[-1]
    with httpx.Client(trust_env=False) as http:
        embedder, reranker = (item["id"] for item in http.get(f"{url}/models").json()["data"])
        assert "rerank" in reranker
        body = {"model": embedder, "input": ["one", "two"], "input_type": "query"}
        assert http.post(f"{url}/embeddings", json=body).status_code == 400
    model = "meta/llama-3.1-8b-instruct"
    _, line = spawn("--adapter", f"a={model}", "--adapter", f"team/b@v1={model}")
    entries = httpx.get(line.split()[-1] + "/models", trust_env=False).json()["data"]
    assert {entry["id"]: entry["parent"] for entry in entries} == {
        model: None,
        "a": model,
        "team/b@v1": model,
    }


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["a"], "not of the form name=model"),
        (["a=no/model"], "none of the models"),
        (["a=meta/llama-3.1-8b-instruct"] * 2, "given twice"),
    ],
)
def test_wrong_adapters(given: list[str], text: str) -> None:
    options = [part for adapter in given for part in ("--adapter", adapter)]
    result = run("--port", "0", *options)
    assert result.exit_code == 2
    assert text in " ".join(result.output.replace("│", " ").split())


def test_wrong_options() -> None:
    result = run("--dialect", "nim9", "--port", "0")
    assert result.exit_code == 2
    assert "unknown dialect 'nim9'" in result.output
    assert run("--tool-stream", "slices").exit_code == 2
    assert run("--tokens-per-second", "0").exit_code == 2
    assert run("--polls", "-1").exit_code == 2
    assert run("--max-batch", "0").exit_code == 2


def test_port_in_use() -> None:
    with EmulatorServer() as nim:
        result = run("--port", nim.url.rsplit(":", 1)[1])
    assert result.exit_code == 1
    assert "The emulator cannot start" in result.output


@pytest.mark.parametrize("crash", [False, True])
def test_emulate_in_process(monkeypatch: pytest.MonkeyPatch, crash: bool) -> None:
    """The part of the command that a signal or a crash of the server ends."""
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(
        signal, "signal", lambda number, handler: handlers.update({number: handler})
    )
    start = EmulatorServer.start

    def start_and_end(self: EmulatorServer) -> EmulatorServer:
        start(self)
        if crash:
            self.stop()
        else:
            handlers[signal.SIGTERM](signal.SIGTERM, None)
        return self

    monkeypatch.setattr(EmulatorServer, "start", start_and_end)
    result = run("--port", "0")
    assert result.exit_code == int(crash)
    assert set(handlers) == {signal.SIGINT, signal.SIGTERM}


def test_choices_are_those_of_the_emulator() -> None:
    assert tuple(style.value for style in ToolStreamName) == TOOL_STREAMS
