"""The run.yaml of deploy/ is what the installed release reads, whatever its variables say."""

import contextlib
import importlib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer

from . import release
from .servers import QUIET

KINDS = {kind.value for kind in stack.ModelType}
FILE = ROOT / "deploy" / "kubernetes" / "base" / "run.yaml"
# The endpoints' names, and the dialects that the overlay for Dynamo sets.
DIALECTS = {"nim": "nim2", "dynamo": "dynamo"}
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


# 0.2 has no `storage`, and its first releases write defaults in another way.
if release.ONE_OBJECT:

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    @pytest.mark.parametrize("store", ["", "sqlite", "postgres"])
    def test_the_release_reads_it(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NVIDIA_API_KEY", "SQLITE_STORE_DIR"):
            monkeypatch.setenv(name, f"value-of-{name.lower()}")
        if store:
            monkeypatch.setenv("STORE", store)
        if store == "postgres":
            monkeypatch.setenv("POSTGRES_HOST", "database.example.com")
        contents = core("stack").replace_env_vars(yaml.safe_load(FILE.read_text()))
        # 0.3 reads the list and knows no rerankers.
        models = contents["registered_resources"]["models"]
        models[:] = [model for model in models if model["model_type"] in KINDS]
        config = config_class()(**contents)
        assert list(config.providers) == ["inference"]
        (provider,) = config.providers["inference"]
        endpoints = {endpoint["name"]: endpoint for endpoint in provider.config["endpoints"]}
        assert endpoints["chat"]["url"] == "http://chat:8000"
        assert endpoints["catalogue"]["api_key"] == "value-of-nvidia_api_key"
        assert config.server.port == 8321
        backends = getattr(getattr(config, "storage", None), "backends", {})
        kind = store or "sqlite"
        found = {backend.type.value for backend in backends.values()}
        assert found in ({f"kv_{kind}", f"sql_{kind}"}, set())
        if found and store == "postgres":
            places = {(backend.host, str(backend.port)) for backend in backends.values()}
            assert places == {("database.example.com", "5432")}


def nims(dialect: str, running: contextlib.ExitStack, text: str) -> dict[str, str]:
    """Start an emulated NIM for each endpoint; gives the variables that name them."""
    (provider,) = yaml.safe_load(text)["providers"]["inference"]
    variables = {"CHAT_DIALECT": "dynamo"} if dialect == "dynamo" else {}
    for endpoint in provider["config"]["endpoints"]:
        if endpoint["name"] == "catalogue":
            continue
        kind = dialect if endpoint["name"] == "chat" else "nim2"
        nim = running.enter_context(EmulatorServer(kind, endpoint["models"]))
        variables[f"{endpoint['name'].upper()}_URL"] = nim.url
    return variables


# 0.3 knows no rerankers.
if "rerank" in KINDS:

    @pytest.mark.server
    @pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
    def test_a_server_serves_what_it_names(dialect: str, tmp_path: Path) -> None:
        with contextlib.ExitStack() as running:
            text = FILE.read_text()
            variables = nims(dialect, running, text)
            # The catalogue has no variable, because a key goes there.
            (provider,) = yaml.safe_load(text)["providers"]["inference"]
            outside = provider["config"]["endpoints"][-1]
            nim = EmulatorServer("hosted", outside["models"], api_key=KEY)
            file = tmp_path / "run.yaml"
            file.write_text(text.replace(outside["url"], running.enter_context(nim).url))
            environ = {**QUIET, **variables, "NVIDIA_API_KEY": KEY, "SERVER_HOST": "127.0.0.1"}
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
