"""``llama-stack-nvidia init``: what it writes, and what it asks before. See also tests/matrix."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from llama_stack_provider_nvidia.doctor.model_listing import served_model
from llama_stack_provider_nvidia.nim.model_facts.model_ids import ModelEntry, kind_of
from llama_stack_provider_nvidia.nim.model_facts.overrides import ModelFacts
from llama_stack_provider_nvidia.run_yaml.env_substitution import Syntax
from llama_stack_provider_nvidia.run_yaml.provider_entries import read_provider_entries
from llama_stack_provider_nvidia.run_yaml.release_format import RunYamlFormat
from llama_stack_provider_nvidia.run_yaml.writer import RunYamlOptions, render_run_yaml
from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import ROOT

from .conftest import EMBEDDER, LLM, RERANKER, Run, Terminal

OLD = RunYamlFormat(storage=False, module=False, insecure=False, syntax=Syntax.COLON)
NEW = RunYamlFormat(stores=False, folder=False, rerank=True, syntax=Syntax.SHELL)


@pytest.mark.parametrize("layout", [OLD, NEW, RunYamlFormat()], ids=["0.2.12", "later", "any"])
def test_what_is_written(layout: RunYamlFormat, tmp_path: Path) -> None:
    models = [
        served_model(ModelEntry(one, kind_of(one)), ModelFacts())
        for one in (LLM, EMBEDDER, RERANKER)
    ]
    path = tmp_path / "run.yaml"
    path.write_text(
        render_run_yaml(RunYamlOptions("http://nim:8000", layout, models, tmp_path, "nims", 9000))
    )
    written = yaml.safe_load(path.read_text())
    assert ("metadata_store" in written) is layout.stores
    assert ("storage" in written) is layout.storage
    assert ("external_providers_dir" in written) is layout.folder
    assert written["server"] == {
        "host": "127.0.0.1",
        "port": 9000,
        **({"insecure": True} if layout.insecure else {}),
    }
    old, new = written.get("models"), written.get("registered_resources", {}).get("models")
    registered = old or new
    assert (old is None) is not layout.stores
    assert (new is None) is not layout.storage
    wanted = [LLM, EMBEDDER, *([RERANKER] if layout.rerank else [])]
    assert [model["provider_model_id"] for model in registered] == wanted
    assert RERANKER in path.read_text()
    # What is written is what doctor reads.
    (entry,) = read_provider_entries(
        path, syntax=layout.syntax, environ={"NVIDIA_API_KEY": "nvapi-x"}
    )
    assert (entry.provider_id, entry.problem, entry.is_ours) == ("nims", None, True)
    assert entry.config
    assert entry.config.url == "http://nim:8000"
    if layout.syntax:
        assert entry.config.key == "nvapi-x"


def test_the_file_for_all_releases_has_the_keys_of_the_project_s_own() -> None:
    own = yaml.safe_load((ROOT / "run.yaml").read_text())
    plan = RunYamlOptions("http://nim:8000", RunYamlFormat(), [], Path("/store"))
    written = yaml.safe_load(render_run_yaml(plan))
    assert written.keys() == own.keys()
    assert written["storage"].keys() == own["storage"].keys()
    assert written["storage"]["stores"] == own["storage"]["stores"]
    assert written["server"] == own["server"]


def test_a_file_is_never_overwritten_unasked(nim: EmulatorServer, run: Run) -> None:
    path = Path("run.yaml")
    path.write_text("mine")
    result = run("init", nim.url, "--yes")
    assert result.exit_code == 2
    assert "--force overwrites it" in result.output
    assert path.read_text() == "mine"
    assert run("init", nim.url, "--yes", "--force").exit_code == 0
    assert yaml.safe_load(path.read_text())["version"] == "2"


def test_models_can_be_named(nim: EmulatorServer, run: Run) -> None:
    result = run("init", nim.url, "-o", "-", "--any-release", "--model", "Llama3.1-8B-Instruct")
    written = yaml.safe_load(result.stdout)
    assert [model["model_id"] for model in written["models"]] == [LLM]
    result = run("init", nim.url, "-o", "-", "--model", "no/such")
    assert result.exit_code == 1
    assert "does not list no/such" in result.output


def test_of_many_models_one_is_registered(run: Run) -> None:
    with EmulatorServer("hosted") as nim:
        result = run("init", nim.url, "-o", "-", "--any-release", NVIDIA_API_KEY="nvapi-x")
    assert [model["model_id"] for model in yaml.safe_load(result.stdout)["models"]] == [LLM]
    assert f"models {LLM} is registered; --model names others" in result.stderr
    assert "nvapi-x" not in result.output


def test_a_model_whose_vectors_cannot_be_measured_is_left_out(run: Run) -> None:
    with EmulatorServer(models=[LLM, "my/own-embed"]) as nim:
        nim.faults([{"fault": "status", "path": "/v1/embeddings", "times": None}])
        result = run("init", nim.url, "-o", "-", "--any-release")
    assert [model["model_id"] for model in yaml.safe_load(result.stdout)["models"]] == [LLM]
    assert "my/own-embed is left out: NIM answered 503" in result.stderr


def test_without_a_nim_nothing_is_written(run: Run) -> None:
    result = run("init", f"http://127.0.0.1:{free_port()}", "--yes")
    assert result.exit_code == 1
    assert "llama-stack-nvidia doctor http://127.0.0.1" in result.output
    assert not Path("run.yaml").exists()


def test_questions(nim: EmulatorServer, terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("mine")
    with terminal("init", "--any-release") as shown:
        shown.wait_for(r"run.yaml exists. Overwrite it\? \[y/N\]: ")
        shown.press("y\n")
        shown.wait_for(r"Address of the NIM \[http.*\]: ")
        shown.press(f"{nim.url}\n")
        asked = shown.wait_for(r"Models to register .*: ")
        assert f"2 {EMBEDDER}" in asked
        shown.press("9\n")
        shown.wait_for(r"9 is not in the list")
        shown.wait_for(r"Models to register .*: ")
        shown.press("1, 2\n")
        shown.wait_for(r"Wrote run.yaml for every release")
        status, _ = shown.ended()
    assert status == 0
    written = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert [model["model_id"] for model in written["models"]] == [LLM, EMBEDDER]
    assert written["providers"]["inference"][0]["config"]["url"] == nim.url


def test_a_refusal_leaves_the_file(
    nim: EmulatorServer, terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("mine")
    with terminal("init", nim.url) as shown:
        shown.wait_for(r"Overwrite it\?")
        shown.press("\n")
        status, text = shown.ended()
    assert status == 1
    assert "Nothing was written." in text
    assert (tmp_path / "run.yaml").read_text() == "mine"


def test_the_port_is_part_of_the_command_that_is_printed(nim: EmulatorServer, run: Run) -> None:
    result = run("init", nim.url, "--yes", "--any-release", "--port", "9000")
    assert "llama stack run run.yaml --port 9000\n" in result.stdout
    assert yaml.safe_load(Path("run.yaml").read_text())["server"]["port"] == 9000
