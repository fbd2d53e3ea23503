"""The demo as a user sees it, against the emulated NIM and a real Llama Stack server."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from llama_stack_provider_nvidia import stack
from scripts import demo_openai, demo_steps

pytestmark = pytest.mark.server

STEPS = demo_steps.STEPS if stack.NATIVE else demo_openai.STEPS

COMMAND = [sys.executable, "-m", "scripts.demo"]


def ports(output: str) -> list[int]:
    return [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", output)]


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def running_with(variable: str) -> list[str]:
    """The commands of all processes that have a variable in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if variable.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def test_every_request_is_answered_and_everything_is_stopped(root: Path) -> None:
    done = subprocess.run(
        COMMAND, cwd=root, env=os.environ, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name, _ in STEPS:
        assert re.search(rf"^ok +{re.escape(name)} +\d+\.\d\d s  \S", done.stdout, re.MULTILINE)
    assert "FAILED" not in done.stdout
    assert f"All {len(STEPS)} requests were answered as they should be." in done.stdout
    assert "\x1b[" not in done.stdout
    nim, server = ports(done.stdout)
    assert not listening(nim)
    assert not listening(server)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_stopped_demo_leaves_nothing_running(root: Path, number: signal.Signals) -> None:
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        COMMAND,
        cwd=root,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        seen = ""
        while "Starting Llama Stack" not in seen:
            line = demo.stdout.readline()
            assert line, seen
            seen += line
        assert running_with(mark)
        demo.send_signal(number)
        rest = demo.stdout.read()
        assert demo.wait(30) == 130, seen + rest
    assert "Traceback" not in rest
    end = time.monotonic() + 5  # what was killed takes a moment to go
    while running_with(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert running_with(mark) == []


def test_a_nim_that_does_not_answer_is_told_in_a_sentence(root: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        done = subprocess.run(
            COMMAND,
            cwd=root,
            env={**os.environ, "NVIDIA_BASE_URL": url},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert done.returncode == 1
    assert f"The NIM at {url} does not list its models" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
