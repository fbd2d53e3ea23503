"""The run.yaml files of deploy/ are what the installed release reads."""

import contextlib
import importlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer

from . import release
from .servers import QUIET

KINDS = {kind.value for kind in stack.ModelType}
FILES = sorted((ROOT / "deploy" / "kubernetes").glob("**/run.yaml"))
# The one with PostgreSQL needs a database as well.
SERVED = [path for path in FILES if path.parent.name != "postgres"]
KEY = "nvapi-of-the-catalogue"
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


def nims(text: str, stack_of: contextlib.ExitStack) -> str:
    """Put an emulated NIM in the place of each address; gives the file's new text."""
    (provider,) = yaml.safe_load(text)["providers"]["inference"]
    for endpoint in provider["config"]["endpoints"]:
        key = KEY if "api_key" in endpoint else None
        nim = EmulatorServer(endpoint.get("dialect", "nim2"), endpoint["models"], api_key=key)
        text = text.replace(endpoint["url"], stack_of.enter_context(nim).url)
    return text


# 0.3 knows no rerankers, and 0.2 no `storage`.
if "rerank" in KINDS:

    @pytest.mark.server
    @pytest.mark.parametrize("path", SERVED, ids=lambda path: path.parent.name)
    def test_a_server_serves_what_they_name(path: Path, tmp_path: Path) -> None:
        with contextlib.ExitStack() as running:
            file = tmp_path / "run.yaml"
            text = nims(path.read_text(), running)
            # Probes and the Service come from outside the pod.
            file.write_text(text.replace("host: 0.0.0.0", "host: 127.0.0.1"))
            environ = {**QUIET, "NVIDIA_API_KEY": KEY}
            server = running.enter_context(
                StackServer(file, env=environ, log_path=tmp_path / "log")
            )
            http = running.enter_context(
                httpx.Client(base_url=server.url + release.openai_path(server.url), timeout=30)
            )
            for model in yaml.safe_load(text)["registered_resources"]["models"]:
                name = f"nvidia/{model['model_id']}"
                if model["model_type"] == "llm":
                    chat = {"model": name, "messages": [{"role": "user", "content": "Hello"}]}
                    answer = http.post("/chat/completions", json=chat)
                    assert answer.status_code == 200, answer.text
                    assert answer.json()["choices"][0]["message"]["content"]
                elif model["model_type"] == "embedding":
                    answer = http.post("/embeddings", json={"model": name, "input": "Hello"})
                    assert answer.status_code == 200, answer.text
                    dimension = model["metadata"]["embedding_dimension"]
                    assert len(answer.json()["data"][0]["embedding"]) == dimension
                else:
                    assert name in {one["id"] for one in http.get("/models").json()["data"]}
