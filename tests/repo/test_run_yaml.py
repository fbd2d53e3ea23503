"""run.yaml: valid, ours, and the same for every release."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "run.yaml", ROOT / "examples" / "agents-0.2.yaml"]


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_this_package_stands_in_for_the_built_in_provider(path: Path) -> None:
    (provider,) = load(path)["providers"]["inference"]
    assert provider["provider_type"] == "remote::nvidia"
    assert provider["module"] == "llama_stack_provider_nvidia"
    folder = ROOT / load(path)["external_providers_dir"]
    assert (folder / "remote" / "inference" / "nvidia.yaml").is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_models_name_the_provider(path: Path) -> None:
    loaded = load(path)
    provider_ids = {entry["provider_id"] for entry in loaded["providers"]["inference"]}
    assert {model["provider_id"] for model in loaded["models"]} == provider_ids


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_variables_have_no_default_because_no_syntax_for_it_suits_all_releases(path: Path) -> None:
    used = set(re.findall(r"\$\{env\.([^}]*)\}", path.read_text()))
    assert used == {"SQLITE_STORE_DIR"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_server_listens_on_this_machine_only(path: Path) -> None:
    assert load(path)["server"]["host"] == "127.0.0.1"


def test_old_and_new_releases_offer_the_same_models() -> None:
    loaded = load(ROOT / "run.yaml")
    assert loaded["registered_resources"]["models"] == loaded["models"]
