"""Variables in run.yaml: ``${env.NAME}`` and its defaults, as the installed release reads them."""

import functools
import importlib.util
import os
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any


class Syntax(Enum):
    """How a release writes a default, and a value for where a variable is set.

    The first form was replaced after 0.2.12 by the second, which is the shell's.
    """

    COLON = re.compile(r"\${env\.([A-Z0-9_]+)(?:([:+])([^}]*))?}")
    """``${env.NAME:default}`` and ``${env.NAME+value}``; what is read is always text."""
    SHELL = re.compile(r"\${env\.([A-Z0-9_]+)(?::([=+])([^}]*))?}")
    """``${env.NAME:=default}`` and ``${env.NAME:+value}``; numbers, true and false are such."""

    def default(self, name: str, value: str = "") -> str:
        """Write a variable with a default."""
        return f"${{env.{name}:{'=' if self is Syntax.SHELL else ''}{value}}}"


class UnsetError(ValueError):
    """A variable without a default is not set.

    Attributes:
        name: Its name.
        path: Where it is used, such as ``config.url``.
    """

    def __init__(self, name: str, path: str) -> None:
        super().__init__(f"{path}: the variable {name} is not set")
        self.name = name
        self.path = path


def substituted(
    value: Any, syntax: Syntax, environ: Mapping[str, str] = os.environ, path: str = ""
) -> Any:
    """Put the values of variables into a part of run.yaml.

    Args:
        value: The part, as it was read.
        syntax: What the release reads.
        environ: The variables.
        path: Where the part is, for errors.

    Raises:
        UnsetError: A variable without a default is not set.
    """
    if isinstance(value, dict):
        return {
            key: substituted(item, syntax, environ, f"{path}.{key}" if path else str(key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [substituted(item, syntax, environ, f"{path}[{n}]") for n, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    text = syntax.value.sub(lambda found: _value(found, environ, path), value)
    return _typed(text) if syntax is Syntax.SHELL and text != value else text


def _value(found: re.Match[str], environ: Mapping[str, str], path: str) -> str:
    name, operator, given = found.groups()
    known = environ.get(name)  # an empty one counts as unset
    if operator == "+":
        chosen = given if known else ""
    elif known:
        chosen = known
    elif operator:
        chosen = given
    else:
        raise UnsetError(name, path)
    return os.path.expanduser(chosen)


def _typed(text: str) -> Any:
    """Make of a text what the stack makes of it."""
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
    """Tell what the installed stack reads, without importing it, which takes seconds.

    Its own pattern is looked up in its source; where no stack is installed it is that of the
    latest releases.
    """
    for package in ("ogx", "llama_stack"):
        spec = importlib.util.find_spec(package)
        for root in spec.submodule_search_locations or () if spec else ():
            for home in ("core", "distribution"):
                source = Path(root) / home / "stack.py"
                if source.is_file():
                    return Syntax.COLON if r"(?:([:\+])" in source.read_text() else Syntax.SHELL
    return Syntax.SHELL
