"""What every test needs: a quiet import of the stack, an environment without keys or proxies."""

import importlib
import importlib.util
import os
import warnings

import hypothesis
import pytest

# A loaded machine is slow now and then: time limits are pytest's, one for each test.
hypothesis.settings.register_profile(
    "project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("project")

# Some releases of the stack warn while they are imported, which is not for our tests to judge.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for _client in ("llama_stack_client", "ogx_client"):
        if importlib.util.find_spec(_client):
            importlib.import_module(_client)

    import llama_stack_provider_nvidia.adapter  # noqa: F401
    from llama_stack_provider_nvidia import stack

# These use the native API's types or client, which releases from 0.3 on do not have.
_NATIVE = ("adapter", "convert", "engine", "nim", "repo", "server")
# `make load-test` names it.
collect_ignore = ["load", *(() if stack.NATIVE else _NATIVE)]

_FOREIGN = ("NVIDIA_", "OPENAI_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> None:
    """Take away what would send a test's requests, or somebody's key, elsewhere."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.upper() in _PROXIES:
            del os.environ[name]
