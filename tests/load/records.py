"""Figures of the run, for ``scripts.reliability_report``."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import time
from typing import Any

from scripts.stack_server import ROOT

FOLDER = ROOT / "var" / "reliability"


def write(name: str, **figures: Any) -> None:
    """Keep the figures of a test as var/reliability/NAME.json."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = {"date": time.strftime("%Y-%m-%d"), **figures}
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def release() -> str:
    """The release that is installed, for people."""
    for project, title in (("ogx", "OGX"), ("llama-stack", "Llama Stack")):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{title} {importlib.metadata.version(project)}"
    raise AssertionError("no release is installed")
