"""Real engines as fixtures: `make engine-test`, or `pytest -m engine tests/engine`.

ENGINE names the engine (`scripts/engine/kinds.py`), ENGINE_STACKS the releases of the servers that
it is called through. With ENGINE_URL the tests call that address instead of starting an engine, and
leave out what needs to kill it; ENGINE then says which kind it is held to. `nim` holds it to what
it is found to be; ENGINE_MODEL and ENGINE_API_KEY say what is called: `make nim-test`.

What lies in this folder is deselected unless `-m` names the marker `engine`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from scripts.engine import features, nim
from scripts.engine.kinds import KINDS, Kind
from scripts.engine.running import Engine, models, running

from . import record
from .callers import Caller, OpenAICaller, callers
from .routes import routes

HERE = Path(__file__).parent
START_SECONDS = 1080
GIVEN = os.environ.get("ENGINE_URL", "").rstrip("/").removesuffix("/v1")
API_KEY = os.environ.get("ENGINE_API_KEY", "")


def _tested() -> Kind:
    name = os.environ.get("ENGINE") or "vllm"
    if name != nim.NAME:
        return KINDS[name]
    return nim.find(GIVEN, API_KEY or None, os.environ.get("ENGINE_MODEL"))


TESTED = _tested()
ONLY = {
    "test_vllm": ("vllm",),
    "test_constraints": ("vllm",),
    "test_engine_fixtures": ("vllm", "dynamo", "sglang", "llamacpp"),
    "test_metrics": ("vllm", "dynamo"),
    "test_dynamo": ("dynamo",),
}
"""Modules about one engine's own ways."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of what a test is about."""
    config.addinivalue_line("markers", "feature(name): a row of scripts/engine/features.py")
    config.addinivalue_line("markers", "kills: ends the engine, which must be the suite's own")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that asks for a route run on each."""
    if "route" in metafunc.fixturenames:
        metafunc.parametrize("route", routes())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out this folder's tests unless they were asked for, and what cannot be tried here."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.engine)
        # The first test's time includes the engine's installation and start.
        item.add_marker(pytest.mark.timeout(START_SECONDS))
    left_out = [item for item in ours if not _wanted(config, item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _wanted(config: pytest.Config, item: pytest.Item) -> bool:
    if "engine" not in config.option.markexpr:
        return False
    if TESTED.name not in ONLY.get(item.path.stem, (TESTED.name,)):
        return False
    if GIVEN and item.get_closest_marker("kills"):
        return False
    marker = item.get_closest_marker("feature")
    if marker and isinstance(TESTED, nim.NIM) and TESTED.lacks(marker.args[0], _route(item)):
        return False
    known = _lack(item)
    return known is None or known.shows is not None


def _lack(item: pytest.Item) -> features.Lack | None:
    marker = item.get_closest_marker("feature")
    if marker is None:
        return None
    return features.lack(TESTED.name, _route(item), marker.args[0])


def _route(item: pytest.Item) -> str:
    found: str = (getattr(item, "callspec", None) and item.callspec.params.get("route", "")) or ""
    return found or features.DIRECT


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Turn the failure of what is listed as lacking into an expected one, and keep a record."""
    report: pytest.TestReport = yield
    marker = item.get_closest_marker("feature")
    if marker is None or report.when != "call":
        return report
    known = _lack(item)
    if known is not None and known.shows is not None:
        record.judge(report, call, known)
    if TESTED.name in KINDS:
        record.note(TESTED.name, _route(item), marker.args[0], report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the record, when tests have run."""
    if "engine" in session.config.option.markexpr:
        record.write()


@pytest.fixture(scope="session", autouse=True)
def _api_key(_clean_environment: None) -> None:
    """Give the key to the provider, here and in servers."""
    if API_KEY:
        os.environ["NVIDIA_API_KEY"] = API_KEY


@pytest.fixture(scope="session")
def kind() -> Kind:
    """The engine's kind."""
    return TESTED


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine, started once for all tests and stopped after the last."""
    folder = tmp_path_factory.mktemp("engine")
    if GIVEN:
        given = Engine(GIVEN, (), folder)
        yield given
        given.stop()
        return
    with running(TESTED.engine(folder)) as made:
        yield made


@pytest.fixture(scope="session")
def served(engine: Engine) -> str:
    """The model that is called: the kind's, or the first that the address lists."""
    if isinstance(TESTED, nim.NIM):
        return TESTED.served
    listed = models(engine.url)
    assert listed, f"{engine.url} lists no models"
    return TESTED.served if TESTED.served in listed else listed[0]


@pytest.fixture(scope="session")
def caller_of(
    engine: Engine, served: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Return the caller of a route, whose server is started with the first call."""
    with callers(TESTED, engine, served, tmp_path_factory) as made:
        direct = made(features.DIRECT)
        if API_KEY and isinstance(direct, OpenAICaller):
            direct.client.api_key = API_KEY
        yield made


@pytest.fixture
def caller(route: str, caller_of: Any) -> Caller:
    """The engine as it is called on one of the routes."""
    made: Caller = caller_of(route)
    return made


@pytest.fixture
def client(engine: Engine) -> Iterator[openai.OpenAI]:
    """An OpenAI client of the engine itself."""
    http = httpx.Client(trust_env=False, timeout=120)
    with openai.OpenAI(
        base_url=f"{engine.url}/v1", api_key="none", max_retries=0, http_client=http
    ) as made:
        yield made
