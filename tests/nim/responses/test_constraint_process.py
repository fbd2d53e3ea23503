"""Constraints that callers write: checked within bounds, beside the event loop."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from llama_stack_provider_nvidia.nim.errors import (
    InvalidRequestError,
    NIMError,
    ServerError,
)
from llama_stack_provider_nvidia.nim.responses import constraint_process

from ...strategies import json_values

ENDLESS = "(a|aa)+$"
LONG = "a" * 60 + "!"


@pytest.fixture
def _half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constraint_process, "SECONDS", 0.5)


async def problem(kind: str, value: Any, text: str | None) -> str | None:
    return await constraint_process.problem_of(kind, value, text, "response_format")


BOMBS: dict[str, tuple[Any, Any]] = {
    "pattern": ({"pattern": ENDLESS}, LONG),
    "patternProperties": ({"patternProperties": {ENDLESS: {}}}, {LONG: 1}),
    "additionalProperties": (
        {"patternProperties": {ENDLESS: {}}, "additionalProperties": False},
        {LONG: 1},
    ),
    "nested pattern": ({"properties": {"x": {"items": {"pattern": ENDLESS}}}}, {"x": [LONG]}),
    "doubling references": (
        {
            "$ref": "#/$defs/a0",
            "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
            | {"a40": {}},
        },
        1,
    ),
    "uniqueItems": ({"uniqueItems": True}, [{"a": [n, n]} for n in range(3000)]),
    "1.2 MB of properties": (
        {"properties": {f"p{n}": {"type": "string", "title": "x" * 30} for n in range(17000)}},
        {},
    ),
    "anyOf of 15,000": ({"anyOf": [{"const": n} for n in range(15000)]}, "x"),
    "enum of 8,000 objects under draft-04": (
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "enum": [{"a": n} for n in range(8000)],
        },
        "x",
    ),
    "20,000 $id": ({"$defs": {f"d{n}": {"$id": f"http://x/{n}"} for n in range(20000)}}, "x"),
    "chained dependentSchemas": (
        {
            "unevaluatedProperties": False,
            "$ref": "#/$defs/s0",
            "$defs": {
                f"s{n}": {
                    "dependentSchemas": {
                        "a": {"$ref": f"#/$defs/s{n + 1}"},
                        "b": {"$ref": f"#/$defs/s{n + 1}"},
                    }
                }
                for n in range(20)
            }
            | {"s20": {}},
        },
        {"a": 1, "b": 2},
    ),
}


@pytest.mark.usefixtures("_half_a_second")
@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_schema_cannot_hold_up_the_server(bomb: str) -> None:
    schema, value = BOMBS[bomb]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.02)
            turns += 1

    other_requests = asyncio.create_task(others())
    with pytest.raises(InvalidRequestError, match="response_format: takes too long to check"):
        await problem("JSON schema", schema, json.dumps(value))
    other_requests.cancel()
    assert turns >= 5  # of about 25: the event loop went on meanwhile


@pytest.mark.usefixtures("_half_a_second")
@pytest.mark.parametrize(
    ("pattern", "text"), [(ENDLESS, LONG), ("|".join(f"w{n}x" for n in range(250_000)), "a")]
)
async def test_a_regular_expression_cannot_hold_up_the_server(pattern: str, text: str) -> None:
    with pytest.raises(InvalidRequestError, match="takes too long to check"):
        await problem("regex", pattern, text)


async def test_checks_go_on_after_one_that_was_ended() -> None:
    bombs = [problem("regex", ENDLESS, LONG) for _ in range(4)]
    ended = await asyncio.gather(*bombs, return_exceptions=True)
    assert all(isinstance(one, InvalidRequestError) for one in ended)
    assert await problem("regex", "a+", "aaa") is None
    assert await problem("JSON schema", {"type": "object"}, "[]") is not None


def test_each_event_loop_is_served() -> None:
    for _ in range(3):
        assert asyncio.run(problem("regex", "a+", "aaa")) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("regex", "a" * 5_000_000),
        ("JSON schema", {"const": "a" * 5_000_000}),
    ],
)
async def test_a_constraint_has_a_size_limit(kind: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError, match="is too large to check: 4 MiB at most"):
        await problem(kind, value, None)


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
async def test_a_schema_cannot_have_the_server_fetch(keyword: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        asked = threading.Event()

        def accept() -> None:
            try:
                server.accept()
                asked.set()
            except TimeoutError:
                pass

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(InvalidRequestError, match=r"refers to .*put it under \$defs"):
            await problem("JSON schema", {keyword: address}, "1")
        thread.join()
        assert not asked.is_set()


async def test_a_schema_cannot_read_files() -> None:
    with pytest.raises(InvalidRequestError, match="refers to"):
        await problem("JSON schema", {"$ref": "file:///etc/passwd"}, "1")


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("regex", "(", "is not a regular expression"),
        ("JSON schema", {"type": "nonsense"}, "is not a JSON schema"),
        ("JSON schema", {"$schema": 5}, "is not a JSON schema"),
    ],
)
async def test_what_is_no_constraint_is_a_bad_request(kind: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^response_format: {said}") as raised:
        await problem(kind, value, None)
    assert raised.value.field == "response_format"


@settings(max_examples=60, deadline=None)
@given(schema=json_values, answer=json_values)
def test_any_schema_and_any_answer(schema: Any, answer: Any) -> None:
    try:
        found = asyncio.run(problem("JSON schema", schema, json.dumps(answer)))
    except InvalidRequestError:
        return
    assert found is None or "does not fit at" in found


async def test_checks_that_take_long_keep_no_others_waiting() -> None:
    bombs = [asyncio.create_task(problem("regex", ENDLESS, LONG)) for _ in range(12)]
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    for _ in range(3):
        assert await problem("regex", "a+", "aaa") is None
    waited = time.monotonic() - begun
    still_checked = [bomb for bomb in bombs if not bomb.done()]
    for bomb in bombs:
        bomb.cancel()
    await asyncio.gather(*bombs, return_exceptions=True)
    assert waited < 8  # to end the bombs one by one takes 24
    assert still_checked


async def test_a_check_without_a_turn_is_no_fault_of_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constraint_process, "WAIT_SECONDS", 1.0)
    bombs = [problem("regex", ENDLESS, LONG) for _ in range(8)]
    ended = await asyncio.gather(*bombs, return_exceptions=True)
    assert all(isinstance(one, NIMError) for one in ended)
    late = [one for one in ended if getattr(one, "code", None) == "constraint_not_checked"]
    assert late
    assert {getattr(one, "status_code", None) for one in late} == {503}


async def test_a_process_that_cannot_start_is_no_fault_of_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constraint_process, "_pools", constraint_process._Pools())
    monkeypatch.setattr(sys, "executable", sys.executable + "-missing")
    with pytest.raises(ServerError, match="no process for it could be started") as raised:
        await problem("regex", "a+", "aaa")
    assert raised.value.code == "constraint_not_checked"


_LEAVING = """
import asyncio, sys
from llama_stack_provider_nvidia.nim.responses import constraint_process as checks

