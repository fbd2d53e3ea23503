"""Fuzz targets: one module each."""

import importlib
import pkgutil
from types import ModuleType

# What they feed is there up to Llama Stack 0.2.24.
NATIVE = ("answers", "requests", "stream", "tool_calls")


def names() -> list[str]:
    """The targets for the installed release, in the order of the alphabet."""
    known = (found.name for found in pkgutil.iter_modules(__path__))
    return sorted(name for name in known if name not in NATIVE or has_native_api())


def has_native_api() -> bool:
    """Return whether the installed release has the native API.

    Asked of the release, not of this package: the fuzzer counts the branches of what it imports
    first.
    """
    try:
        inference = importlib.import_module("llama_stack.apis.inference")
    except ModuleNotFoundError:
        return False
    return hasattr(inference.InferenceProvider, "chat_completion")


def load(name: str) -> ModuleType:
    """Import a target."""
    return importlib.import_module(f"{__name__}.{name}")
