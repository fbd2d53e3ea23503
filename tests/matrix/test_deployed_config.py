"""The run.yaml files of deploy/ are what the installed release reads."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from llama_stack_provider_nvidia import stack
from scripts.stack_server import ROOT

KINDS = {kind.value for kind in stack.ModelType}
FILES = sorted((ROOT / "deploy" / "kubernetes").glob("**/run.yaml"))
CORES = ("ogx.core", "llama_stack.core", "llama_stack.distribution")


def core(module: str) -> Any:
    """A module of the stack's core, wherever this release has it."""
    for name in CORES:
        try:
            return importlib.import_module(f"{name}.{module}")
        except ModuleNotFoundError:
            continue
    raise AssertionError(module)


def config_class() -> Any:
    datatypes = core("datatypes")
    return getattr(datatypes, "StackConfig", None) or datatypes.StackRunConfig


def test_the_files_are_there() -> None:
    assert len(FILES) >= 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_the_release_reads_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text()
    for name in re.findall(r"\$\{env\.(\w+)\}", text):
        monkeypatch.setenv(name, f"value-of-{name.lower()}")
    contents = core("stack").replace_env_vars(yaml.safe_load(text))
    # 0.3 reads the list and knows no rerankers.
    models = contents["registered_resources"]["models"]
    models[:] = [model for model in models if model["model_type"] in KINDS]
    config = config_class()(**contents)
    assert list(config.providers) == ["inference"]
    (provider,) = config.providers["inference"]
    assert provider.config["endpoints"][-1]["api_key"] == "value-of-nvidia_api_key"
    assert config.server.port == 8321
    backends = getattr(getattr(config, "storage", None), "backends", {})
    wanted = {"postgres": {"kv_postgres", "sql_postgres"}}.get(
        path.parent.name, {"kv_sqlite", "sql_sqlite"}
    )
    assert {backend.type.value for backend in backends.values()} in (wanted, set())
