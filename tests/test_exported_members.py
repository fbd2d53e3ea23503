"""The public names: what each public module exports, and what CONTRIBUTING.md promises to keep."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import llama_stack_provider_nvidia
import nim_emulator
from llama_stack_provider_nvidia import adapter, config, provider
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.stack import imports

PACKAGE = "llama_stack_provider_nvidia"
# The converters' types are the native API's: releases from 0.3 on have none.
MODULES = [llama_stack_provider_nvidia, adapter, config, errors, provider]
if imports.NATIVE:
    MODULES.append(importlib.import_module(f"{PACKAGE}.convert"))

# CONTRIBUTING.md: "Public are ...". These names keep working.
SUPPORTED = {
    PACKAGE: {"__version__", "get_adapter_impl"},
    f"{PACKAGE}.provider": {"get_provider_spec"},
    f"{PACKAGE}.adapter": {"NVIDIAInferenceAdapter"},
    f"{PACKAGE}.config": {"NVIDIAConfig", "NVIDIAProviderDataValidator"},
    f"{PACKAGE}.convert": {
        "convert_chat_completion_request",
        "convert_completion_request",
        "convert_embeddings_request",
        "convert_message",
        "convert_openai_chat_completion_choice",
        "convert_openai_chat_completion_stream",
        "convert_openai_completion_choice",
        "convert_openai_completion_stream",
        "convert_tool_definition",
    },
    f"{PACKAGE}.nim.errors": {
        "AuthenticationError",
        "InvalidRequestError",
        "ModelNotFoundError",
        "ModelWithdrawnError",
        "NIMConnectionError",
        "NIMError",
        "NIMTimeoutError",
        "PermissionDeniedError",
        "RateLimitError",
        "ServerError",
    },
}


def public_names(module: object) -> set[str]:
    """Public names that a module defines, and those that a package takes from its modules."""
    path = Path(str(inspect.getsourcefile(module)))
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom(level=1) if path.name == "__init__.py":
                names |= {alias.asname or alias.name for alias in node.names}
    private = {name for name in names if name.startswith("_") and name != "__version__"}
    return names - private - {"logger"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_exports_its_public_names(module: object) -> None:
    assert sorted(module.__all__) == sorted(public_names(module))
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_supported_names_are_exported(module: object) -> None:
    assert SUPPORTED[module.__name__] <= set(module.__all__)


def test_the_emulators_interface_is_exported() -> None:
    assert "EmulatorServer" in nim_emulator.__all__
    assert all(hasattr(nim_emulator, name) for name in nim_emulator.__all__)
