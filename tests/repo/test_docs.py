"""The documents say what is so."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from llama_stack_client import LlamaStackClient

from llama_stack_provider_nvidia.config import NVIDIAConfig
from llama_stack_provider_nvidia.emulator import EmulatorServer
from llama_stack_provider_nvidia.nim.dialect import Dialect
from scripts import config_reference, nim_reference
from scripts.stack_server import ROOT, StackServer

PACKAGE = ROOT / "llama_stack_provider_nvidia"
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]


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
    assert len(NVIDIAConfig(**several["config"]).addresses()) == 3
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


def test_the_readme_s_figures_are_those_of_the_benchmark() -> None:
    one, many = re.search(
        r"(\d+) times the\s+built-in's tokens a second for one stream, (\d+) times for 200", README
    ).groups()
    rows = (ROOT / "docs" / "performance.md").read_text().splitlines()
    for start, claimed in (
        ("| one stream through the server at 2000 chunks/s, tokens/s", one),
        ("| 200 streams through the server, tokens/s", many),
    ):
        (row,) = (row for row in rows if row.startswith(start))
        assert float(row.split("|")[4]) >= int(claimed), row


def test_the_tool_s_commands_of_the_readme_run() -> None:
    used = [line.split()[1] for line in commands() if line.startswith("llama-stack-nvidia")]
    used += re.findall(r"`llama-stack-nvidia ([\w-]+)`", README)
    assert {"emulate", "providers-dir"} <= set(used)
    for command in set(used):
        tool = [Path(sys.executable).with_name("llama-stack-nvidia"), command, "--help"]
        assert subprocess.run(tool, capture_output=True, check=True).stdout


@pytest.fixture
def server() -> Iterator[StackServer]:
    with (
        EmulatorServer() as nim,
        StackServer(ROOT / "run.yaml", env={"NVIDIA_BASE_URL": nim.url}) as made,
    ):
        yield made


@pytest.mark.server
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_the_python_lines_of_the_readme_run(
    server: StackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = blocks("python")
    program = program.replace("http://localhost:8321", server.url)
    scope: dict[str, object] = {}
    exec(compile(program, "README.md", "exec"), scope)
    assert '"moons"' in capsys.readouterr().out
    client = scope["client"]
    assert isinstance(client, LlamaStackClient)
    client.close()


def imports(path: Path) -> set[str]:
    """Absolute names of the modules a file imports."""
    found = set()
    here = ["llama_stack_provider_nvidia", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def foreign(folder: str, allowed: tuple[str, ...]) -> dict[str, set[str]]:
    """Imports of this package from a folder that lead outside it and are not allowed."""
    own = PACKAGE.name
    wrong = {}
    for path in sorted((PACKAGE / folder).glob("**/*.py")):
        names = {
            name.removeprefix(f"{own}.")
            for name in imports(path)
            if name.startswith(f"{own}.") and not name.startswith(f"{own}.{folder}")
        }
        if bad := {name for name in names if not name.startswith(allowed)}:
            wrong[path.name] = bad
    return wrong


def test_imports_go_one_way() -> None:
    assert foreign("nim", ("__version__",)) == {}
    assert foreign("convert", ("stack", "nim")) == {}
    assert foreign("emulator", ("__version__",)) == {}


def test_one_module_imports_the_stack() -> None:
    for path in PACKAGE.glob("**/*.py"):
        if path.name != "stack.py":
            assert not any(name.split(".")[0] == "llama_stack" for name in imports(path)), path


def test_modules_stay_small() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in PACKAGE.glob("**/*.py")}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
