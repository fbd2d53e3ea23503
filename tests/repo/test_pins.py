"""The constraints files: complete, exact, and free of places."""

import re
from pathlib import Path

import pytest

from scripts import lock, releases, venvs
from scripts.interpreters import Interpreter, Version

ROOT = Path(__file__).resolve().parents[2]
FILES = [venvs.constraints_path(stack) for stack in venvs.pinned()]
EXACT = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9A-Za-z.]*")


def pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_the_default_stacks_are_pinned() -> None:
    names = {path.name for path in FILES}
    assert {"llama-stack-0.2.12.txt", "llama-stack-0.2.24.txt"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_line_is_an_exact_pin(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not EXACT.fullmatch(line)] == []
    assert len(lines) == len({line.split("==")[0] for line in lines})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_header_says_what_was_tested_and_how_to_regenerate(path: Path) -> None:
    release = releases.parse(path.stem).stack
    header = "".join(line for line in path.read_text().splitlines(True) if line.startswith("#"))
    assert re.search(r"Python 3\.\d+", header)
    assert f"python3 -m scripts.env lock --stack {release}" in header


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_stack_the_tools_and_the_package_s_needs_are_pinned(path: Path) -> None:
    found = pins(path)
    release = releases.parse(path.stem)
    assert found[release.project] == release.version
    needed = {
        f"{release.project}-client",
        "openai",
        "httpx",
        "pydantic",
        "msgspec",
        "typer",
        "rich",
    }
    assert needed | set(venvs.TOOLS) | {"pytest", "mypy", "ruff", "jsonschema"} <= set(found)


@pytest.mark.parametrize(
    ("stack", "server", "api", "client"),
    [
        ("0.2.12", "llama-stack==0.2.12", None, "llama-stack-client==0.2.12"),
        ("0.2.24", "llama-stack==0.2.24", None, "llama-stack-client==0.2.23"),
        ("0.3.5", "llama-stack==0.3.5", None, "llama-stack-client==0.3.5"),
        ("0.4.7", "llama-stack==0.4.7", "llama-stack-api==0.4.7", "llama-stack-client==0.4.7"),
        ("ogx-1.0.0", "ogx==1.0.0", "ogx-api==1.0.0", "ogx-client==1.0.0"),
    ],
)
def test_api_package_and_client_go_with_their_server(
    stack: str, server: str, api: str | None, client: str
) -> None:
    wanted = lock.roots(stack)
    assert {server, client} <= set(wanted)
    assert [name for name in wanted if "-api==" in name] == ([api] if api else [])


def test_what_the_resolver_adds_around_the_pins_is_left_out() -> None:
    resolved = "--index-url https://example.com/simple\nb==2\n# via a\na-x==1.0\na==1\n"
    text = lock.render("0.2.12", Interpreter("python3", Version(3, 11)), resolved)
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "a==1",
        "a-x==1.0",
        "b==2",
    ]
    assert "Tested on Python 3.11." in text
