"""Imports go one way: the contracts of .importlinter, and no circle between files."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

PACKAGES = ("llama_stack_provider_nvidia", "nim_emulator", "scripts", "benchmarks")


def file_imports(package: str) -> dict[str, set[str]]:
    """The imports of each file from its own package, also in functions and for types alone."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}


def circle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """The files of a circle, empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_imports_keep_the_contracts(root: Path) -> None:
    tool = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(tool, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_part_of_a_circle(package: str) -> None:
    assert circle(file_imports(package)) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
