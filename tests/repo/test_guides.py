"""Every snippet of the guides runs, or names what exists."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer

GUIDES = {
    path.stem: path
    for path in [
        ROOT / "CONTRIBUTING.md",
        *(
            ROOT / "docs" / f"{name}.md"
            for name in (
                "quickstart",
                "tools",
                "structured-output",
                "vision",
                "reasoning",
                "keys",
                "migration",
                "deployment",
                "command-line",
                "observability",
            )
        ),
    ]
}
# A block of any other language would be checked by nobody.
LANGUAGES = {"bash", "python", "text", "yaml"}
LLAMA = "meta/llama-3.1-8b-instruct"
SEEING = "meta/llama-3.2-11b-vision-instruct"
THINKING = "nvidia/llama-3.1-nemotron-nano-8b-v1"
# Settings that the page on reasoning has set when it asks.
THINKS = {"thinking": "on", "reasoning": "inline"}
# What only Llama Stack 0.2.x has: its native API, its agents, and the health of providers.
OLDER = ("client.inference.", "turn.steps", ".health[")
# Fields that servers of 0.2.x drop, as the pages say.
NEWER = ('extra_body={"guided_',)
# What the project neither has nor installs.
FOREIGN = {
    "helm",
    "mkdir",
    "llama",
    "ogx",
    "opentelemetry-instrument",
    "kubectl",
    "podman",
    "git",
    "twine",
}


class Block(NamedTuple):
    """A fenced block: its language, its text, and the first line of the text."""

    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    text = path.read_text()
    fences = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(f[1], f[2], text.count("\n", 0, f.start()) + 2) for f in fences]


def of(language: str) -> list[Any]:
    return [
        pytest.param(block.text, id=f"{name}:{block.line}")
        for name, path in GUIDES.items()
        for block in blocks(path)
        if block.language == language
    ]


@pytest.mark.parametrize("path", GUIDES.values(), ids=lambda path: path.stem)
def test_every_block_says_what_it_is(path: Path) -> None:
    assert {block.language for block in blocks(path)} <= LANGUAGES
    assert path.read_text().count("```") == 2 * len(blocks(path))


@pytest.fixture(scope="session")
def guide_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., StackServer]]:
    """Servers with agents, in front of an emulated NIM with a model of each kind."""
    with (
        ExitStack() as running,
        EmulatorServer(models=[LLAMA, SEEING, THINKING]) as nim,
    ):

        @cache
        def started(*, thinks: bool) -> StackServer:
            path = tmp_path_factory.mktemp("guides") / "run.yaml"
            path.write_text(yaml.safe_dump(guide_config(nim.url, thinks=thinks)))
            env = {"SQLITE_STORE_DIR": str(path.parent)}
            return running.enter_context(StackServer(path, env=env))

        yield started


def guide_config(url: str, *, thinks: bool) -> dict[str, Any]:
    """The configuration of the guides; `thinks` where it is the page on reasoning."""
    file = ROOT / "examples" / ("agents-0.2.yaml" if stack.NATIVE else "agents.yaml")
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    config["providers"]["inference"][0]["config"] = {"url": url, **(THINKS if thinks else {})}
    if stack.NATIVE:
        config["models"] = [
            {
                "model_id": f"nvidia/{model}",  # the name that later releases give it
                "provider_id": "nvidia",
                "provider_model_id": model,
                "model_type": "llm",
            }
            for model in (LLAMA, SEEING, THINKING)
        ]
    return config


def programs() -> list[Any]:
    """The pages with Python in them, each as its blocks in their order."""
    found = []
    for name, path in GUIDES.items():
        of_page = [block for block in blocks(path) if block.language in ("python", "text")]
        if any(block.language == "python" for block in of_page):
            found.append(pytest.param(path, of_page, id=name))
    return found


@pytest.mark.server
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(("path", "of_page"), programs())
def test_the_python_of_a_page_runs_from_top_to_bottom(
    path: Path,
    of_page: list[Block],
    guide_server: Callable[..., StackServer],
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope: dict[str, Any] = {}
    url = guide_server(thinks=path.stem == "reasoning").url
    said: str | None = ""
    for block in of_page:
        if block.language == "text":
            assert said in (None, block.text), f"{path.name}:{block.line}"
            continue
        if any(sign in block.text for sign in (NEWER if stack.NATIVE else OLDER)):
            said = None
            continue
        # 0.2.x has OpenAI's API a level deeper, as the pages say.
        deeper = "8321/v1/openai/v1" if stack.NATIVE else "8321/v1"
        program = block.text.replace("8321/v1", deeper)
        program = program.replace("http://localhost:8321", url)
        # The line numbers of a traceback are those of the page.
        exec(compile("\n" * (block.line - 1) + program, str(path), "exec"), scope)
        said = capsys.readouterr().out
    for value in scope.values():
        if hasattr(value, "base_url") and not isinstance(value, type):
            value.close()


def substituted(value: Any) -> Any:
    """A text with each `${env.NAME:=default}` replaced by its default, or by some value."""
    if isinstance(value, dict):
        return {key: substituted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{env\.\w+(?::=([^}]*))?\}", lambda found: found[1] or "x", value)
    return value


@pytest.mark.parametrize("text", of("yaml"))
def test_the_yaml_is_taken(text: str) -> None:
    parsed = yaml.safe_load(text)
    folder = ROOT / "deploy" / "kubernetes" / "overlays" / "monitoring"
    parts = [*parsed.get("resources", ()), *parsed.get("components", ())]
    assert [part for part in parts if not (folder / part).is_dir()] == []
    known = {"config", "providers", "external_providers_dir", "storage", "server", "spec", "rules"}
    known |= {"components"}
    assert known & parsed.keys(), "nothing here that anybody checks"
    entries = [parsed] if "config" in parsed else parsed.get("providers", {}).get("inference", [])
    for entry in entries:
        assert NVIDIAConfig.model_validate(substituted(entry["config"]))
        assert entry.get("module", "llama_stack_provider_nvidia") == "llama_stack_provider_nvidia"


@cache
def options_of(command: str) -> str:
    tool = [str(Path(sys.executable).with_name("llama-stack-nvidia")), command, "--help"]
    run = subprocess.run(tool, capture_output=True, text=True, check=True, env={"COLUMNS": "400"})
    return run.stdout


@pytest.mark.parametrize("text", of("bash"))
def test_the_commands_exist(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if not words:
            continue
        program, *rest = words
        if program == "make":
            targets = [word for word in rest if "=" not in word]
            assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets), line
        elif program == "llama-stack-nvidia":
            wanted = [word for word in rest[1:] if word.startswith("--")]
            shown = options_of(rest[0])
            assert all(option in shown for option in wanted), line
        elif program == "pip":
            for extras in re.findall(r"llama-stack-provider-nvidia\[([\w,-]+)\]", line):
                for extra in extras.split(","):
                    assert re.search(rf"^{extra} = \[", project, re.M), line
        elif program in ("python", "python3"):
            assert rest[0] == "-m", line
            module = ROOT / rest[1].replace(".", "/")
            assert rest[1] == "build" or module.with_suffix(".py").exists(), line
        else:
            assert program in FOREIGN, line
        for path in re.findall(r"(?<![\w/.])(?:deploy|scripts|constraints|docs)/[\w./-]+", line):
            assert (ROOT / path).exists(), line
