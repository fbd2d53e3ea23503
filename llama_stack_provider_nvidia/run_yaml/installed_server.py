"""The files of the installed server, read without importing it, which takes seconds."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

_LOG_FORMAT = re.compile(r"\b[A-Z_]+_LOG_FORMAT\b")


def installed_servers() -> Iterator[tuple[str, Path]]:
    """Yield the name and the folder of each server's package: OGX's before Llama Stack's."""
    for package in ("ogx", "llama_stack"):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield package, Path(folder)


def log_format_variable() -> str | None:
    """Return the variable that has the installed server log errors as JSON, undrawn.

    Llama Stack 0.7 and OGX have one. None for others.
    """
    for _, folder in installed_servers():
        log = folder / "log.py"
        found = _LOG_FORMAT.search(log.read_text("utf-8", "replace")) if log.exists() else None
        return found[0] if found else None
    return None
