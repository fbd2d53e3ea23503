"""``llama-stack-nvidia emulate``: the command of the distribution ``nim-emulator``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from nim_emulator.cli import command_line
from typer.testing import CliRunner

import llama_stack_provider_nvidia
from llama_stack_provider_nvidia import cli
from nim_emulator import DIALECTS

ROOT = Path(llama_stack_provider_nvidia.__file__).parent
COMMAND = "from llama_stack_provider_nvidia.cli import app; app()"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})


def test_version() -> None:
    assert run("--version").output == f"{llama_stack_provider_nvidia.__version__}\n"


def test_providers_dir() -> None:
    result = run("providers-dir")
    assert (result.exit_code, result.output) == (0, f"{ROOT / 'providers.d'}\n")
    assert os.path.isabs(result.output.strip())


def test_it_is_listed() -> None:
    assert "emulate" in run().output


def test_help_and_errors_are_those_of_the_emulator() -> None:
    program = "llama-stack-nvidia emulate"
    own = command_line(program)
    told = CliRunner().invoke(own, ["--help"], env={"COLUMNS": "200"}, prog_name=program)
    # The test runner calls the outer program `root`.
    shown = run("emulate", "--help").output.replace("root emulate", program)
    assert " ".join(shown.split()) == " ".join(told.output.split())
    result = run("emulate", "--dialect", "nim9", "--port", "0")
    assert result.exit_code == 2
    assert "unknown dialect 'nim9'" in result.output
    assert all(f"'{name}'" in " ".join(result.output.split()) for name in DIALECTS)


def test_it_serves() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "emulate", "--port", "0", "--model", "a/b"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        (model,) = httpx.get(f"{url}/models", trust_env=False).json()["data"]
        assert model["id"] == "a/b"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("missing", ["nim_emulator", "rstr"])
def test_missing_extra(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; {COMMAND}"
    command = [sys.executable, "-c", program, "emulate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"needs {missing}" in done.stderr
    assert "pip install 'llama-stack-provider-nvidia[emulator]'" in done.stderr
