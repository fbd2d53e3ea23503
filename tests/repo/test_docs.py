"""The documents say what is so."""

import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from llama_stack_client import LlamaStackClient
from openai import OpenAI

from benchmarks import headline
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim.dialect import Dialect
from nim_emulator import EmulatorServer
from scripts import config_reference, nim_reference, stack_client, venvs
from scripts.stack_server import ROOT, StackServer

PACKAGE = ROOT / "llama_stack_provider_nvidia"
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PAGES += sorted((ROOT / "nim_emulator").glob("**/*.md"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("bash")).splitlines()
    return [line.partition("#")[0].strip() for line in lines]


@pytest.mark.parametrize("page", [config_reference, nim_reference], ids=["config", "nim"])
def test_generated_pages_are_current(page: ModuleType) -> None:
    assert page.TARGET.read_text() == page.reference(), f"run: python -m {page.__name__}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_make_command_of_the_readme_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split("make ")[1].split()[0] for line in commands() if "make " in line}
    assert {"demo", "serve", "test", "check", "engine-test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_extras_that_the_readme_installs_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for extra in re.findall(r"llama-stack-provider-nvidia\[([\w-]+)\]", README):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_the_run_yaml_lines_of_the_readme_are_valid() -> None:
    entry, directory, several = (yaml.safe_load(text) for text in blocks("yaml"))
    assert len(NVIDIAConfig(**several["config"]).endpoint_configs()) == 3
    (provider,) = entry["providers"]["inference"]
    assert provider["module"] == PACKAGE.name
    assert set(provider["config"]) <= set(NVIDIAConfig.model_fields)
    assert list(directory) == ["external_providers_dir"]


def test_the_configuration_keys_of_the_readme_exist() -> None:
    section = README.split("## Configuration")[1].split("\n## ")[0]
    keys = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert len(keys) >= 5
    assert set(keys) <= set(NVIDIAConfig.model_fields)
    row = next(line for line in section.splitlines() if line.startswith("| `dialect`"))
    assert set(re.findall(r"`([\w-]+)`", row)) == {"dialect", "auto", *Dialect}


def test_the_rooms_of_the_architecture_page_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    paths = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page))
    assert [path for path in paths if not (PACKAGE / path).exists()] == []
    rooms, nim = (part.split("\n\n")[0] for part in page.split("| Room | What is in it |")[1:3])
    for table, folder in ((rooms, PACKAGE), (nim, PACKAGE / "nim")):
        rows = [line.split(" | ", 1) for line in table.splitlines() if line.startswith("| `")]
        assert rows
        for names, contents in rows:
            if "(top level)" in names:
                continue
            found = [folder / name for name in re.findall(r"`([\w./]+)`", names)]
            assert [path for path in found if not path.exists()] == []
            if not names.startswith("| `cli/"):  # its text names the command, not modules
                modules = re.findall(r"`([a-z_]+)`", contents)
                assert [name for name in modules if not (found[0] / f"{name}.py").exists()] == []


def test_the_import_layers_of_the_architecture_page_are_those_of_the_contract() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    shown = page.split("Imports go down only:\n\n```\n")[1].split("\n```")[0]
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"].strip()
    assert shown.replace(", ", " | ") == layers


def test_the_places_of_the_contributing_page_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    table = page.split("## Adding something")[1].split("\n\n")[2]
    named = re.findall(r"`([\w./]+(?:\.py|/|\.yml))`", table)
    assert len(named) >= 8
    places = (PACKAGE, PACKAGE / "nim" / "model_facts", ROOT)
    assert [name for name in named if not any((one / name).exists() for one in places)] == []


def test_the_readme_s_figures_are_those_of_the_benchmark() -> None:
    page = headline.PAGE.read_text()
    assert headline.renewed(README, page) == README, "run: python -m benchmarks.headline"
    assert headline.bullet(page) in README
    assert headline.CHART.read_text() == headline.chart(page), "run: python -m benchmarks.headline"
    assert f"(docs/images/{headline.CHART.name})" in README


def test_each_row_beside_the_builtin_has_a_test() -> None:
    table = README.split("| | built-in | this provider |")[1].split("\n\n")[0]
    path = ROOT / "tests" / "matrix" / "test_beside_builtin.py"
    assert len(table.splitlines()) - 2 == path.read_text().count("    async def test_")


def test_the_tool_s_commands_of_the_readme_run() -> None:
    used = [line.split()[1] for line in commands() if line.startswith("llama-stack-nvidia")]
    used += re.findall(r"`llama-stack-nvidia ([\w-]+)`", README)
    assert {"emulate", "providers-dir"} <= set(used)
    for command in set(used):
        tool = [Path(sys.executable).with_name("llama-stack-nvidia"), command, "--help"]
        assert subprocess.run(tool, capture_output=True, check=True).stdout


def test_the_paths_that_the_readme_installs_exist() -> None:
    installs = [line.split()[2:] for line in commands() if line.startswith("pip install ")]
    paths = [word for words in installs for word in words if word.startswith(".")]
    assert set(paths) == {".", "./nim_emulator"}
    for path in paths:
        assert (ROOT / path / "pyproject.toml").exists(), path


def test_the_releases_that_the_readme_names_are_pinned() -> None:
    named = re.findall(r"STACK=([\w.-]+)", README)
    assert named
    assert set(named) <= set(venvs.pinned())


@pytest.fixture
def server() -> Iterator[StackServer]:
    with (
        EmulatorServer() as nim,
        StackServer(ROOT / "run.yaml", env={"NVIDIA_BASE_URL": nim.url}) as made,
    ):
        yield made


def programs() -> dict[str, str]:
    """The README's Python blocks by the call that each shows."""
    first, openai_sdk, client, native = blocks("python")
    return {"openai, first": first, "openai": openai_sdk, "client": client, "native": native}


@pytest.mark.server
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_the_python_lines_of_the_readme_run(
    server: StackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with stack_client.connected(server.url) as client:
        is_0_2 = stack_client.is_native(client)
    for name, program in programs().items():
        if name == "native" and not is_0_2:
            continue
        if is_0_2:  # as the comments of the first block say
            program = program.replace("8321/v1", "8321/v1/openai/v1")
            program = program.replace('"nvidia/meta/', '"meta/')
        program = program.replace("http://localhost:8321", server.url)
        scope: dict[str, Any] = {}
        exec(compile(program, f"README.md, {name}", "exec"), scope)
        printed = capsys.readouterr().out
        assert '"moons"' in printed if name == "openai" else printed.strip(), name
        made = scope["client"]
        assert isinstance(made, OpenAI if name.startswith("openai") else LlamaStackClient)
        made.close()


def test_modules_stay_small() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in PACKAGE.glob("**/*.py")}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