async def main():
    bombs = [asyncio.create_task(checks.problem_of("regex", "(a|aa)+$", "a" * 60 + "!", "f"))
             for _ in range(6)]
    await asyncio.sleep(1)
    print(*(process.pid for process in checks._pools.busy), flush=True)
    sys.exit(0)

asyncio.run(main())
"""


def _group(pid: int) -> list[int]:
    """The processes that live in a group, a check's fork among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(int(entry.parent.name))
    return found


def _until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(_group(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [_group(pid) for pid in pids] == [[]] * len(pids)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_a_server_that_ends_leaves_no_check_behind() -> None:
    with subprocess.Popen([sys.executable, "-c", _LEAVING], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        pids = [int(pid) for pid in server.stdout.readline().split()]
        begun = time.monotonic()
        assert server.wait(timeout=60) == 0
    assert pids
    assert time.monotonic() - begun < 8  # it did not wait for those in the queue
    _until_gone(pids)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_a_server_that_is_killed_leaves_no_check_behind() -> None:
    script = _LEAVING.replace("sys.exit(0)", "await asyncio.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        pids = [int(pid) for pid in server.stdout.readline().split()]
        server.kill()
    assert pids
    _until_gone(pids)


_FORKING = """
import asyncio, os, sys, warnings
from llama_stack_provider_nvidia.nim.responses import constraint_process as checks

warnings.simplefilter("ignore", DeprecationWarning)

def check(text):
    return asyncio.run(checks.problem_of("regex", "a+", text, "f"))

assert check("a") is None
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        good = all(check("a" * n) is None and check("b" * n) for n in range(1, 30))
        os._exit(0 if good else 1)
    children.append(child)
assert all(check("a" * n) is None and check("b" * n) for n in range(1, 30))
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_server_that_was_forked_has_processes_of_its_own() -> None:
    command = [sys.executable, "-c", _FORKING]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr


async def test_without_forks_checks_are_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the process itself ends over a check, and another takes its place."""
    module = "llama_stack_provider_nvidia.nim.responses.constraint_worker"
    script = f"import os; del os.fork; from {module} import main; main()"
    command = [sys.executable, "-c", script, str(2**30)]
    popen = subprocess.Popen
    pools = constraint_process._Pools()
    monkeypatch.setattr(constraint_process, "_pools", pools)
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: popen(command, **options))
    with pytest.raises(InvalidRequestError, match="takes too long to check"):
        await problem("regex", ENDLESS, LONG)
    assert await problem("regex", "a+", "aaa") is None
    pools.close()
