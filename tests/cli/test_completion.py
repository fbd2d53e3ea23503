"""Shell completion, help, and how soon a command is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llama_stack_provider_nvidia.cli import app
from llama_stack_provider_nvidia.cli.app import app as same

from .conftest import TOOL, Run

COMMANDS = [
    *("doctor", "capture", "compare", "models", "init", "chat", "rerank", "emulate"),
    "providers-dir",
]
# Each takes longer to import than the whole command line.
HEAVY = {"openai", "pydantic", "httpx", "yaml", "llama_models", "llama_stack", "ogx", "starlette"}


def completed(*words: str) -> list[str]:
    env = {
        **os.environ,
        "_LLAMA_STACK_NVIDIA_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["llama-stack-nvidia", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(TOOL, env=env, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.split()


def test_commands_options_and_dialects_are_completed() -> None:
    assert completed("do") == ["doctor"]
    assert completed("doctor", "--pro") == ["--probe"]
    assert completed("emulate", "--dialect", "nim2") == ["nim2", "nim2-sglang"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_installed(shell: str, tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for option in ("--show-completion", "--install-completion"):
        command = [*TOOL, option, shell]
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=True, timeout=60
        )
        assert shell in done.stdout or "_LLAMA_STACK_NVIDIA_COMPLETE" in done.stdout
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_LLAMA_STACK_NVIDIA_COMPLETE" in path.read_text() for path in written)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, run: Run) -> None:
    result = run(command, "--help", COLUMNS="200")
    assert result.exit_code == 0
    examples = result.output.split("Examples:")[1]
    assert f"llama-stack-nvidia {command}" in examples


def test_the_commands_are_listed(run: Run) -> None:
    assert all(command in run("--help").output for command in COMMANDS)
    assert app is same


def test_nothing_heavy_is_imported_for_help() -> None:
    program = "import sys, llama_stack_provider_nvidia.cli; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert {name.split(".")[0] for name in done.stdout.split()} & HEAVY == set()
