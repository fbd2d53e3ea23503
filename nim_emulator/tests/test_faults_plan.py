"""Which requests get a fault: over HTTP, in Python and on the command line; what is recorded."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from helpers import Post
from nim_emulator import (
    FAULTS,
    EmulatorServer,
    Fault,
    FaultKind,
    Settings,
    create_app,
    fingerprint,
)
from nim_emulator.cli import command_line
from nim_emulator.faults import parse_persistent_fault
from raw_http import CHAT, STREAM, ask, connect, read, request

COMMAND = command_line("nim-emulator")


def statuses(nim: EmulatorServer, *bodies: Any, **options: Any) -> list[int]:
    return [ask(nim, body, **options).status for body in bodies]


def test_faults_over_http(nim: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    faults = ["status:status=429", {"fault": "status", "status": 500, "times": 2}]
    answer = http.post(f"{nim.url}/emulator/faults", json=faults)
    assert answer.json() == {"waiting": 2}
    assert chat(nim).status_code == 429
    assert chat(nim).status_code == 500
    (waiting,) = http.get(f"{nim.url}/emulator/faults").json()
    assert waiting == {
        "fault": "status",
        "status": 500,
        "path": None,
        "match": "",
        "model": None,
        "key": None,
        "times": 2,
        "probability": 1,
        "seed": 0,
        "left": 1,
        "applied": 1,
    }
    assert http.delete(f"{nim.url}/emulator/faults").status_code == 204
    assert chat(nim).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        "nonsense",
        "stall:after",
        "stall:after=-1",
        "stall:nonsense=1",
        "status:status=99",
        "status:body=poem",
        "dns",
        "tls",
        {"fault": "stall", "times": 0},
        {"fault": "stall", "probability": 2},
        {"after": 1},
        5,
    ],
)
def test_bad_faults_are_refused(nim: EmulatorServer, http: httpx.Client, fault: Any) -> None:
    answer = http.post(f"{nim.url}/emulator/faults", json=["reset", fault])
    assert answer.status_code == 400
    assert answer.json()["error"]
    with pytest.raises(ValidationError):
        nim.faults([fault])
    assert http.get(f"{nim.url}/emulator/faults").json() == []


@pytest.mark.parametrize("content", [b"{", b"5", b"\xff", b'"reset"'])
def test_bad_orders_are_refused(nim: EmulatorServer, http: httpx.Client, content: bytes) -> None:
    answer = http.post(f"{nim.url}/emulator/faults", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_paths(nim2: EmulatorServer) -> None:
    # Without a path, probes do not use it up.
    nim2.faults(["status"])
    assert ask(nim2, path="/v1/models").status == 200
    assert statuses(nim2, CHAT, CHAT) == [503, 200]
    nim2.faults(["status:path=/v1/models", "status:path=/v1/health/*,status=500"])
    assert ask(nim2, CHAT).status == 200
    assert ask(nim2, path="/v1/models").status == 503
    assert ask(nim2, path="/v1/health/ready").status == 500
    nim2.faults(["status:path=*"])
    assert ask(nim2, path="/nothing").status == 503


def test_models_texts_and_keys(nim2: EmulatorServer) -> None:
    nim2.faults(["status:model=meta/*,match=needle,key=mine,times=null"])
    hay, needle = CHAT, {**CHAT, "messages": [{"role": "user", "content": "a needle"}]}
    mine, other = {"authorization": "Bearer mine"}, {"authorization": "Bearer other"}
    assert statuses(nim2, needle, needle, headers=mine) == [503, 503]
    assert statuses(nim2, hay, {**needle, "model": "other"}, headers=mine) == [200, 404]
    assert statuses(nim2, needle, headers=other) == [200]
    assert statuses(nim2, needle) == [200]
    assert ask(nim2, needle, headers={"x-api-key": "mine"}).status == 503
    nim2.clear()
    nim2.faults([Fault(fault="status", key=fingerprint("mine"))])
    assert statuses(nim2, hay, headers=mine) == [503]


def test_keys_are_not_shown(nim2: EmulatorServer, http: httpx.Client) -> None:
    nim2.faults(["status:key=nvapi-secret"])
    text = http.get(f"{nim2.url}/emulator/faults").text
    assert "nvapi-secret" not in text
    assert fingerprint("nvapi-secret") in text


def test_faults_for_streams_wait_for_one(nim2: EmulatorServer) -> None:
    nim2.faults(["no-done", "bad-body:kind=empty"])
    assert ask(nim2, STREAM).body.endswith(b"}\n\n")
    assert ask(nim2, CHAT).body == b""


def test_faults_come_in_order(nim2: EmulatorServer) -> None:
    nim2.faults(["status:status=500", "status:status=502,times=2", "status:status=504"])
    assert statuses(nim2, *[CHAT] * 5) == [500, 502, 502, 504, 200]


def test_probability(nim2: EmulatorServer) -> None:
    def run(text: str) -> list[int]:
        nim2.clear()
        nim2.faults([text])
        return statuses(nim2, *[CHAT] * 60)

    first = run("status:times=null,probability=0.3,seed=7")
    assert 8 <= first.count(503) <= 30
    assert run("status:times=null,probability=0.3,seed=7") == first
    assert run("status:times=null,probability=0.3,seed=8") != first
    assert run("status:times=null,probability=0").count(503) == 0
    # Only those that happen are counted.
    assert run("status:times=2,probability=0.5").count(503) == 2


def test_a_fault_on_a_scripted_reply(nim2: EmulatorServer) -> None:
    nim2.script([{"body": {"choices": [{"message": {"content": "x"}}]}}])
    nim2.faults(["wrong-type"])
    assert ask(nim2, CHAT).json == {"choices": [{"message": {"content": 5}}]}


def test_texts() -> None:
    fault = Fault.model_validate('status:message=a, b,headers={"a": "1"},times=null')
    assert fault.parameters["message"] == "a, b"
    assert fault.parameters["headers"] == {"a": "1"}
    assert fault.times is None
    assert Fault.model_validate("reset").parameters == {"when": "before-headers"}


def test_no_parameter_hides_a_key() -> None:
    for kind in FAULTS.values():
        assert not kind.parameters.model_fields.keys() & Fault.model_fields.keys(), kind.name
        assert isinstance(kind, FaultKind)
        assert kind.summary.endswith(".")


def test_on_the_command_line() -> None:
    fault = parse_persistent_fault("status:status=429")
    assert (fault.path, fault.times, fault.parameters["status"]) == ("*", None, 429)
    fault = parse_persistent_fault("stall:path=/v1/completions,times=2")
    assert (fault.path, fault.times) == ("/v1/completions", 2)
    for text, told in {
        "nothing": "unknown fault 'nothing'",
        "stall:before=1": "before: Extra inputs",
        "stall:times=0": "times: Input should be greater",
        "stall:x": "expected name:parameter=value",
        "refuse": "the emulator is not running",
    }.items():
        result = CliRunner().invoke(COMMAND, ["--port", "0", "--fault", text])
        assert result.exit_code == 2
        assert told in " ".join(unboxed(result.output)), result.output


def unboxed(output: str) -> list[str]:
    """The words of a message that a box was drawn around."""
    return [word for word in output.split() if word != "│"]


def test_the_command_line_orders_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    start = EmulatorServer.start

    def start_and_ask(self: EmulatorServer) -> EmulatorServer:
        start(self)
        seen.extend([ask(self, CHAT).status, ask(self, path="/v1/models").status])
        self.stop()
        return self

    monkeypatch.setattr(EmulatorServer, "start", start_and_ask)
    arguments = ["--port", "0", "--fault", "status:times=1", "--fault", "status:status=500"]
    CliRunner().invoke(COMMAND, arguments)
    assert seen == [503, 500]


def test_records(nim2: EmulatorServer) -> None:
    before = time.time()
    with connect(nim2) as peer:
        for _ in range(2):
            peer.sendall(request(CHAT, headers={"authorization": "Bearer k"}))
            assert read(peer).status == 200
        port = peer.getsockname()[1]
        assert nim2.connections.open.count(port) == 1
        first, second = nim2.requests
    assert (first.client_port, second.client_port) == (port, port)
    assert nim2.connections.opened == 1
    assert first.ended_at is not None
    assert before <= first.received_at <= first.ended_at <= second.received_at <= time.time()
    assert first.key == fingerprint("k")
    assert (first.disconnected, first.disconnected_at, first.fault) == (False, None, None)
    ask(nim2, CHAT)
    assert nim2.connections.opened == 2
    assert nim2.requests[-1].key is None


def test_connections_over_http(nim2: EmulatorServer, http: httpx.Client) -> None:
    with connect(nim2) as peer:
        port = peer.getsockname()[1]
        peer.sendall(request(CHAT))
        read(peer)
        shown = http.get(f"{nim2.url}/emulator/connections").json()
        assert port in shown["open"]
        assert shown["opened"] >= 1
    deadline = time.monotonic() + 5
    while port in nim2.connections.open and time.monotonic() < deadline:
        time.sleep(0.005)
    assert port not in nim2.connections.open


@pytest.mark.parametrize("fault", [None, "no-answer", "stall:after=1"])
def test_a_client_that_leaves_is_noticed_at_once(nim2: EmulatorServer, fault: str | None) -> None:
    nim2.faults([fault] if fault else [])
    with connect(nim2) as peer:
        long = {**STREAM, "messages": [{"role": "user", "content": "count to 99"}]}
        peer.sendall(request(long, headers={"x-emulator-tokens-per-second": "2"}))
        while not nim2.requests:
            time.sleep(0.005)
    left = time.time()
    deadline = time.monotonic() + 5
    while nim2.requests[-1].disconnected_at is None and time.monotonic() < deadline:
        time.sleep(0.005)
    record = nim2.requests[-1]
    assert record.disconnected
    assert record.disconnected_at is not None
    assert record.disconnected_at - left < 4
    assert record.ended_at is None
    assert nim2.connections.open.count(record.client_port or 0) == 0


async def test_without_a_server_of_its_own() -> None:
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://nim") as http:
        assert (await http.post("/emulator/faults", json=["status", "no-done"])).status_code == 200
        assert (await http.post("/v1/chat/completions", json=CHAT)).status_code == 503
        answer = await http.post("/v1/chat/completions", json=STREAM)
        assert answer.text.endswith("}\n\n")
        answer = await http.post("/emulator/faults", json=["refuse"])
        assert answer.status_code == 400
        assert "not running" in answer.json()["error"]
