"""The server helper, with stand-ins for the server."""

import socket
import sys
from pathlib import Path

import pytest

from scripts.child_process import ServerError
from scripts.stack_server import StackServer

from .test_child_process import gone

HEALTHY = """\
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v1/health" else 404)
        self.end_headers()
    def log_message(self, *words):
        pass
print(sys.argv[1:-1], os.environ["SQLITE_STORE_DIR"], os.environ["EXTRA"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
"""


def stand_in(folder: Path, program: str) -> Path:
    """An environment whose `llama` script runs `program`; returns its Python."""
    script = folder / "llama"
    script.write_text(f"#!{sys.executable}\n{program}")
    script.chmod(0o755)
    return folder / "python"


def test_it_waits_until_the_server_answers_and_stops_it(tmp_path: Path) -> None:
    python = stand_in(tmp_path, HEALTHY)
    log = tmp_path / "logs" / "server.log"
    waited: list[float] = []
    with StackServer(
        "run.yaml", env={"EXTRA": "yes"}, python=python, log_path=log, progress=waited.append
    ) as server:
        pid = server.pid
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert not gone(pid)
    assert gone(pid)
    said = log.read_text()
    assert "'stack', 'run'" in said
    assert f"{Path('run.yaml').resolve()}" in said
    assert said.split()[-1] == "yes"
    assert waited == sorted(waited)


def test_it_stops_the_server_when_the_block_fails(tmp_path: Path) -> None:
    server = StackServer("run.yaml", env={"EXTRA": ""}, python=stand_in(tmp_path, HEALTHY))
    pids: list[int] = []

    def fail_inside() -> None:
        with server:
            pids.append(server.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert gone(pids[0])
    assert not server.log_path.exists()


def test_a_server_that_ends_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    python = stand_in(tmp_path, "print('no such provider'); raise SystemExit(3)")
    with pytest.raises(ServerError, match=r"(?s)ended with status 3.*no such provider"):
        StackServer("run.yaml", python=python).start()


def test_a_server_that_never_answers_is_an_error_and_is_stopped(tmp_path: Path) -> None:
    pids: set[int] = set()
    server = StackServer(
        "run.yaml",
        python=stand_in(tmp_path, "import time\ntime.sleep(60)\n"),
        timeout=1,
        progress=lambda _: pids.add(server.pid),
    )
    with pytest.raises(ServerError, match="did not answer within 1 s"):
        server.start()
    (pid,) = pids
    assert gone(pid)


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} is in use"):
            StackServer("run.yaml", python=stand_in(tmp_path, HEALTHY), port=port).start()


def test_a_server_that_was_not_started_has_no_pid() -> None:
    server = StackServer("run.yaml")
    with pytest.raises(ServerError, match="not been started"):
        _ = server.pid
    server.stop()
