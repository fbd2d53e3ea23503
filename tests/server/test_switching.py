"""A run.yaml that was written for the built-in provider, with the one line that names ours."""

import importlib
import importlib.resources
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from llama_stack_client import LlamaStackClient

from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer

from .conftest import MODEL
from .test_answers import HELLO

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
]

# What needs other services, or packages that no chat needs.
OTHER_APIS = {"agents", "datasetio", "eval", "files", "post_training", "safety", "scoring"} | {
    "telemetry",
    "tool_runtime",
    "vector_io",
}


def shipped() -> dict[str, Any]:
    """The run.yaml that the installed release ships for NVIDIA, cut to inference."""
    package = importlib.resources.files("llama_stack")
    (path,) = [
        folder / "nvidia" / "run.yaml"
        for folder in (package / "templates", package / "distributions")
        if (folder / "nvidia" / "run.yaml").is_file()
    ]
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    config["apis"] = [api for api in config["apis"] if api not in OTHER_APIS]
    config["providers"] = {"inference": config["providers"]["inference"]}
    config["shields"] = config["tool_groups"] = []
    config["models"] = [m for m in config["models"] if m["provider_id"] == "nvidia"]
    return config


def with_our_line(config: dict[str, Any]) -> dict[str, Any]:
    """The line, at the place where the installed release reads it."""
    homes = ("llama_stack.core.datatypes", "llama_stack.distribution.datatypes")
    home = next(name for name in homes if importlib.util.find_spec(name.rpartition(".")[0]))
    if "module" in importlib.import_module(home).Provider.model_fields:
        (entry,) = config["providers"]["inference"]
        entry["module"] = "llama_stack_provider_nvidia"
        return config
    return {**config, "external_providers_dir": f"{ROOT}/llama_stack_provider_nvidia/providers.d"}


def test_one_line_switches_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(with_our_line(shipped())))
    with (
        EmulatorServer(dialect="nim1") as nim,
        StackServer(path, env={"NVIDIA_BASE_URL": nim.url}) as server,
        LlamaStackClient(base_url=server.url, max_retries=0) as client,
    ):
        answer = client.inference.chat_completion(model_id=MODEL, messages=HELLO)
        (asked,) = [request for request in nim.requests if request.method == "POST"]
    assert answer.completion_message.content
    # The built-in names itself without a version.
    assert "nvidia-inference-adapter/" in asked.headers["user-agent"]
