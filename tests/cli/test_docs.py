"""docs/command-line.md shows what the commands print."""

import re
import shlex
from collections.abc import Iterator

import pytest

from llama_stack_provider_nvidia.doctor import connection, probes, service
from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import ROOT

from .conftest import EMBEDDER, LLM, RERANKER, Run
from .test_completion import COMMANDS

PAGE = (ROOT / "docs" / "command-line.md").read_text()
SHOWN = re.findall(
    r"```bash\nllama-stack-nvidia ([^`]*)\n```\n\n```text\n(.*?)```", PAGE, re.DOTALL
)


def plain(text: str) -> list[str]:
    """Lines without what differs each time: addresses, times, and the width of their column."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\d+(\.\d+)? (ms|s)\b", "TIME", text)
    text = re.sub(r"\d+ tokens/s", "RATE", text)
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.fixture(scope="module")
def shared_nim() -> Iterator[EmulatorServer]:
    # What comes at once has no rate.
    with EmulatorServer(models=[LLM, EMBEDDER, RERANKER], tokens_per_second=20) as made:
        yield made


def test_examples_were_found() -> None:
    assert len(SHOWN) == 7


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command for command, _ in SHOWN])
def test_examples_are_what_is_printed(
    command: str, shown: str, nim: EmulatorServer, run: Run
) -> None:
    command = command.replace("http://127.0.0.1:8000", nim.url)
    command = command.replace("http://127.0.0.1:8001", f"http://127.0.0.1:{free_port()}")
    arguments = shlex.split(command.replace("\\\n", ""))
    result = run(*arguments)
    assert result.exit_code == ("8001" in shown)
    printed = result.stdout + (result.stderr if "--stats" in arguments else "")
    assert plain(printed) == plain(shown)


def test_the_emulated_nim_of_the_page_has_these_models() -> None:
    started = re.search(r"llama-stack-nvidia emulate (.*?)\n```", PAGE, re.DOTALL)
    assert started
    assert re.findall(r"--model (\S+)", started[1]) == [LLM, EMBEDDER, RERANKER]


def test_all_commands_and_checks_are_on_the_page() -> None:
    head = PAGE.split("## doctor")[0]
    assert re.findall(r"^\| \[?`([\w-]+)`", head, re.MULTILINE) == COMMANDS
    table = PAGE.split("| Check | What it checks |")[1].split("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in row.split("|")[1].split(",")]
    checks = [check.name for check in (*connection.CHECKS, *service.CHECKS, *probes.CHECKS)]
    assert [name.strip() for name in named] == ["provider", "configuration", "server log", *checks]
