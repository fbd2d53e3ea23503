"""Which providers of a run.yaml are looked at, and what is said of those that cannot be used."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from llama_stack_provider_nvidia.run_yaml.env_substitution import Syntax
from llama_stack_provider_nvidia.run_yaml.provider_entries import (
    ProviderEntry,
    RunYamlError,
    read_provider_entries,
)
from llama_stack_provider_nvidia.run_yaml.providers_dir import providers_dir_path

OURS = {"provider_id": "nim", "provider_type": "remote::nvidia"}
MODULE = {"module": "llama_stack_provider_nvidia"}


def read(
    path: Path, *providers: Any, environ: dict[str, str] | None = None, **document: Any
) -> list[ProviderEntry]:
    path.write_text(yaml.safe_dump({"providers": {"inference": list(providers)}, **document}))
    return read_provider_entries(path, syntax=Syntax.SHELL, environ=environ or {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.yaml"


@pytest.mark.parametrize(
    ("entry", "document", "ours"),
    [
        (MODULE, {}, True),
        ({"module": "llama_stack_provider_nvidia==0.1.0"}, {}, True),
        ({"module": "another"}, {}, False),
        ({}, {}, False),
        ({}, {"external_providers_dir": str(providers_dir_path())}, True),
        ({}, {"external_providers_dir": "${env.DIR}"}, True),
        ({}, {"external_providers_dir": "${env.NO_DIR}"}, False),
        ({}, {"external_providers_dir": "/nowhere"}, False),
    ],
)
def test_whose_provider_it_is(
    entry: dict[str, str], document: dict[str, str], ours: bool, path: Path
) -> None:
    environ = {"DIR": str(providers_dir_path())}
    (found,) = read(path, {**OURS, **entry}, environ=environ, **document)
    assert found.is_ours is ours


@pytest.mark.parametrize("provider_id", ["__disabled__", "", None, "${env.GONE:+nim}"])
def test_disabled_providers_do_not_count(provider_id: str | None, path: Path) -> None:
    other = {"provider_id": "vllm", "provider_type": "remote::vllm"}
    found = read(path, {**OURS, "provider_id": provider_id}, other, {**OURS, "config": {}})
    assert [entry.provider_id for entry in found] == ["nim"]


def test_settings_are_those_that_the_server_would_read(path: Path) -> None:
    config = {
        "url": "${env.NIM_URL:=http://localhost:8000}",
        "api_key": "${env.GONE:=}",
        "max_retries": "${env.RETRIES:=5}",
    }
    (found,) = read(path, {**OURS, "config": config}, environ={"NIM_URL": "http://nim:9000"})
    assert found.config
    assert (found.config.url, found.config.max_retries) == ("http://nim:9000", 5)


@pytest.mark.parametrize(
    ("config", "problem", "remedy"),
    [
        ({"url": "${env.GONE}"}, "config.url: the variable GONE is not set", "export GONE=..."),
        ({"url": "${env.GONE:http://nim}"}, "must start with http", "${env.NAME:=default}"),
        ({"url": "nim:8000"}, "config.url: must start with http", "docs/configuration.md"),
        ({"url": "http://nim", "tiemout": 5}, "config.tiemout", "docs/configuration.md"),
        ([], "config.*", "docs/configuration.md"),
    ],
)
def test_settings_that_cannot_be_used(config: Any, problem: str, remedy: str, path: Path) -> None:
    (found,) = read(path, {**OURS, "config": config or [1]})
    assert found.config is None
    assert found.problem
    assert problem in found.problem[0]
    assert remedy in found.problem[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "it is not a mapping"),
        ("a: [\n", "is not valid YAML"),
        ("providers: []\n", "no enabled inference provider"),
        ("providers: {inference: {}}\n", "no enabled inference provider"),
        ("providers: {inference: [text]}\n", "no enabled inference provider"),
        ("", "it is not a mapping"),
    ],
)
def test_files_that_are_no_run_yaml(text: str, said: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(RunYamlError, match=said):
        read_provider_entries(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunYamlError, match="is not a text file"):
        read_provider_entries(path)
