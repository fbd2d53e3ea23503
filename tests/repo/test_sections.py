"""Every test is run by a section of .ci/run: none has been left out by a mark or a folder."""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.mark.expression import Expression

from scripts import ci_jobs, interpreters, matrix, releases
from scripts.stack_server import ROOT

PLACES = ("tests", "nim_emulator/tests")
FILES = sorted(
    path.relative_to(ROOT) for place in PLACES for path in (ROOT / place).rglob("test_*.py")
)
# Marks that a folder's conftest.py gives to all of its tests.
OF_FOLDER = {"tests/engine": {"engine"}, "tests/deploy": {"deploy"}}
# What a conftest.py leaves out unless this is named.
UNNAMED = {
    "tests/load": "tests/load",
    "tests/load/test_compared.py": "tests/load/test_compared.py",
    "tests/examples/test_clients.py": "tests/examples",
    "tests/examples/test_examples.py": "tests/examples",
}
# Left out without the native API.
NATIVE_ONLY = {"tests/convert", "tests/server"}
# Measures the built-in for a page, which takes long: `make reliability`.
OUTSIDE_CI = {"tests/load/test_compared.py"}
_NATIVE_UP_TO = (0, 3)


class Invocation(NamedTuple):
    """One call of pytest.

    Attributes:
        paths: That it names; those of pyproject.toml if none.
        ignored: Paths that it leaves out.
        marks: Its expression for `-m`.
        native: The release has the native API.
    """

    paths: tuple[str, ...]
    ignored: tuple[str, ...]
    marks: str
    native: bool

    def takes(self, path: str, marks: set[str]) -> bool:
        """Return whether it runs a test with these marks in a file."""
        named = [one for one in self.paths or PLACES if is_below(path, one)]
        if not named or any(is_below(path, one) for one in self.ignored):
            return False
        for one, needed in UNNAMED.items():
            if is_below(path, one) and not any(is_below(name, needed) for name in named):
                return False
        if not self.native and ("native" in marks or any(is_below(path, n) for n in NATIVE_ONLY)):
            return False
        return not self.marks or Expression.compile(self.marks).evaluate(lambda m, **_: m in marks)


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def has_native(stack: str) -> bool:
    return releases.parse(stack).numbers < _NATIVE_UP_TO


def parsed(words: list[str], stack: str) -> Invocation | None:
    """Read pytest's arguments; None for one that takes some tests by their names alone."""
    paths = tuple(word for word in words if word.startswith(PLACES))
    ignored = tuple(word[9:] for word in words if word.startswith("--ignore="))
    if "-k" in words:
        return None
    marks = words[words.index("-m") + 1] if "-m" in words else ""
    return Invocation(paths, ignored, marks, has_native(stack))


@cache
def invocations() -> tuple[Invocation, ...]:
    """The calls of all sections."""
    sections = ci_jobs.sections(ci_jobs.SCRIPT.read_text())
    found = (call for section in sections for call in of_section(section))
    return tuple(call for call in found if call is not None)


def of_section(section: ci_jobs.Section) -> Iterator[Invocation | None]:
    if ci_jobs.is_matrix(section):
        for run in matrix.runs(without=(interpreters.NEWEST_STACK,)):
            yield parsed(run.arguments, run.stack)
        return
    done = subprocess.run(
        [*shlex.split(section.command), "--dry-run", "--no-print-directory"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for line in done.stdout.replace("\\\n", " ").splitlines():
        before, found, after = line.partition("pytest ")
        if "scripts.engine test" in line:
            source = (ROOT / "scripts" / "engine" / "suite.py").read_text()
            called = re.search(r'"pytest", (.*), \*words', source)
            assert called is not None
            after = called[1].replace(",", "")
        elif not found:
            continue
        stack = re.search(r"STACK=(?:\$\{STACK:-)?([\w.-]+)", before)
        yield parsed(shlex.split(after), stack[1] if stack else interpreters.NEWEST_STACK)


def marks_of(nodes: list[ast.expr]) -> set[str]:
    return {found for node in nodes for found in re.findall(r"mark\.(\w+)", ast.unparse(node))}


def functions_of(path: Path) -> Iterator[tuple[str, set[str]]]:
    """The tests of a file, each with its marks."""
    folder: set[str] = set()
    for name, marks in OF_FOLDER.items():
        folder |= marks if is_below(str(path), name) else set()
    module = ast.parse((ROOT / path).read_text())
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            folder |= marks_of([node.value])
    yield from functions_in(module.body, folder)


def functions_in(body: list[ast.stmt], outer: set[str]) -> Iterator[tuple[str, set[str]]]:
    for node in body:
        if isinstance(node, ast.If):  # which releases have it
            yield from functions_in([*node.body, *node.orelse], outer)
        elif isinstance(node, ast.ClassDef):
            yield from functions_in(node.body, outer | marks_of(node.decorator_list))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:4] == "test":
            yield node.name, outer | marks_of(node.decorator_list)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_each_test_of_a_file_is_run_by_a_section(path: Path) -> None:
    if str(path) in OUTSIDE_CI:
        return
    found = list(functions_of(path))
    assert found
    calls = invocations()
    assert [n for n, marks in found if not any(one.takes(str(path), marks) for one in calls)] == []


def test_what_is_not_part_of_ci_has_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert {str(path) for path in FILES} >= OUTSIDE_CI
    assert [path for path in OUTSIDE_CI if path not in makefile] == []


def test_the_sections_are_read() -> None:
    called = invocations()
    assert any(not one.paths and "not engine" in one.marks for one in called)
    assert {("tests/deploy",), ("tests/load",), ("tests/examples",), ("tests/engine",)} <= {
        one.paths for one in called
    }
    assert {one.native for one in called} == {True, False}


@pytest.mark.parametrize(
    ("words", "stack", "path", "marks", "taken"),
    [
        ("", "0.7.3", "tests/nim/test_x.py", "", True),
        ("", "0.7.3", "tests/convert/test_x.py", "", False),
        ("", "0.2.12", "tests/convert/test_x.py", "", True),
        ("", "0.7.3", "tests/nim/test_x.py", "native", False),
        ("", "0.7.3", "tests/load/test_x.py", "", False),
        ("tests/load", "0.7.3", "tests/load/test_x.py", "", True),
        ("tests/load", "0.7.3", "tests/load/test_compared.py", "", False),
        ("-m 'not engine'", "0.7.3", "tests/engine/test_x.py", "engine", False),
        ("tests --ignore=tests/repo", "0.7.3", "tests/repo/test_x.py", "", False),
        ("tests", "0.7.3", "nim_emulator/tests/test_x.py", "", False),
    ],
)
def test_what_a_call_takes(words: str, stack: str, path: str, marks: str, taken: bool) -> None:
    called = parsed(shlex.split(words), stack)
    assert called is not None
    assert called.takes(path, set(marks.split())) is taken
