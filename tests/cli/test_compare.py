"""The command ``compare``, as scripts and users run it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from .conftest import TOOL, Run

WITHOUT_EMULATOR = """
import sys
sys.modules["nim_emulator"] = None
sys.argv = ["llama-stack-nvidia", *sys.argv[1:]]
from llama_stack_provider_nvidia.cli import app
app()
"""


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of an emulated NIM 2.x with SGLang, made by the command."""
    path = tmp_path_factory.mktemp("capture") / "nim.capture.gz"
    with EmulatorServer("nim2-sglang") as nim:
        subprocess.run([*TOOL, "capture", nim.url, "-o", path], check=True, timeout=120)
    return path


def test_a_nim_that_is_called(run: Run) -> None:
    with EmulatorServer("nim1", context=2000) as nim:
        result = run("compare", nim.url)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Beside the field table, nim1: no differences",
        "Beside the emulator, nim1: no differences",
    ]
    assert "calls, and those of" in result.stderr


def test_a_capture(run: Run, same: Path) -> None:
    result = run("compare", str(same), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found.pop("calls") > 100
    assert found == {
        "dialect": "nim2-sglang",
        "release": "2.1.5",
        "emulator": "nim2-sglang",
        "differences": [],
    }


def test_differences_are_listed(run: Run, same: Path) -> None:
    result = run("compare", str(same), "--dialect", "nim2-vllm")
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "GET /v1/models data.0.owned_by vllm sglang" in lines
    assert any(line.startswith("unknown model, and") and " 404: " in line for line in lines)
    assert max(len(line) for line in lines) < 250
    found = json.loads(run("compare", str(same), "--dialect", "nim2-vllm", "--json").stdout)
    assert found["emulator"] == "nim2"
    assert {
        "beside": "emulator",
        "call": "GET /v1/models",
        "field": "data.0.owned_by",
        "expected": "vllm",
        "seen": "sglang",
    } in found["differences"]


def test_a_dialect_is_what_a_nim_is_asked_as(run: Run) -> None:
    with EmulatorServer("nim2") as nim:
        result = run("compare", nim.url, "--dialect", "dynamo")
        bodies = [request.body for request in nim.requests if request.body]
    assert result.exit_code == 1
    assert any("guided_regex" in body for body in bodies)
    assert "chat, regex constraint, good" in result.stdout
    assert "without effect" in result.stdout.partition("Beside the emulator")[0]


@pytest.mark.parametrize("dialect", [[], ["--dialect", "hosted"]], ids=["same", "other"])
def test_without_the_emulator_the_field_table_is_left(same: Path, dialect: list[str]) -> None:
    words = [sys.executable, "-c", WITHOUT_EMULATOR, "compare", str(same), "--json", *dialect]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert "llama-stack-provider-nvidia[emulator]" in done.stderr
    found = json.loads(done.stdout)
    assert found["emulator"] is None
    assert {row["beside"] for row in found["differences"]} <= {"field table"}
    assert done.returncode == bool(found["differences"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nim.capture"], "there is no such file"),
        (["other.capture"], "other.capture: line 1: not the header"),
        (["empty.capture"], "no response to compare"),
        (["other.capture", "--dialect", "nim3"], "--dialect: choose one of nim1, "),
        ([f"http://127.0.0.1:{free_port()}"], "connect"),
        (["run.yaml"], "run.yaml"),
    ],
)
def test_what_cannot_be_compared_is_said(arguments: list[str], said: str, run: Run) -> None:
    Path("other.capture").write_text("{}\n")
    Path("empty.capture").write_text('{"format": "nim-capture", "version": 1}\n')
    Path("run.yaml").write_text("providers: {}\n")
    result = run("compare", *arguments)
    assert result.exit_code == 2, result.output
    assert said.lower() in result.output.lower()


def test_a_capture_that_breaks_off_is_compared_as_far_as_it_goes(run: Run, same: Path) -> None:
    lines = gzip.decompress(same.read_bytes()).splitlines()[:40]
    Path("part.capture").write_bytes(b"\n".join(lines))
    result = run("compare", "part.capture")
    assert result.exit_code == 0, result.output
    assert "not complete: it breaks off" in result.stderr
