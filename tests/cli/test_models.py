"""``llama-stack-nvidia models`` in front of NIMs of several kinds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from .conftest import EMBEDDER, LLM, RERANKER, Run, Terminal

UNKNOWN = "my/own-embed"


def rows(output: str) -> dict[str, list[str]]:
    head, *lines = output.splitlines()
    assert head.split()[:4] == ["model", "kind", "family", "context"]
    return {line.split()[0]: [cell.strip() for cell in line.split("  ") if cell] for line in lines}


def test_the_models_of_a_nim(nim: EmulatorServer, run: Run) -> None:
    result = run("models", nim.url)
    assert result.exit_code == 0, result.output
    found = {
        name: [cell.strip() for cell in row if cell] for name, row in rows(result.output).items()
    }
    assert list(found) == [LLM, EMBEDDER, RERANKER]
    names = "Llama3.1-8B-Instruct, meta-llama/Llama-3.1-8B-Instruct"
    assert found[LLM] == [LLM, "llm", "Llama 3.1 and 3.3", "8192", "nim2-vllm", "yes", names]
    assert found[EMBEDDER] == [
        EMBEDDER,
        "embedding",
        "embedding models",
        "512",
        "1024",
        "nim2-vllm",
        "yes",
    ]
    assert not any(request.method == "POST" for request in nim.requests)


def test_adapters_name_their_base(run: Run) -> None:
    with EmulatorServer(adapters={"team/support": LLM}) as nim:
        result = run("models", nim.url)
    assert f"adapter of {LLM}" in result.output


def test_the_hosted_catalogue_lists_what_cannot_be_called(run: Run) -> None:
    models = [LLM, "bigcode/starcoder2-7b", "nvidia/llama-nemotron-embed-1b-v2"]
    key = {"NVIDIA_API_KEY": "nvapi-test"}
    with EmulatorServer("hosted", models=models) as nim:
        told = json.loads(run("models", nim.url, "--json", **key).stdout)
        assert {model["callable"] for model in told} == {None}
        tried = json.loads(run("models", nim.url, "--json", "--try", **key).stdout)
    found = {model["id"]: (model["callable"], model["reason"]) for model in tried}
    assert all(found[model] == (True, None) for model in models)
    for model, said in (
        ("meta/llama-listed-not-callable", "Not found for account"),
        ("meta/llama-end-of-life", "end of life"),
        ("meta/llama-no-credits", "credits"),
    ):
        callable_, reason = found[model]
        assert callable_ is False
        assert said in reason
    # What is overloaded just now may answer the next time.
    assert found["meta/llama-overloaded"][0] is None


def test_lines_for_run_yaml(run: Run) -> None:
    with EmulatorServer(models=[LLM, EMBEDDER, UNKNOWN, RERANKER]) as nim:
        result = run("models", nim.url, "--yaml", "--provider-id", "mine")
        measured = [request.body["model"] for request in nim.requests if request.method == "POST"]
    assert result.exit_code == 0
    written = yaml.safe_load(result.stdout)
    assert written["models"] == written["registered_resources"]["models"]
    assert written["models"] == [
        {
            "model_id": model,
            "provider_id": "mine",
            "provider_model_id": model,
            "model_type": kind,
            "metadata": metadata,
        }
        for model, kind, metadata in (
            (LLM, "llm", {"context_length": 8192}),
            (EMBEDDER, "embedding", {"embedding_dimension": 1024, "context_length": 512}),
            (UNKNOWN, "embedding", {"embedding_dimension": 1024, "context_length": 8192}),
        )
    ]
    # Nobody knows the length of its vectors, so one was asked for; that of the other is known.
    assert measured == [UNKNOWN]
    lines = [line[2:] for line in result.stdout.splitlines() if line.startswith("# ")]
    (ranking,) = yaml.safe_load("\n".join(lines[lines.index(f"- model_id: {RERANKER}") :]))
    assert ranking["model_type"] == "rerank"


def test_what_the_configuration_knows_of_models_counts(run: Run, tmp_path: Path) -> None:
    overrides = {EMBEDDER: {"embedding_dimension": 7}, UNKNOWN: {"embedding_dimension": 9}}
    with EmulatorServer(models=[EMBEDDER, UNKNOWN]) as nim:
        config = {"url": nim.url, "model_overrides": overrides}
        entry = {"provider_id": "nims", "provider_type": "remote::nvidia", "config": config}
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump({"providers": {"inference": [entry]}}))
        lines = yaml.safe_load(run("models", str(path), "--yaml").stdout)["models"]
        listed = json.loads(run("models", str(path), "--json").stdout)
        assert not any(request.method == "POST" for request in nim.requests)
    assert [one["metadata"]["embedding_dimension"] for one in lines] == [7, 9]
    assert [one["embedding_dimension"] for one in listed] == [7, 9]


def test_lines_that_a_server_would_not_start_with_are_left_out(run: Run, tmp_path: Path) -> None:
    with (
        EmulatorServer(models=[LLM, UNKNOWN], context=8192) as first,
        EmulatorServer(models=[LLM], context=4096) as second,
    ):
        first.script([{"path": "/v1/embeddings", "status": 400, "body": {"message": "not you"}}])
        config = {"endpoints": [{"url": first.url}, {"url": second.url}]}
        entry = {"provider_id": "nims", "provider_type": "remote::nvidia", "config": config}
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump({"providers": {"inference": [entry]}}))
        result = run("models", str(path), "--yaml")
    entries = yaml.safe_load(result.stdout)["models"]
    assert [(one["model_id"], one["metadata"]) for one in entries] == [
        (LLM, {"context_length": 8192})
    ]
    assert f"{UNKNOWN} is left out: NIM answered 400" in result.stderr


def test_what_a_nim_says_is_no_markup_on_a_terminal(terminal: Callable[..., Terminal]) -> None:
    said = "[/v1/x] is not there [type=missing, input_value={}]"
    with EmulatorServer(models=[LLM]) as nim:
        nim.script([{"path": "/v1/chat/completions", "status": 400, "body": {"message": said}}])
        with terminal("models", nim.url, "--try") as shown:
            status, text = shown.ended()
    assert status == 0
    assert "[/v1/x]" in text


def test_lines_for_a_nim_with_rerank_models_alone(run: Run) -> None:
    with EmulatorServer(models=[RERANKER]) as nim:
        written = yaml.safe_load(run("models", nim.url, "--yaml").stdout)
    assert written == {"models": [], "registered_resources": {"models": []}}


def test_several_nims_of_a_run_yaml(nim: EmulatorServer, run: Run, tmp_path: Path) -> None:
    first = {"name": "a", "url": nim.url}
    second = {"name": "b", "url": nim.url, "models": [EMBEDDER]}
    config = {"endpoints": [first, second]}
    entry = {"provider_id": "nims", "provider_type": "remote::nvidia", "config": config}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"providers": {"inference": [entry]}}))
    listed = json.loads(run("models", str(path), "--json").stdout)
    assert [(one["endpoint"], one["id"]) for one in listed] == [
        ("a", LLM),
        ("a", EMBEDDER),
        ("a", RERANKER),
        ("b", EMBEDDER),
    ]
    assert {one["provider"] for one in listed} == {"nims"}
    assert run("models", str(path)).output.splitlines()[0].split()[-1] == "endpoint"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["http://127.0.0.1:{port}"], 1, "No connection to the NIM"),
        (["http://nim:8000", "--yaml", "--json"], 2, "choose one of them"),
        (["nim.yaml"], 2, "there is no such file, and an address looks like http://HOST:PORT"),
        (["nim.invalid:8000"], 1, "could not be resolved (DNS)"),
        (["ftp://nim:8000"], 2, "must start with http:// or https://"),
    ],
)
def test_what_cannot_be_listed(arguments: list[str], status: int, said: str, run: Run) -> None:
    result = run("models", *(one.format(port=free_port()) for one in arguments))
    assert result.exit_code == status
    assert said in result.output
