"""An environment on top of a release's: it has the release's packages, and is made once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import layer

SHOW = "import sys, pytest, llama_stack_provider_nvidia as own; print(sys.prefix, own.__file__)"


def made(folder: Path, pins: Path) -> Path:
    environ = {**os.environ, "UV_OFFLINE": "1"}
    return layer.make("a test", folder / "layer-0.1", pins, Path(sys.executable), environ)


def test_a_layer_has_what_is_below_and_is_made_once(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("# nothing beside\n")
    python = made(tmp_path, pins)
    assert "Setting up a test in .venvs/layer-0.1" in capsys.readouterr().err
    shown = subprocess.check_output([python, "-c", SHOW], text=True, cwd=tmp_path).split()
    assert shown == [
        str(tmp_path / "layer-0.1"),
        str(root / "llama_stack_provider_nvidia" / "__init__.py"),
    ]
    assert made(tmp_path, pins) == python
    assert capsys.readouterr().err == ""
    pins.write_text("# other pins\n")
    made(tmp_path, pins)
    assert "Setting up" in capsys.readouterr().err
