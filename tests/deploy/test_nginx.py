"""nginx before several servers: no buffering, no loss, and the scale test in small."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks import scale
from benchmarks.cells import Job
from benchmarks.scale import Rig, Setup
from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.private_postgres import PrivatePostgres

LLM = "meta/llama-3.1-8b-instruct"
# Between two tokens, so that their arrival can be told apart on any machine.
PAUSE_S = 1.0
TOKENS = 6


@pytest.fixture(scope="module")
def nim() -> Iterator[EmulatorServer]:
    with EmulatorServer("nim2", [LLM], tokens_per_second=1 / PAUSE_S) as made:
        yield made


@pytest.fixture(scope="module")
def rig(nim: EmulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with contextlib.ExitStack() as running:
        database = running.enter_context(PrivatePostgres())
        folder = tmp_path_factory.mktemp("scaled")
        yield running.enter_context(scale.running(Setup(2), nim.url, database, folder))


def test_tokens_come_through_one_by_one(rig: Rig) -> None:
    body = {
        "model": f"nvidia/{LLM}",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "max_tokens": TOKENS,
    }
    with httpx.Client(trust_env=False, timeout=60) as http:
        http.post(f"{rig.url}/v1/chat/completions", json={**body, "max_tokens": 1})
        with http.stream("POST", f"{rig.url}/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            moments = [
                time.monotonic()
                for line in answer.iter_lines()
                if '"content":"' in line.replace(" ", "")
            ]
    assert len(moments) >= TOKENS
    # A proxy that buffers would have handed out all of them at the end.
    assert moments[-1] - moments[0] > PAUSE_S * (TOKENS - 2)


def test_streams_through_both_servers_are_whole(rig: Rig, nim: EmulatorServer) -> None:
    job = Job("stream", "openai", chunks=3, streams=8)
    measured = scale.measure(rig, job)
    assert measured.streams == 8
    assert measured.servers > 0
    assert measured.nginx > 0
    cpu = [scale.system.cpu_seconds(scale.system.group(pid)) for pid in rig.servers]
    assert len(cpu) == 2
    # Both work: each has answered some of the streams.
    before = dict(enumerate(cpu))
    scale.measure(rig, job)
    after = [scale.system.cpu_seconds(scale.system.group(pid)) for pid in rig.servers]
    assert all(later > before[number] for number, later in enumerate(after))


def test_a_server_that_is_gone_is_not_asked(tmp_path: Path) -> None:
    with EmulatorServer("nim2", [LLM]) as alive:
        port = int(alive.url.rpartition(":")[2])
        with scale.nginx([port, free_port()], tmp_path) as (url, _):
            for _ in range(4):
                answer = httpx.get(f"{url}/v1/models", trust_env=False)
                assert answer.status_code == 200
