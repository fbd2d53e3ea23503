"""The command ``capture``, as a user runs it."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nim_emulator import EmulatorServer, read_capture
from scripts.child_process import free_port

from .conftest import LLM, TOOL, Run, Terminal


def test_a_capture_is_written(run: Run) -> None:
    with EmulatorServer() as nim:
        result = run("capture", nim.url, "-o", "a.capture.gz")
        sent = len(nim.requests)
    assert result.exit_code == 0, result.output
    found = read_capture("a.capture.gz")
    assert f"Wrote a.capture.gz: {len(found.calls)} calls" in result.stdout
    assert "calls, and those of" in result.stderr
    assert sent > len(found.calls) > 100


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["nothing/there.yaml"], "there is no such file", 2),
        ([f"http://127.0.0.1:{free_port()}"], "Connect", 2),
        (["{}", "-o", "no/such/folder"], "cannot be written", 2),
        (["{}", "--endpoint", "other"], "there is no such NIM", 2),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], said: str, status: int, run: Run, nim: EmulatorServer
) -> None:
    result = run("capture", *(one.replace("{}", nim.url) for one in arguments))
    assert result.exit_code == status
    assert said.lower() in result.output.lower()


def test_one_of_several_is_chosen(run: Run, nim: EmulatorServer) -> None:
    other = f"http://127.0.0.1:{free_port()}"
    entry = {"provider_id": "nvidia", "provider_type": "remote::nvidia"}
    listed = [{"name": "chat", "url": nim.url}, {"name": "other", "url": other}]
    Path("run.yaml").write_text(
        f"providers:\n  inference:\n  - {entry | {'config': {'endpoints': listed}}}\n"
    )
    result = run("capture", "run.yaml")
    assert result.exit_code == 2
    assert "--endpoint: chat, other" in result.output


def test_the_hosted_catalogue_is_not_called_unasked(
    run: Run, terminal: Callable[..., Terminal]
) -> None:
    with EmulatorServer("hosted", api_key="nvapi-of-the-test") as hosted:
        result = run("capture", hosted.url, NVIDIA_API_KEY="nvapi-of-the-test")
        assert result.exit_code == 2
        assert "--yes" in result.output
        with terminal("capture", hosted.url) as shown:
            shown.wait_for("Go on")
            shown.press("n\n")
            assert shown.ended()[0] == 2
        assert {request.method for request in hosted.requests} == {"GET"}
    assert not Path("nim.capture").exists()


@pytest.mark.parametrize("stopped", [False, True], ids=["whole", "stopped"])
def test_the_result_has_a_line_of_its_own_on_a_terminal(
    stopped: bool, terminal: Callable[..., Terminal]
) -> None:
    speed = 4 if stopped else None
    with (
        EmulatorServer(models=[LLM], tokens_per_second=speed) as nim,
        terminal("capture", nim.url) as shown,
    ):
        if stopped:
            shown.wait_for("tools")
            shown.press("\x03")
        status, said = shown.ended(60)
    assert status == int(stopped)
    result = "Interrupted; " if stopped else "Wrote nim.capture: "
    last = next(line for line in said.splitlines() if result in line)
    assert last.rpartition("\x1b[K")[2].startswith(result)


def test_ctrl_c_leaves_a_usable_file() -> None:
    with EmulatorServer(tokens_per_second=4, models=[LLM]) as slow:
        process = subprocess.Popen(
            [*TOOL, "capture", slow.url], stderr=subprocess.PIPE, env=os.environ, text=True
        )
        while not any(request.path == "/v1/chat/completions" for request in slow.requests):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Interrupted" in said
    found = read_capture("nim.capture")
    assert found.end
    assert found.end["end"] == "interrupted"
    assert found.calls
