"""The provider in this process, in front of an emulated NIM on a real socket."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from nim_emulator import EmulatorServer

MODEL = "meta/llama-3.1-8b-instruct"

# Where the stack is imported after the provider, as here, it sets the level of each of the
# provider's loggers; in a server it comes first.
assert stack.UserMessage
for name in list(logging.root.manager.loggerDict):
    if name.startswith("llama_stack_provider_nvidia"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer() as nim:
        yield nim


@pytest.fixture
def nim(shared_nim: EmulatorServer) -> EmulatorServer:
    shared_nim.clear()
    return shared_nim


@pytest.fixture
async def adapter(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    made = await get_adapter_impl(NVIDIAConfig(url=nim.url, max_retries=0), {})
    yield made
    await made.shutdown()
