"""A child process: its start, its end, and signals that come between."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from scripts.child_process import Child, ServerError, stop_process, tail
from scripts.stack_server import ROOT


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class StoppedError(BaseException):
    """What the handler of the tests' signal raises, as Ctrl-C does."""


@pytest.fixture
def stopping() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise StoppedError

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("stopping")
def test_a_signal_that_comes_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def signal_the_parent() -> None:
        # In the child, before its program: the parent still waits to hear that it was started.
        pid_file.write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGTERM)

    child = Child(
        "A sleeper",
        ["sleep", "60"],
        tmp_path / "log",
        ready=lambda: False,
        preexec_fn=signal_the_parent,
    )
    with pytest.raises(StoppedError):
        child.start()
    with pytest.raises(ServerError, match="A sleeper has not been started"):
        _ = child.pid
    assert gone(int(pid_file.read_text()))
    # The handler is back.
    with pytest.raises(StoppedError):
        signal.raise_signal(signal.SIGTERM)


def test_a_later_start_begins_a_new_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(
        "A talker", ["sh", "-c", "echo $$; exec sleep 60"], log, ready=lambda: bool(tail(log))
    )
    for _ in range(2):
        with child:
            assert tail(log) == str(child.pid)


def test_a_process_that_ignores_the_polite_order_is_killed_with_its_children() -> None:
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        stop_process(process, seconds=0.3)
        assert process.poll() == -signal.SIGKILL
    deadline = time.monotonic() + 5
    # The orphan stays a zombie where nothing reaps it; its state tells it from a running one.
    while time.monotonic() < deadline and not gone(child):
        state = Path(f"/proc/{child}/stat")
        if state.exists() and state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert gone(child)


def test_tail(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("one\ntwo\nthree\n")
    assert tail(log, 2) == "two\nthree"


def test_no_two_processes_get_the_same_free_port() -> None:
    asking = "import sys; from scripts.child_process import free_port\n"
    asking += "print(*[free_port() for _ in range(400)], flush=True); sys.stdin.read()"
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", asking],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for _ in range(4)
        ]
        ports: list[int] = []
        for child in children:
            assert child.stdout is not None
            ports += map(int, child.stdout.readline().split())
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
    assert len(ports) == 1600
    assert len(set(ports)) == 1600
    assert all(1024 < port < 65536 for port in ports)
