"""The environment with the documentation's tools, made as `make docs` makes it."""

import os
from pathlib import Path

import pytest

from scripts import interpreters, site


@pytest.fixture(scope="session")
def docs_tools() -> Path:
    """The folder with the tools' programs."""
    environ = {name: value for name, value in os.environ.items() if name != "STACK"}
    _, python = interpreters.choose(environ)
    return site.make(python, environ).parent
