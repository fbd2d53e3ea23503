"""``llama-stack-nvidia rerank`` in front of an emulated NIM."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from llama_stack_provider_nvidia.cli import app
from nim_emulator import EmulatorServer

MODEL = "nvidia/llama-nemotron-rerank-1b-v2"
TEXTS = ["the sea is deep", "mars has two moons"]


@pytest.fixture(scope="module")
def nim() -> Iterator[EmulatorServer]:
    with EmulatorServer("retriever") as made:
        yield made


def run(*arguments: str, given: str | None = None, url: str | None = None) -> Result:
    at = ["--url", url] if url else []
    command = ["rerank", "--model", MODEL, "--query", "how many moons has mars"]
    return CliRunner().invoke(app, [*command, *at, *arguments], input=given)


def test_texts_are_printed_by_relevance(nim: EmulatorServer) -> None:
    result = run(*TEXTS, url=nim.url)
    assert result.exit_code == 0
    best, other = (line for line in result.stdout.splitlines() if line.endswith(tuple(TEXTS)))
    assert best.endswith("1  mars has two moons")
    assert other.endswith("0  the sea is deep")
    assert float(best.split()[0]) > float(other.split()[0])


def test_lines_are_read_and_json_is_written(nim: EmulatorServer) -> None:
    result = run("-", "--json", "--top", "1", given="\n".join(["", *TEXTS, ""]), url=nim.url)
    (row,) = json.loads(result.stdout.splitlines()[-1])
    assert (row["index"], row["text"]) == (1, "mars has two moons")


def test_model_is_asked_at_its_own_route(nim: EmulatorServer) -> None:
    nim.clear()
    result = run(*TEXTS, "--route", f"{nim.url}/v1/ranking", "--truncate", "end", url=nim.url)
    assert result.exit_code == 0
    assert nim.requests[-1].body["truncate"] == "END"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-"], 1, "at least one"),
        (["a", "--route", "ftp://x"], 2, "--route"),
        (["a", "--truncate", "MIDDLE"], 2, "--truncate"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_said(
    nim: EmulatorServer, arguments: list[str], status: int, said: str
) -> None:
    result = run(*arguments, url=nim.url, given="")
    assert result.exit_code == status
    assert said in result.output


def test_a_variable_that_cannot_be_used_is_said(
    nim: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_TIMEOUT", "5m")
    result = run("a", url=nim.url)
    assert result.exit_code == 2
    assert "timeout: " in result.output
    assert "--truncate" not in result.output


def test_address_that_cannot_be_used_is_said() -> None:
    assert run("a", url="ftp://x").exit_code == 2
