"""Substitution of ``${env.NAME}`` variables in run.yaml, as the installed release does it."""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from .installed_server import installed_servers


class Syntax(Enum):
    """How a release writes a variable's default, and a value for when it is set.

    ``COLON`` was replaced after 0.2.12 by ``SHELL``.
    """

    COLON = re.compile(r"\${env\.([A-Z0-9_]+)(?:([:+])([^}]*))?}")
    """``${env.NAME:default}`` and ``${env.NAME+value}``; the result is always text."""
    SHELL = re.compile(r"\${env\.([A-Z0-9_]+)(?::([=+])([^}]*))?}")
    """``${env.NAME:=default}`` and ``${env.NAME:+value}``; numbers and booleans are converted."""

    def default(self, name: str, value: str = "") -> str:
        """Return the text for a variable with a default."""
        return f"${{env.{name}:{'=' if self is Syntax.SHELL else ''}{value}}}"


class UnsetVariableError(ValueError):
    """A variable without a default is not set.

    Attributes:
        name: The variable's name.
        path: The key that uses it, such as ``config.url``.
    """

    def __init__(self, name: str, path: str) -> None:
        super().__init__(f"{path}: the variable {name} is not set")
        self.name = name
        self.path = path


def substitute(
    value: Any, syntax: Syntax, environ: Mapping[str, str] = os.environ, path: str = ""
) -> Any:
    """Return a part of run.yaml with its variables replaced.

    Args:
        value: The part, as YAML data.
        syntax: The release's syntax.
        environ: Values of the variables.
        path: Key of the part, for errors.

    Raises:
        UnsetVariableError: A variable without a default is not set.
    """
    if isinstance(value, dict):
        return {
            key: substitute(item, syntax, environ, f"{path}.{key}" if path else str(key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [substitute(item, syntax, environ, f"{path}[{n}]") for n, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    text = syntax.value.sub(lambda match: _replacement(match, environ, path), value)
    return _convert(text) if syntax is Syntax.SHELL and text != value else text


def _replacement(match: re.Match[str], environ: Mapping[str, str], path: str) -> str:
    name, operator, given = match.groups()
    value = environ.get(name)  # the stack treats an empty variable as unset
    if operator == "+":
        chosen = given if value else ""
    elif value:
        chosen = value
    elif operator:
        chosen = given
    else:
        raise UnsetVariableError(name, path)
    return os.path.expanduser(chosen)


def _convert(text: str) -> Any:
    """Convert a replaced text to the type that the stack gives it."""
    if text == "":
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


@functools.cache
def installed_syntax() -> Syntax:
    """Return the installed release's syntax, or the latest if none is installed.

    Each release ships run.yaml files for its distributions, which use its own syntax. Calling the
    release's substitution function would import the whole server, which takes seconds.
    """
    for path in _distribution_files():
        text = path.read_text("utf-8", "replace")
        for syntax, operator in ((Syntax.SHELL, ":[=+]"), (Syntax.COLON, ":[^=+]")):
            if re.search(rf"\${{env\.[A-Z0-9_]+{operator}", text):
                return syntax
    return Syntax.SHELL


def _distribution_files() -> Iterator[Path]:
    """Yield the run.yaml files that the installed release ships."""
    for _, root in installed_servers():
        for folder in ("distributions", "templates"):
            yield from (root / folder).glob("*/*.yaml")
