"""Calls of the adapter that no server route reaches, and what only shows in its process."""

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import (
    NVIDIAConfig,
    NVIDIAProviderDataValidator,
)
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer

from . import own_api
from .conftest import MODEL


@pytest.fixture(scope="module")
def shared_nim() -> Iterator[EmulatorServer]:
    # Slow enough that a stream does not fit into the sockets' buffers before a test leaves it.
    with EmulatorServer(tokens_per_second=500) as nim:
        yield nim


def user(text: str) -> Any:
    return stack.UserMessage(content=text)


def connections(nim: EmulatorServer) -> set[int | None]:
    """The client ports that requests came from: one per connection."""
    ports = {request.client_port for request in nim.requests}
    assert None not in ports
    return ports


@pytest.mark.native
async def test_a_batch_of_chats_keeps_its_order(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    conversations = [[user(f"Say number {n} please.")] for n in range(20)]
    batch = (await adapter.batch_chat_completion(MODEL, conversations)).batch
    for n, answer in enumerate(batch):
        assert f"number {n} " in answer.completion_message.content
    assert len([request for request in nim.requests if request.method == "POST"]) == 20
    assert len(connections(nim)) <= adapter.config.batch_concurrency


@pytest.mark.native
async def test_a_batch_of_completions_keeps_its_order(adapter: NVIDIAInferenceAdapter) -> None:
    params = stack.SamplingParams(max_tokens=60)
    batch = (await adapter.batch_completion(MODEL, ["alpha", "beta"], params)).batch
    assert ["alpha" in batch[0].content, "beta" in batch[1].content] == [True, True]


@pytest.mark.native
async def test_a_batch_fails_with_its_first_failure(adapter: NVIDIAInferenceAdapter) -> None:
    with pytest.raises(errors.InvalidRequestError, match="messages: is empty"):
        await adapter.batch_chat_completion(MODEL, [[user("hi")], []])


async def test_chats_one_after_the_other_share_a_connection(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    for n in range(10):
        answer = await own_api.chat(adapter, MODEL, stream=bool(n % 2))
        if n % 2:
            assert [event async for event in answer]
    assert len(connections(nim)) == 1


async def test_a_stream_that_nobody_starts_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    stream = await own_api.chat(adapter, MODEL, "count to 5000", stream=True)
    del stream
    gc.collect()
    await until(lambda: nim.requests[-1].disconnected)


async def test_a_stream_that_is_closed_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    stream = await own_api.chat(adapter, MODEL, "count to 5000", stream=True)
    async for event in stream:
        if own_api.text_in(event):
            break
    await stream.aclose()
    await until(lambda: nim.requests[-1].disconnected)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the emulator runs in another thread)
            await asyncio.sleep(0.02)


async def test_a_stream_that_breaks_ends_with_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half an"}, "finish_reason": None}]}
    for close in ("clean", "abrupt"):
        nim.script([{"sse": [chunk], "close": close}])
        stream = await own_api.chat(adapter, MODEL, stream=True)
        seen: list[Any] = []
        with pytest.raises(errors.NIMConnectionError):
            await collect(stream, seen)
        assert own_api.text_in(seen[-1]) == "Half an"


async def collect(stream: Any, seen: list[Any]) -> None:
    async for item in stream:
        seen.append(item)  # noqa: PERF401 (what came before an error is wanted too)


async def test_an_error_in_the_middle_of_a_stream_is_raised(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    report = {"error": {"message": "boom", "type": "InternalServerError", "code": 500}}
    nim.script([{"sse": [report]}])
    with pytest.raises(errors.ServerError, match="boom"):
        _ = [e async for e in await own_api.chat(adapter, MODEL, stream=True)]


@pytest.mark.parametrize(
    "body",
    [{"choices": []}, {"choices": None, "usage": {"total_tokens": 1}}, {"hello": 1}, "<html>"],
    ids=["no choices", "null choices", "something else", "no JSON"],
)
async def test_an_answer_that_is_none_is_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, body: Any
) -> None:
    nim.script([{"status": 200, "body": body}])
    with pytest.raises(errors.ServerError) as caught:
        await own_api.chat(adapter, MODEL)
    assert caught.value.model == MODEL
    assert caught.value.endpoint == f"{nim.url}/v1"


@pytest.mark.native
async def test_arguments_that_are_not_json_are_kept_and_reported(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    nim.script([{"body": {"choices": [{"message": message, "finish_reason": "tool_calls"}]}}])
    answer = await adapter.chat_completion(MODEL, [user("hi")])
    (kept,) = answer.completion_message.tool_calls
    assert (kept.tool_name, kept.arguments, kept.arguments_json) == ("f", '{"a":', '{"a":')


@pytest.mark.native
async def test_the_older_way_to_choose_tools(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    from llama_stack.apis.inference import ToolChoice

    tool = {"tool_name": "get_time", "description": "Tell the time"}
    await adapter.chat_completion(
        MODEL,
        [user("hi")],
        tools=[tool],
        tool_choice=ToolChoice.required,
        tool_prompt_format=stack.ToolPromptFormat.python_list,
    )
    assert nim.requests[-1].body["tool_choice"] == "required"
    assert "tool_prompt_format python_list has no effect" in caplog.text


async def test_models_are_found_by_other_names(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    for name in ("Llama3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"):
        await own_api.chat(adapter, name)
        assert nim.requests[-1].body["model"] == MODEL


async def test_a_name_that_the_nim_itself_uses_is_left_alone() -> None:
    name = "meta-llama/Llama-3.1-8B-Instruct"
    with EmulatorServer(models=[name]) as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await own_api.chat(adapter, name)
        await adapter.shutdown()


async def test_other_names_work_when_the_list_cannot_be_had(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script([{"path": "/v1/models", "status": 500, "body": "down"}])
    assert (await adapter.target("Llama3.1-8B-Instruct")).model == MODEL


class Store:
    """The stack's model store: an identifier per model, and the NIM's name for it."""

    def __init__(self, known: dict[str, str | None]) -> None:
        self.known = known

    async def get_model(self, model_id: str) -> Any:
        if model_id not in self.known:
            return None
        return stack.Model(
            identifier=model_id,
            provider_resource_id=self.known[model_id] or model_id,
            provider_id="nvidia",
        )


@pytest.mark.native
async def test_the_model_store_decides(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    adapter.model_store = Store({"my-llama": MODEL})
    await adapter.chat_completion("my-llama", [user("hi")])
    assert nim.requests[-1].body["model"] == MODEL
    with pytest.raises(errors.InvalidRequestError, match="'other' is not registered"):
        await adapter.chat_completion("other", [user("hi")])
    with pytest.raises(errors.InvalidRequestError, match="model_id: is empty"):
        await adapter.chat_completion("", [user("hi")])


async def test_the_hosted_catalogue_wants_a_key(caplog: pytest.LogCaptureFixture) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig())
    await adapter.initialize()
    assert "No API key for NVIDIA's hosted catalogue" in caplog.text
    with pytest.raises(errors.AuthenticationError, match="NVIDIA_API_KEY") as caught:
        await own_api.chat(adapter, MODEL)
    assert caught.value.status_code == 401
    await adapter.shutdown()


def test_a_request_s_key_that_cannot_be_sent_is_an_error() -> None:
    """Otherwise the server's own key would be used in its place."""
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(api_key="nvapi-server"))
    adapter.__provider_spec__ = object()
    for given, expected in (("nvapi-mine", "nvapi-mine"), (None, None)):
        data = NVIDIAProviderDataValidator(nvidia_api_key=given)
        adapter.get_request_provider_data = lambda data=data: data
        assert adapter.request_key() == expected
    for given in ("", " ", "two words", "gr\u00fcn", 5, "x" * 9000):
        data = NVIDIAProviderDataValidator(nvidia_api_key=given)
        adapter.get_request_provider_data = lambda data=data: data
        with pytest.raises(errors.InvalidRequestError, match="nvidia_api_key"):
            adapter.request_key()
    adapter.get_request_provider_data = lambda: None
    assert adapter.request_key() is None


async def test_openai_style_calls(adapter: NVIDIAInferenceAdapter, nim: EmulatorServer) -> None:
    message = {"role": "user", "content": "Say hi."}
    whole = await adapter.openai_chat_completion(model=MODEL, messages=[message], user=None)
    assert nim.requests[-1].body == {"model": MODEL, "messages": [message]}
    stream = await adapter.openai_chat_completion(model=MODEL, messages=[message], stream=True)
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content

    chosen = await adapter.openai_completion(
        model=MODEL, prompt="Yes or no?", guided_choice=["yes", "no"]
    )
    assert chosen.choices[0].text in ("yes", "no")
    with pytest.raises(errors.ModelNotFoundError):
        await adapter.openai_completion(model="no/such", prompt="hi")

    vectors = {"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "model": "m"}
    nim.script([{"path": "/v1/embeddings", "body": vectors}])
    answer = await adapter.openai_embeddings(model="e", input=["a"], encoding_format="float")
    assert answer.data[0].embedding == [0.5]


async def test_an_openai_style_stream_that_breaks_is_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half"}, "finish_reason": None}]}
    nim.script([{"sse": [chunk], "close": "abrupt"}])
    message = {"role": "user", "content": "Say hi."}
    stream = await adapter.openai_chat_completion(model=MODEL, messages=[message], stream=True)
    with pytest.raises(errors.NIMConnectionError):
        assert [json.dumps(chunk.to_dict()) async for chunk in stream] == []
