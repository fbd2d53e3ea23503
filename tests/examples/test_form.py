"""The examples are small, say what they show, and none is forgotten."""

import ast
import json
import re

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
    rows = set(re.findall(r"^\| \[([\w.]+)\]\(", README, re.MULTILINE))
    assert rows == {f"{name}.py" for name in PROGRAMS} | {"tour.ipynb"}
    tests = (ROOT / "tests" / "examples" / "test_examples.py").read_text()
    assert {name for name in PROGRAMS if f'printed("{name}")' not in tests} == set()


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((FOLDER / "tour.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_pins_are_exact() -> None:
    lines = (ROOT / "constraints" / "examples.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9][a-z0-9-]*==[\w.]+", line)] == []
    assert {"langchain-openai", "nbclient", "ipykernel"} <= {pin.split("==")[0] for pin in pins}
