"""The modules that commands import before they print, so that they start soon."""

import subprocess
import sys

import pytest

from scripts import start_times

from .conftest import TOOL

# Not pydantic: some releases of typer import it.
HEAVY = {
    "httpx",
    "jsonschema",
    "llama_models",
    "llama_stack",
    "ogx",
    "openai",
    "starlette",
    "yaml",
}
SHOW = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sys.modules))
sys.argv = ["llama-stack-nvidia", *sys.argv[1:]]
from llama_stack_provider_nvidia.cli import app
app()
"""


def imported(program: str, *arguments: str) -> set[str]:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("MODULES"))
    return {name.split(".")[0] for name in line.split()[1:]}


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["-h"], ["providers-dir"], ["doctor", "-h"], ["init", "--help"]],
    ids=" ".join,
)
def test_what_asks_no_nim_imports_nothing_heavy(arguments: list[str]) -> None:
    heavy = HEAVY | ({"rich"} if arguments in (["--version"], ["providers-dir"]) else set())
    assert imported(SHOW, *arguments) & heavy == set()


@pytest.mark.parametrize("arguments", start_times.COMMANDS, ids=lambda words: words[0])
def test_the_first_words_come_before_what_takes_long_to_import(arguments: tuple[str, ...]) -> None:
    # The emulator is a server itself.
    allowed = {"jsonschema", "starlette"} if arguments[0] == "emulate" else set()
    assert start_times.modules(arguments) & HEAVY <= allowed


def test_a_command_without_a_word_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_times, "PROGRAM", "pass")
    with pytest.raises(start_times.StartError, match="doctor"):
        start_times.modules(["doctor"])


def test_what_takes_too_long_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start_times, "COMMANDS", (("--version",),))
    monkeypatch.setattr(start_times, "LIMIT", 0)
    assert start_times.main() == 1
    said = capsys.readouterr()
    assert "More than 0 times: --version" in said.err
    assert "python -c pass" in said.out


@pytest.mark.parametrize("command", ["", "doctor", "chat", "init", "models", "rerank", "emulate"])
def test_h_is_help(command: str) -> None:
    words = [*TOOL, *command.split(), "-h"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert "Usage:" in done.stdout
