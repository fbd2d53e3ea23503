"""The NVIDIA distribution's own run.yaml files, whole, with the line that names this package.

Nothing answers behind the other NVIDIA services that they name: servers start without them.
"""

import importlib
import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer
from tests.http_limits import NOT_KEPT

from . import release
from .conftest import EMBEDDER, LLM

pytestmark = pytest.mark.server

SPEC = importlib.util.find_spec("ogx" if release.OGX else "llama_stack")
PACKAGE = Path(str(SPEC and SPEC.origin)).parent
PROVIDERS_DIR = f"{ROOT}/llama_stack_provider_nvidia/providers.d"
# `run.yaml` up to 0.3, `config.yaml` since, and `run-with-safety.yaml` up to 0.7.
FILES = sorted(
    path
    for folder in ("templates", "distributions")
    for path in (PACKAGE / folder / "nvidia").glob("*.yaml")
    if path.name != "build.yaml"
)
CORES = ("ogx.core", "llama_stack.core", "llama_stack.distribution")
TEXT = "The rabbit lives in a burrow below the old oak."


class Running(NamedTuple):
    """A server with one of the files.

    Attributes:
        http: A client for its OpenAI-style routes.
        url: Its address.
        apis: The APIs that the file turns on.
        log: Its output.
        nim: What is behind it.
    """

    http: httpx.Client
    url: str
    apis: list[str]
    log: Path
    nim: EmulatorServer

    def post(self, path: str, **content: Any) -> Any:
        answer = self.http.post(path, **content)
        assert answer.status_code in (200, 201), f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def with_our_line(config: dict[str, Any]) -> dict[str, Any]:
    """The file's contents with the line at the place where the installed release reads it."""
    datatypes = importlib.import_module(f"{next(filter(_exists, CORES))}.datatypes")
    # OGX 1.5 asks for certificates unless it is told otherwise.
    if "insecure" in datatypes.ServerConfig.model_fields:
        config["server"]["insecure"] = True
    if "module" not in datatypes.Provider.model_fields:
        return {**config, "external_providers_dir": PROVIDERS_DIR}
    for entry in config["providers"]["inference"]:
        if entry["provider_type"] == "remote::nvidia":
            entry["module"] = "llama_stack_provider_nvidia"
    return config


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_the_files_are_there() -> None:
    # OGX has no file with safety.
    assert len(FILES) == (1 if release.OGX else 2)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("distribution")
    config = with_our_line(yaml.safe_load(request.param.read_text()))
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    with EmulatorServer(models=[LLM, EMBEDDER]) as nim:
        environ = {
            "NVIDIA_BASE_URL": nim.url,
            "INFERENCE_MODEL": LLM,
            "SAFETY_MODEL": LLM,
            "FILES_STORAGE_DIR": str(folder / "files"),
            "PYTHONPATH": str(Path(__file__).with_name("offline_tokens")),
        }
        with (
            StackServer(path, env=environ, log_path=folder / "log") as server,
            httpx.Client(
                base_url=server.url + release.openai_path(server.url), timeout=30, limits=NOT_KEPT
            ) as http,
        ):
            yield Running(http, server.url, config["apis"], folder / "log", nim)


@pytest.fixture(scope="module")
def models(running: Running) -> tuple[str, str]:
    """The chat model and the embedding model as the server calls them."""
    listed = {one["id"] for one in running.http.get("/models").json()["data"]}
    embedder = next((name for name in listed if name.endswith(EMBEDDER)), None)
    if embedder is None:
        # Up to 0.2.15 a server has the models of its file alone.
        entry = {"model_id": EMBEDDER, "provider_id": "nvidia", "model_type": "embedding"}
        entry["metadata"] = {"embedding_dimension": 1024}  # type: ignore[assignment]
        httpx.post(f"{running.url}/v1/models", json=entry, timeout=30).raise_for_status()
        embedder = EMBEDDER
    return next(name for name in listed if name.endswith(LLM)), embedder


def test_chat(running: Running, models: tuple[str, str]) -> None:
    question = [{"role": "user", "content": "Hello"}]
    running.nim.clear()
    answer = running.post("/chat/completions", json={"model": models[0], "messages": question})
    assert answer["choices"][0]["message"]["content"]
    # The built-in names itself without a version.
    (asked,) = [one for one in running.nim.requests if one.method == "POST"]
    assert "nvidia-inference-adapter/" in asked.headers["user-agent"]


def test_embeddings(running: Running, models: tuple[str, str]) -> None:
    answer = running.post("/embeddings", json={"model": models[1], "input": TEXT})
    assert len(answer["data"][0]["embedding"]) == 1024


def test_a_vector_store_finds_what_was_put_into_it(
    running: Running, models: tuple[str, str]
) -> None:
    store = running.post(
        "/vector_stores",
        json={
            "name": "animals",
            "provider_id": "faiss",
            "embedding_model": models[1],
            "embedding_dimension": 1024,
        },
    )["id"]
    if "files" in running.apis:
        file = running.post(
            "/files",
            files={"file": ("rabbit.txt", TEXT.encode(), "text/plain")},
            data={"purpose": "assistants"},
        )["id"]
        kept = running.post(f"/vector_stores/{store}/files", json={"file_id": file})
        until = time.monotonic() + 10
        while kept["status"] == "in_progress" and time.monotonic() < until:
            time.sleep(0.1)
            kept = running.http.get(f"/vector_stores/{store}/files/{file}").json()
        if release.OGX and "file_processors" not in running.apis:
            # OGX 1.x ships a file without what its vector stores need to read files.
            assert "FileProcessor API is required" in kept["last_error"]["message"]
            return
        assert kept["status"] == "completed", kept["last_error"]
    else:
        chunk = {"content": TEXT, "metadata": {"document_id": "rabbit", "source": "rabbit"}}
        body = {"vector_db_id": store, "chunks": [chunk]}
        httpx.post(f"{running.url}/v1/vector-io/insert", json=body, timeout=30).raise_for_status()
    found = running.post(f"/vector_stores/{store}/search", json={"query": "Where is the rabbit?"})
    assert found["data"][0]["content"][0]["text"] == TEXT


def test_responses(running: Running, models: tuple[str, str]) -> None:
    answer = running.post("/responses", json={"model": models[0], "input": "Hello"})
    assert answer["status"] == "completed", answer
    assert answer["output"][0]["content"][0]["text"]


def test_the_server_warns_of_keys_that_do_nothing(running: Running) -> None:
    (file,) = running.log.parent.glob("run.yaml")
    inference = yaml.safe_load(file.read_text())["providers"]["inference"]
    given = any("guardrails_service_url" in entry["config"] for entry in inference)
    # Each release wraps its log in another way.
    log = "".join(running.log.read_text().split())
    assert ("ignoredbyaninferenceprovider" in log) == given
