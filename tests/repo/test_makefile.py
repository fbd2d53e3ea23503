"""The Makefile's targets: shown by `make help`, and there when the documents name them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROMISED = {"demo", "serve", "test", "check", "lint", "types", "engine-test", "clean", "help"}


@pytest.fixture(scope="module")
def targets() -> set[str]:
    text = (Path(__file__).resolve().parents[2] / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))


def run_make(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words],
        cwd=root,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def code(markdown: str) -> Iterator[str]:
    """The lines of a document's code: fenced blocks and code spans."""
    for number, part in enumerate(markdown.split("```")):
        yield from part.splitlines()[1:] if number % 2 else re.findall(r"`([^`\n]+)`", part)


def named_targets(line: str) -> list[str]:
    """The targets that a line of shell code hands to make."""
    found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ +)*make\b([^#;&|]*)", line)
    return re.findall(r"(?<!\S)[a-z][a-z-]*(?!\S)", found.group(1)) if found else []


def test_the_promised_targets_exist(targets: set[str]) -> None:
    assert targets >= PROMISED


@pytest.mark.parametrize("words", [["help"], []])
def test_help_lists_every_target_and_is_the_default(
    root: Path, targets: set[str], words: list[str]
) -> None:
    done = run_make(root, *words)
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert set(listed) == targets
    assert all(listed.values())


def test_every_target_is_phony(root: Path, targets: set[str]) -> None:
    # The Makefile works the list out: what make knows of it counts.
    known = run_make(root, "--print-data-base", "--question", "help", LC_ALL="C").stdout
    phony = re.search(r"^\.PHONY: (.*)$", known, re.MULTILINE)
    assert phony is not None
    assert set(phony.group(1).split()) == targets


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("make demo", ["demo"]),
        ("  NVIDIA_API_KEY=nvapi-x make demo  # hosted", ["demo"]),
        ("make lint types STACK=0.2.24", ["lint", "types"]),
        ('make test ARGS="-k name"', ["test"]),
        ("make demo && make test", ["demo"]),
        ("python make.py", []),
        ("cmake build", []),
    ],
)
def test_targets_are_found_in_code(line: str, named: list[str]) -> None:
    assert named_targets(line) == named


def test_targets_named_in_the_documents_exist(root: Path, targets: set[str]) -> None:
    unknown = {
        (str(path.relative_to(root)), name)
        for path in [*root.glob("*.md"), *root.glob("docs/**/*.md")]
        for line in code(path.read_text("utf-8"))
        for name in named_targets(line)
        if name not in targets
    }
    assert unknown == set()


def test_an_unknown_release_is_refused_in_a_sentence(root: Path) -> None:
    done = run_make(root, "test", STACK="0.0.1")
    assert done.returncode != 0
    assert "There are no pins for Llama Stack 0.0.1; there are for 0.2.12, " in done.stderr


def test_an_interpreter_that_does_not_run_is_refused_in_a_sentence(root: Path) -> None:
    done = run_make(root, "test", PYTHON="no-such-python")
    assert done.returncode != 0
    assert "PYTHON=no-such-python does not run" in done.stderr
    assert "Traceback" not in done.stderr
