"""Docstrings are plain: a module says what it is, a function what it does or returns."""

import ast
import re
from pathlib import Path

import pytest

from scripts.stack_server import ROOT

FOLDERS = ("llama_stack_provider_nvidia", "nim_emulator/src", "scripts", "benchmarks", "fuzz")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
RIDDLE = re.compile(
    r"(?:What|Whether|Who|Whoever|Which|Where|How|Why|From|All|Everything|Nothing|Nobody|Those)\b"
)
# "Nothing is sent yet." of a constructor says what the reader knows.
STATE = re.compile(r"(?:Nothing|Nobody|No|The|It|There)\b.*\b(?:is|are|has|have)\b")
VERB = re.compile(r"(?:Say|Tell|Give|Whether)\b")


def summary(node: ast.AST) -> str:
    assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    return (ast.get_docstring(node) or "").partition("\n")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_summaries_are_plain(path: Path) -> None:
    module = ast.parse(path.read_text())
    first = summary(module)
    assert first.endswith((".", "`"))
    assert not RIDDLE.match(first), first
    # "What the NIM takes": the subject is named instead, or the sentence is one of a verb.
    assert '"""What ' not in path.read_text()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = summary(node)
            assert not (node.name == "__init__" and STATE.match(line)), line
            if "llama_stack_provider_nvidia" in path.parts:
                assert not VERB.match(line), line
