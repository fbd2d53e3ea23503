"""Unknown fields are sent, a NIM's refusal is explained, and a user can correct known facts."""

from typing import Any

import pytest

from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer

LLAMA_3B = "meta/llama-3.2-3b-instruct"
OWN = "acme/thinker-7b"
HELLO = [{"role": "user", "content": "Hello."}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
REFUSAL = {"status": 422, "body": {"detail": "Extra inputs are not permitted"}}
KEY = "nvapi-test"


async def made(nim: EmulatorServer, **config: Any) -> NVIDIAInferenceAdapter:
    settings = {"url": nim.url, "max_retries": 0, "api_key": KEY, **config}
    return await get_adapter_impl(NVIDIAConfig.model_validate(settings), {})


def posts(nim: EmulatorServer) -> list[Any]:
    return [request.body for request in nim.requests if request.method == "POST"]


@pytest.fixture
def hosted() -> Any:
    with EmulatorServer(dialect="hosted", models=[LLAMA_3B, OWN], api_key=KEY) as nim:
        yield nim


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_beyond_the_published_schema_is_sent_and_its_refusal_explained(
    hosted: EmulatorServer, streamed: bool
) -> None:
    adapter = await made(hosted, dialect="hosted")
    hosted.script([REFUSAL])
    with pytest.raises(errors.InvalidRequestError) as caught:
        await adapter.openai_chat_completion(
            model=LLAMA_3B, messages=HELLO, tools=[TOOL], stream=streamed
        )
    assert posts(hosted)[0]["tools"] == [TOOL]
    text = str(caught.value)
    assert text.startswith("NIM answered 422: ")
    assert f"By the published schema of 2026-10, {LLAMA_3B} has no tools (`tools`)" in text
    assert "`model_overrides`" in text
    await adapter.shutdown()


async def test_a_refusal_of_a_model_that_the_user_has_corrected_is_the_nim_s_alone(
    hosted: EmulatorServer,
) -> None:
    adapter = await made(
        hosted, dialect="hosted", model_overrides={"meta/llama-3.2-3b-*": {"tools": True}}
    )
    hosted.script([REFUSAL])
    with pytest.raises(errors.InvalidRequestError) as caught:
        await adapter.openai_chat_completion(model=LLAMA_3B, messages=HELLO, tools=[TOOL])
    assert "published schema" not in str(caught.value)
    await adapter.shutdown()


async def test_reasoning_of_a_model_of_one_s_own_is_switched_and_separated() -> None:
    reasoning = {"switch": "template", "argument": "think", "tags": ["<my:think>", "</my:think>"]}
    with EmulatorServer(dialect="vllm", models=[OWN]) as nim:
        adapter = await made(nim, thinking="on", model_overrides={OWN: {"reasoning": reasoning}})
        message = {"role": "assistant", "content": "<my:think>because</my:think>\n\nyes"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": OWN}
        await adapter.endpoint.finding()
        nim.script([{"body": {**body, "choices": [choice]}}])
        answer = await adapter.openai_chat_completion(model=OWN, messages=HELLO)
        assert posts(nim)[0]["chat_template_kwargs"] == {"think": True}
        assert answer.choices[0].message.content == "yes"
        assert answer.choices[0].message.reasoning_content == "because"
        await adapter.shutdown()


async def test_dimensions_of_an_embedding_model_of_one_s_own() -> None:
    with EmulatorServer(dialect="nim1", models=["acme/embed-v1"]) as nim:
        overrides = {"acme/embed-*": {"embedding_dimension": 96, "embedding_max_tokens": 512}}
        adapter = await made(nim, model_overrides=overrides)
        (model,) = await adapter.list_models() or ()
        assert model.metadata["embedding_dimension"] == 96
        await adapter.shutdown()


ADAPTER = "team-support"
NEMOTRON = "nvidia/llama-3.3-nemotron-super-49b-v1.5"


@pytest.mark.parametrize("config", [{"thinking": "off"}, {"thinking": "on"}, {}], ids=str)
async def test_an_adapter_is_asked_and_read_like_its_base_model(config: dict[str, Any]) -> None:
    with EmulatorServer("nim1", [NEMOTRON], adapters={ADAPTER: NEMOTRON}) as nim:
        adapter = await made(nim, **config)
        await adapter.list_models()  # as a server does when it starts
        message = {"role": "assistant", "content": "<think>Hm.</think>Four."}
        found = []
        for model in (NEMOTRON, ADAPTER):
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            nim.script([{"path": "/v1/chat/completions", "body": {"choices": [choice]}}])
            answer = await adapter.openai_chat_completion(model=model, messages=HELLO)
            found.append(answer.choices[0].message.content)
        base, own = posts(nim)
        assert {**own, "model": NEMOTRON} == base
        assert found == ["Four."] * 2
        await adapter.shutdown()


async def test_overrides_of_a_base_model_are_its_adapters_too() -> None:
    reasoning = {"switch": "template", "argument": "think", "tags": ["<my:think>", "</my:think>"]}
    for overridden in (OWN, ADAPTER):
        with EmulatorServer(dialect="vllm", models=[OWN], adapters={ADAPTER: OWN}) as nim:
            overrides = {overridden: {"reasoning": reasoning}}
            adapter = await made(nim, thinking="on", model_overrides=overrides)
            await adapter.list_models()
            await adapter.openai_chat_completion(model=ADAPTER, messages=HELLO)
            assert posts(nim)[0]["chat_template_kwargs"] == {"think": True}
            await adapter.shutdown()
