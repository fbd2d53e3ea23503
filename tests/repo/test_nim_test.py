"""`make nim-test` runs the engine suite on a NIM that is running; here, an emulated one."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from nim_emulator import EmulatorServer
from scripts.engine import nim
from scripts.engine.running import EngineError

from ..engine.routes import installed

LLM = "meta/llama-3.1-8b-instruct"
KEY = "key-of-the-test"


def nim_test(root: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "STACK": installed(), **env}
    return subprocess.run(
        ["make", "nim-test", *words],
        cwd=root,
        env=variables,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.timeout(180)
def test_the_suite_runs_on_a_nim_that_wants_a_key(root: Path) -> None:
    chosen = "direct and (pieces or schema_is or required or named_tool or unknown or too_long)"
    with EmulatorServer("nim2", ["a/b", LLM], api_key=KEY, context=2048) as served:
        words = (f"URL={served.url}", f"MODEL={LLM}", f"ARGS=-q -p no:cacheprovider -k '{chosen}'")
        done = nim_test(root, *words, NVIDIA_API_KEY=KEY)
        assert done.returncode == 0, done.stdout
        found = re.search(r"(\d+) passed", done.stdout)
        assert found
        assert int(found[1]) >= 8
        models = {request.body["model"] for request in served.requests if request.body}
        assert LLM in models
        assert "a/b" not in models


def test_a_nim_that_does_not_do_as_it_should_fails_it(root: Path) -> None:
    with EmulatorServer("nim2", [LLM], context=2048) as served:
        served.faults(["status:status=500,times=9,path=/v1/chat/completions"])
        chosen = "ARGS=-q -p no:cacheprovider -k test_chat"
        done = nim_test(root, f"URL={served.url}", chosen)
    assert done.returncode != 0
    assert "1 failed" in done.stdout or "2 failed" in done.stdout


def test_an_address_is_needed(root: Path) -> None:
    done = nim_test(root)
    assert done.returncode != 0
    assert "make nim-test URL=http://localhost:8000" in done.stderr


@pytest.mark.parametrize(
    ("dialect", "lacking"),
    [
        ("nim2", {"leave_stream"}),
        ("nim1", {"leave_stream", "schema"}),
        ("nim2-sglang", {"leave_stream", "choice"}),
        ("hosted", {"leave_stream", "regex", "completion", "top_k", "too_long"}),
        ("dynamo", {"leave_stream"}),
    ],
)
def test_what_a_dialect_cannot_do_is_left_out(dialect: str, lacking: set[str]) -> None:
    tried = {"chat", "regex", "choice", "completion", "top_k", "schema", "too_long", "leave_stream"}
    context = {} if dialect == "hosted" else {"context": 2048}
    with EmulatorServer(dialect, [LLM], **context) as served:
        found = nim.find(served.url, "nvapi-key")
        with pytest.raises(EngineError, match="does not list no/such"):
            nim.find(served.url, "nvapi-key", "no/such")
    known = {name for name in tried if found.lacks(name, "direct")}
    assert known >= lacking
    assert "chat" not in known
