"""``llama_stack_provider_nvidia.emulator``: the former name of ``nim_emulator``."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

import nim_emulator

NAME = "llama_stack_provider_nvidia.emulator"


def test_it_warns_and_has_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with pytest.warns(DeprecationWarning, match="is now nim_emulator"):
        former = importlib.import_module(NAME)
    assert former.__all__ == nim_emulator.__all__
    for name in nim_emulator.__all__:
        assert getattr(former, name) is getattr(nim_emulator, name)


def test_it_holds_no_code() -> None:
    spec = importlib.util.find_spec(NAME)
    assert spec is not None
    (path,) = Path(spec.origin or "").parent.glob("**/*.py")
    kinds = {type(node) for node in ast.parse(path.read_text(encoding="utf-8")).body}
    assert kinds == {ast.Expr, ast.ImportFrom, ast.Import}
