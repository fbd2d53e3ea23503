"""The SBOM lists what the image has: the pinned packages, and nothing of development."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from scripts import sbom, venvs
from scripts.stack_server import ROOT

STACK = "ogx-1.5.0"
# The first test makes two environments.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    """The components by name."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.sbom"],
        cwd=ROOT,
        env={**os.environ, "STACK": STACK},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    target = sbom.FOLDER / f"{STACK}.cdx.json"
    assert done.stdout.strip() == str(target)
    assert str(ROOT) not in target.read_text()
    found: dict[str, Any] = json.loads(target.read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found["metadata"]["component"]["name"] == "llama-stack-provider-nvidia"
    return {component["name"]: component for component in found["components"]}


def test_each_package_is_at_its_pin(listed: dict[str, Any]) -> None:
    lines = venvs.constraints_path(STACK).read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    versions = {
        name.lower().replace("_", "-").replace(".", "-"): one["version"]
        for name, one in listed.items()
    }
    assert {"ogx", "httpx", "openai", "pydantic", "msgspec"} <= set(versions)
    assert {name: version for name, version in versions.items() if pins.get(name) != version} == {}


def test_tools_of_development_are_not_in_it(listed: dict[str, Any]) -> None:
    assert not {"pytest", "mypy", "ruff", "hypothesis", "nim-emulator"} & set(listed)


def test_packages_can_be_looked_up(listed: dict[str, Any]) -> None:
    assert all(one["purl"].startswith("pkg:pypi/") for one in listed.values())
    assert sum(bool(one.get("licenses")) for one in listed.values()) > len(listed) * 0.9
