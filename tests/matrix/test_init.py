"""A run.yaml that the command line writes starts a server of the installed release."""

import importlib
import json
import os
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.cli import app
from llama_stack_provider_nvidia.run_yaml.env_substitution import (
    UnsetVariableError,
    installed_syntax,
    substitute,
)
from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer

from .release import openai_path
from .servers import QUIET

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-nemotron-rerank-1b-v2"
KEY = "nvapi-of-the-server"

TEXTS = [
    *("${env.SET}", "${env.SET:=other}", "${env.SET:other}", "${env.SET:+yes}", "${env.SET+yes}"),
    *("${env.GONE}", "${env.GONE:=other}", "${env.GONE:other}", "${env.GONE:=}", "${env.GONE:}"),
    *(
        "${env.GONE:+yes}",
        "${env.GONE+yes}",
        "${env.NUMBER}",
        "${env.GONE:=true}",
        "a ${env.SET} b",
    ),
    *("${env.EMPTY:=other}", "${env.EMPTY}", "${env.GONE:=~/x}", "plain", "${env.lower:=x}"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_variables_are_read_as_the_server_reads_them(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = "ogx.core" if stack.imports.find_module("ogx.core") else "llama_stack.core"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for others to judge
        try:
            module = importlib.import_module(f"{home}.stack")
        except ModuleNotFoundError:
            module = importlib.import_module("llama_stack.distribution.stack")
    monkeypatch.setenv("SET", "here")
    monkeypatch.setenv("NUMBER", "8000")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("GONE", raising=False)
    read: Any
    try:
        read = module.replace_env_vars({"a": text})["a"]
    except module.EnvVarError:
        with pytest.raises(UnsetVariableError):
            substitute({"a": text}, installed_syntax(), os.environ)
    else:
        assert substitute({"a": text}, installed_syntax(), os.environ) == {"a": read}


@pytest.mark.server
def test_a_written_run_yaml_starts_a_server(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.yaml"
    with EmulatorServer(models=[LLM, EMBEDDER, RERANKER], api_key=KEY) as nim:
        result = CliRunner().invoke(
            app, ["init", nim.url, "--yes", "-o", str(path)], env={"NVIDIA_API_KEY": KEY}
        )
        assert result.exit_code == 0, result.output
        assert KEY not in path.read_text()
        checked = CliRunner().invoke(app, ["doctor", str(path)], env={"NVIDIA_API_KEY": KEY})
        assert checked.exit_code == 0, checked.output
        env = {**QUIET, "NVIDIA_API_KEY": KEY}
        with StackServer(path, env=env, log_path=tmp_path / "log") as server:
            at = f"{server.url}{openai_path(server.url)}"
            with urllib.request.urlopen(f"{at}/models", timeout=30) as answer:
                listed = [entry["id"] for entry in json.load(answer)["data"]]
            (model,) = {name for name in listed if name.removeprefix("nvidia/") == LLM}
            assert any(name.endswith(EMBEDDER) for name in listed)
            body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
            request = urllib.request.Request(
                f"{at}/chat/completions",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer)["choices"][0]["message"]["content"]
        assert (tmp_path / "new" / "llama-stack-data").is_dir()
