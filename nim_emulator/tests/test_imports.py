"""The distribution stands on its own, and its imports have no circle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import requires
from pathlib import Path

import nim_emulator

PACKAGE = Path(nim_emulator.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = {"trustme"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in FILES}


def imports(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports, those for type checkers left out."""
    here = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            inner = [f"{module}.{alias.name}" for alias in node.names]
            own = [name for name in inner if name in NAMES]
            yield from own
            if len(own) < len(inner):
                yield module


def folder_of(name: str) -> str:
    """The folder of a module below the package; of one that lies in it directly, its name."""
    return ".".join(name.split(".")[:2])


def test_no_circle_between_files() -> None:
    graph = {name_of(path): {*imports(path)} & NAMES - {name_of(path)} for path in FILES}
    TopologicalSorter(graph).prepare()


def test_no_circle_between_folders() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        folder = folder_of(name_of(path))
        others = {folder_of(name) for name in imports(path) if name in NAMES}
        graph.setdefault(folder, set()).update(others - {folder})
    TopologicalSorter(graph).prepare()


def test_everything_imported_is_a_declared_dependency() -> None:
    declared = {
        re.split(r"[^\w-]", line)[0] for line in requires("nim-emulator") or () if ";" not in line
    }
    used = {name.split(".")[0] for path in FILES for name in imports(path)}
    used -= {*sys.stdlib_module_names, "nim_emulator", *OPTIONAL}
    assert used == declared


def test_it_runs_without_the_provider() -> None:
    program = (
        "import sys; sys.modules['llama_stack_provider_nvidia'] = None\n"
        "import nim_emulator.cli\n"
        "with nim_emulator.EmulatorServer() as nim: print(nim.url)\n"
        "print(*[name for name in sys.modules if name.startswith(('llama', 'ogx'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    url, loaded = done.stdout.splitlines()
    assert url.startswith("http://127.0.0.1:")
    assert loaded == "llama_stack_provider_nvidia"


def test_modules_stay_small() -> None:
    sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
