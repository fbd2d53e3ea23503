"""Fixtures of all tests: a quiet import of the stack, an environment without keys or proxies."""

import importlib
import importlib.util
import os
import signal
import warnings

import hypothesis
import pytest

# A loaded machine is slow now and then: time limits are pytest's, one for each test.
hypothesis.settings.register_profile(
    "project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("project")

# A shell's background job ignores Ctrl-C, and so would each program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A run that is told to end, as at a time limit, ends its servers first.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# Some releases of the stack warn while they are imported, which is not for our tests to judge.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for _client in ("llama_stack_client", "ogx_client"):
        if importlib.util.find_spec(_client):
            importlib.import_module(_client)

    import llama_stack_provider_nvidia.adapter  # noqa: F401
    from llama_stack_provider_nvidia import stack
    from llama_stack_provider_nvidia.stack import imports

# Written in types of the native API, which Llama Stack has up to 0.2.24. Elsewhere, tests of it
# bear the mark `native`, or a parameter whose id begins with that word.
NATIVE = ("convert", "server")
# `make load-test` names it.
collect_ignore = ["load", *(() if stack.NATIVE else NATIVE)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of the native API on a release that has none."""
    if stack.NATIVE:
        return
    native = [item for item in items if _is_native(item)]
    config.hook.pytest_deselected(items=native)
    items[:] = [item for item in items if item not in native]


def _is_native(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    ids = parameters.id.split("-") if parameters else []
    return bool(item.get_closest_marker("native")) or any(one.startswith("native") for one in ids)


def pytest_report_header() -> str | None:
    """Say which tests are not for the installed release."""
    if stack.NATIVE:
        return None
    return (
        f"{imports.installed_release()} has no native API: tests marked native are deselected, and "
        f"{', '.join(f'tests/{name}' for name in NATIVE)} are left out. `make matrix` runs them."
    )


_FOREIGN = ("NVIDIA_", "OPENAI_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> None:
    """Take away what would send a test's requests, or somebody's key, elsewhere."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.upper() in _PROXIES:
            del os.environ[name]
