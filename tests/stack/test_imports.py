"""The modules that the provider and a request to it import."""

import subprocess
import sys

import pytest

from llama_stack_provider_nvidia.nim.model_facts.model_ids import llama_aliases, may_be_alias
from llama_stack_provider_nvidia.stack import imports
from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT

OTHER = "mistralai/mistral-7b-instruct"
CHAT = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.config import NVIDIAConfig
from tests.stack.calls import Params

async def main(model, *urls):
    config = NVIDIAConfig(endpoints=[{"url": url} for url in urls])
    adapter = await get_adapter_impl(config, {})
    params = Params(model=model, messages=[{"role": "user", "content": "hello"}])
    assert (await adapter.openai_chat_completion(params)).choices
    await adapter.shutdown()

asyncio.run(main(*sys.argv[1:]))
print("imported" if "llama_models" in sys.modules else "not imported")
"""


def imported(model: str, *nims: EmulatorServer) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CHAT, model, *(nim.url for nim in nims)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("model", "expected"), [(OTHER, "not imported"), ("Llama3.1-8B-Instruct", "imported")]
)
def test_llama_models_is_imported_for_the_name_of_a_llama_model(model: str, expected: str) -> None:
    """It takes half a second of CPU time."""
    llama = "meta/llama-3.1-8b-instruct"
    with EmulatorServer(models=[llama]) as first, EmulatorServer(models=[OTHER]) as second:
        assert imported(model, first, second) == expected


def test_every_alias_may_be_one() -> None:
    assert [name for name in llama_aliases() if not may_be_alias(name)] == []


def test_a_name_that_no_release_has_is_no_name_of_the_stack() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = imports.no_such_name


def test_a_broken_installation_is_not_taken_for_a_missing_module() -> None:
    assert imports.find_module("llama_stack_provider_nvidia.no_such_module") is None
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        imports.find_module("tests.stack.broken")
