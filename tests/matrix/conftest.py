"""A real server of the installed release, with four providers in front of emulated NIMs.

``nvidia`` and ``nim1`` answer in the two generations of NIM, ``guarded`` wants a key that the
server does not have, and nothing listens behind ``down``. Every release knows their models as
``<provider>/<NIM's id>``.
"""

import importlib
import urllib.error
import urllib.request
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import yaml

from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import ROOT, StackServer

from . import release

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
MODEL = f"nvidia/{LLM}"
KEY = "nvapi-right"
# Several releases draw each traceback with its source lines, and answer nobody for 5 to 20 s.
QUIET = {
    "LLAMA_STACK_LOGGING": "all=critical",
    "LLAMA_STACK_LOG_FORMAT": "json",
    "OGX_LOGGING": "all=critical",
    "OGX_LOG_FORMAT": "json",
}


@pytest.fixture(scope="session")
def shared_nim() -> Iterator[EmulatorServer]:
    # Slow enough for a caller to leave in the middle of an answer.
    with EmulatorServer(models=[LLM, EMBEDDER, RERANKER], tokens_per_second=500) as nim:
        yield nim


@pytest.fixture
def nim(shared_nim: EmulatorServer) -> EmulatorServer:
    """The NIM behind ``nvidia``, with an empty list of requests."""
    shared_nim.clear()
    return shared_nim


@pytest.fixture(scope="session")
def guarded_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer(api_key=KEY) as made:
        yield made


@pytest.fixture(scope="session")
def nim1() -> Iterator[EmulatorServer]:
    with EmulatorServer(dialect="nim1") as made:
        yield made


@pytest.fixture(scope="session")
def server(
    shared_nim: EmulatorServer,
    guarded_nim: EmulatorServer,
    nim1: EmulatorServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StackServer]:
    config = yaml.safe_load((ROOT / "run.yaml").read_text())
    (entry,) = config["providers"]["inference"]
    providers: dict[str, dict[str, Any]] = {
        "nvidia": {"url": shared_nim.url, "max_retries": 0},
        "nim1": {"url": nim1.url, "dialect": "nim1"},
        "guarded": {"url": guarded_nim.url, "dialect": "nim2-vllm"},
        "down": {"url": f"http://127.0.0.1:{free_port()}", "max_retries": 0},
    }
    config["providers"]["inference"] = [
        {**entry, "provider_id": name, "config": settings} for name, settings in providers.items()
    ]
    models = [_model(name, LLM) for name in providers]
    models += [_model("nvidia", f"{EMBEDDER}{way}", "embedding") for way in ("", "-passage")]
    if "rerank" in stack.KINDS:
        models.append(_model("nvidia", RERANKER, "rerank"))
    models.append(_model("nvidia", "meta/llama-ghost-instruct"))
    config["models"] = config["registered_resources"]["models"] = models
    path = tmp_path_factory.mktemp("server") / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    with StackServer(path, env=QUIET, log_path=path.with_name("log")) as running:
        yield running


def _model(provider: str, model: str, kind: str = "llm") -> dict[str, Any]:
    return {
        "model_id": f"{provider}/{model}",
        "provider_id": provider,
        "provider_model_id": model,
        "model_type": kind,
        "metadata": {"embedding_dimension": 1024, "input_type": "query"}
        if kind == "embedding"
        else {},
    }


@pytest.fixture(scope="session")
def openai_url(server: StackServer) -> str:
    """Where the OpenAI-style routes are."""
    for path in release.OPENAI_PATHS:
        try:
            urllib.request.urlopen(f"{server.url}{path}/models", timeout=10).close()
        except urllib.error.HTTPError:
            continue
        return f"{server.url}{path}"
    raise AssertionError("the server has no OpenAI-style routes")


@pytest.fixture
def client(openai_url: str, nim: EmulatorServer) -> Iterator[openai.OpenAI]:
    """OpenAI's own client."""
    with openai.OpenAI(base_url=openai_url, api_key="none", timeout=30, max_retries=0) as made:
        yield made


@pytest.fixture
def own_client(server: StackServer, nim: EmulatorServer) -> Iterator[Any]:
    """The client that was published with the release."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for others to judge
        module = importlib.import_module(release.CLIENT_MODULE)
        make = module.OgxClient if release.OGX else module.LlamaStackClient
        made = make(base_url=server.url)
        yield made
        # From 1.1 on, OgxClient.close() calls what is not there.
        getattr(getattr(made, "api_client", None), "rest_client", made).close()


@pytest.fixture
async def adapter(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    """The provider in this process."""
    made = await get_adapter_impl(NVIDIAConfig(url=nim.url, max_retries=0), {})
    yield made
    await made.shutdown()
