"""The newest releases' built-in ``remote::nvidia`` beside this provider, as README.md says it."""

import gc
import importlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.stack import imports
from nim_emulator import EmulatorServer

# The built-in never closes its connections.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RELEASES = ("llama-stack 0.7.3", "ogx 1.5.0")
LLM = "meta/llama-3.1-8b-instruct"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let what the built-in leaves open be found here, where it is no error, and not later."""
    yield
    gc.collect()


class NoStore:
    """A store of models that knows none: the name is the NIM's."""

    async def has_model(self, name: str) -> bool:
        return False


def api() -> Any:
    """The module with the protocol's types."""
    return imports.find_module("ogx_api", "llama_stack_api")


async def builtin(nim: EmulatorServer, **settings: Any) -> Any:
    """The release's own provider, as its server makes it."""
    core = "ogx" if imports.find_module("ogx") else "llama_stack"
    module = importlib.import_module(f"{core}.providers.remote.inference.nvidia")
    config = module.NVIDIAConfig(base_url=f"{nim.url}/v1", api_key="none", **settings)
    made = await module.get_adapter_impl(config, {})
    validator = f"{config.__module__}.NVIDIAProviderDataValidator"
    spec = SimpleNamespace(provider_type="remote::nvidia", provider_data_validator=validator)
    for name, value in (
        ("model_store", NoStore()),
        ("__provider_id__", "nvidia"),
        ("__provider_spec__", spec),
    ):
        object.__setattr__(made, name, value)
    return made


async def ours(nim: EmulatorServer, **settings: Any) -> Any:
    return await get_adapter_impl(NVIDIAConfig(url=nim.url, **settings), {})


async def chat(provider: Any, **fields: Any) -> Any:
    said = [{"role": "user", "content": "count to 3"}]
    request = api().OpenAIChatCompletionRequestWithExtraBody(model=LLM, messages=said, **fields)
    return await provider.openai_chat_completion(request)


def late(seconds: float) -> dict[str, Any]:
    message = {"role": "assistant", "content": "late"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "x", "created": 1, "model": LLM, "object": "chat.completion"}
    return {"path": CHAT, "body": {**head, "choices": [choice]}, "delay_s": seconds}


HALF = {"choices": [{"index": 0, "delta": {"content": "1"}, "finish_reason": None}]}

if imports.installed_release() in RELEASES:

    async def test_the_builtin_s_timeout_has_no_effect(nim: EmulatorServer) -> None:
        provider = await builtin(nim, timeout=1)
        nim.script([late(2)])
        started = time.monotonic()
        assert (await chat(provider)).choices[0].message.content == "late"
        assert time.monotonic() - started >= 2
        own = await ours(nim, timeout=1, max_retries=0)
        nim.script([late(20)])
        with pytest.raises(errors.NIMTimeoutError):
            await chat(own)
        await own.shutdown()

    async def test_a_stream_that_is_cut_off_looks_complete_to_the_builtin(
        nim: EmulatorServer,
    ) -> None:
        nim.script([{"path": CHAT, "sse": [HALF], "close": "clean"}])
        seen = [chunk async for chunk in await chat(await builtin(nim), stream=True)]
        assert [chunk.choices[0].delta.content for chunk in seen] == ["1"]
        own = await ours(nim)
        nim.script([{"path": CHAT, "sse": [HALF], "close": "clean"}])
        with pytest.raises(errors.NIMConnectionError):
            _ = [chunk async for chunk in await chat(own, stream=True)]
        await own.shutdown()

    async def test_the_builtin_cannot_rerank_with_your_own_nim(nim: EmulatorServer) -> None:
        request = api().inference.RerankRequest(
            model=RERANKER, query="moons", items=["the sea", "two moons"]
        )
        with pytest.raises(ConnectionError):
            await (await builtin(nim)).rerank(request)
        own = await ours(nim)
        assert (await own.rerank(request)).data[0].index == 1
        await own.shutdown()

    async def test_the_builtin_has_no_health(nim: EmulatorServer) -> None:
        assert not hasattr(await builtin(nim), "health")
        own = await ours(nim)
        assert (await own.health())["status"] == "OK"
        await own.shutdown()

    async def test_nim_1_refuses_the_builtin_s_json_schema(nim1: EmulatorServer) -> None:
        with pytest.raises(openai.BadRequestError):
            await chat(await builtin(nim1), response_format=FORMAT)
        own = await ours(nim1)
        checked = await chat(own, response_format=FORMAT)
        assert checked.choices[0].message.content.startswith("{")
        await own.shutdown()

    async def test_the_builtin_of_0_7_opens_a_connection_for_each_request(
        nim: EmulatorServer,
    ) -> None:
        opened = 5 if imports.installed_release() == "llama-stack 0.7.3" else 1
        own = await ours(nim)
        for provider in (await builtin(nim), own):
            nim.clear()
            for _ in range(5):
                await chat(provider)
            ports = {one.client_port for one in nim.requests if one.path == CHAT}
            assert len(ports) == (1 if provider is own else opened)
        await own.shutdown()
