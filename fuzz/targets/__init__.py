"""What is fed: one module each."""

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """The targets, in the order of the alphabet."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """Import a target."""
    return importlib.import_module(f"{__name__}.{name}")
