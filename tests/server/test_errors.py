"""The errors that a client of a Llama Stack server gets."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from llama_stack_client import APIStatusError, BadRequestError, LlamaStackClient

from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import StackServer

from .conftest import GHOST, MODEL
from .test_answers import HELLO, WEATHER_TOOL, assert_model_is_listed

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
]

# The errors are the same in front of the other generations.
BOTH = pytest.mark.parametrize("shared_nim", ["nim2", "nim1"], indirect=True, scope="session")

IMAGE = {"type": "image", "image": {"url": {"uri": "https://example.com/cat.png"}}}
BROKEN_CALL = {
    "role": "assistant",
    "content": "",
    "stop_reason": "end_of_message",
    "tool_calls": [{"call_id": "1", "tool_name": "get_weather", "arguments": '{"city":'}],
}
GREEDY = {"type": "greedy"}

BAD_CHATS: dict[str, tuple[dict[str, Any], str]] = {
    "no messages": ({"messages": []}, "messages"),
    "a role that does not exist": ({"messages": [{"role": "robot", "content": "hi"}]}, "role"),
    "top_k 0": ({"sampling_params": {"strategy": {"type": "top_k", "top_k": 0}}}, "top_k"),
    "negative max_tokens": (
        {"sampling_params": {"strategy": GREEDY, "max_tokens": -1}},
        "max_tokens",
    ),
    "a repetition penalty of 0": (
        {"sampling_params": {"strategy": GREEDY, "repetition_penalty": 0}},
        "repetition_penalty",
    ),
    "an empty stop sequence": ({"sampling_params": {"strategy": GREEDY, "stop": [""]}}, "stop"),
    "a schema that is not one": (
        {"response_format": {"type": "json_schema", "json_schema": {"type": "objekt"}}},
        "json_schema",
    ),
    "a grammar without rules": ({"response_format": {"type": "grammar", "bnf": {}}}, "bnf"),
    "two tools with one name": ({"tools": [WEATHER_TOOL, WEATHER_TOOL]}, "tools[1].tool_name"),
    "a parameter type that is none": (
        {"tools": [{"tool_name": "t", "parameters": {"x": {"param_type": "wibble"}}}]},
        "param_type",
    ),
    "an image from the system": (
        {"messages": [{"role": "system", "content": [IMAGE]}, *HELLO]},
        "messages[0].content[0]",
    ),
    "a forced tool without tools": ({"tool_config": {"tool_choice": "required"}}, "tool_choice"),
}


@BOTH
@pytest.mark.parametrize(("params", "field"), BAD_CHATS.values(), ids=BAD_CHATS.keys())
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_bad_chat_is_refused_before_anything_is_sent(
    client: LlamaStackClient,
    nim: EmulatorServer,
    params: dict[str, Any],
    field: str,
    streamed: bool,
) -> None:
    request = {"model_id": MODEL, "messages": HELLO, **params, "stream": streamed}
    assert field in refusal(client, "/v1/inference/chat-completion", request, streamed)
    assert nim.requests == []


@BOTH
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_broken_call_in_the_history_does_not_end_the_conversation(
    client: LlamaStackClient, nim: EmulatorServer, streamed: bool
) -> None:
    result = {"role": "tool", "call_id": "1", "content": "not run"}
    request = {"model_id": MODEL, "messages": [*HELLO, BROKEN_CALL, result], "stream": streamed}
    url = f"{str(client.base_url).rstrip('/')}/v1/inference/chat-completion"
    with httpx.Client(timeout=30, trust_env=False) as http:
        text = http.post(url, json=request).raise_for_status().text
    assert '"error"' not in text
    (sent,) = (request.body for request in nim.requests if request.method == "POST")
    (call,) = sent["messages"][1]["tool_calls"]
    assert call["function"]["arguments"] == '{"invalid_json": "{\\"city\\":"}'


@BOTH
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"content": IMAGE}, "content"),
        ({"sampling_params": {"strategy": GREEDY, "max_tokens": -5}}, "max_tokens"),
    ],
    ids=["an image", "negative max_tokens"],
)
def test_a_bad_completion_is_refused_before_anything_is_sent(
    client: LlamaStackClient, nim: EmulatorServer, params: dict[str, Any], field: str
) -> None:
    request = {"model_id": MODEL, "content": "Once", **params}
    assert field in refusal(client, "/v1/inference/completion", request, False)
    assert nim.requests == []


def refusal(client: LlamaStackClient, path: str, request: Any, streamed: bool) -> str:
    """The text of a 400, or of the event that a 0.2.x server sends in its place."""
    try:
        answer = client.post(path, body=request, cast_to=str)
    except BadRequestError as error:
        return str(error)
    # Before 0.5 the server answers a streamed request with 200 whatever happens.
    assert streamed, answer
    assert '"error"' in answer
    assert "400" in answer
    return answer


@BOTH
def test_an_unregistered_model(client: LlamaStackClient, nim: EmulatorServer) -> None:
    with pytest.raises(APIStatusError, match="no-such-model") as caught:
        client.inference.chat_completion(model_id="no-such-model", messages=HELLO)
    assert caught.value.status_code in (400, 404)
    assert nim.requests == []


@BOTH
def test_a_model_that_the_nim_does_not_serve(client: LlamaStackClient) -> None:
    with pytest.raises(APIStatusError, match=GHOST) as caught:
        client.inference.chat_completion(model_id=GHOST, messages=HELLO)
    # The stack can say 404 from 0.2.18 on.
    assert caught.value.status_code in (400, 404)
    assert "`llama-stack-nvidia models` lists what the NIM serves" in str(caught.value)


@BOTH
def test_a_prompt_that_is_too_long(client: LlamaStackClient, nim: EmulatorServer) -> None:
    long = [{"role": "user", "content": "word " * nim.settings.context}]
    with pytest.raises(BadRequestError, match="context length"):
        client.inference.chat_completion(model_id=MODEL, messages=long)


def test_a_caller_who_goes_away_stops_the_generation(
    start_server: Callable[[dict[str, Any]], StackServer],
) -> None:
    # Slow enough not to fit into the buffers on the way before the caller has gone.
    with EmulatorServer(tokens_per_second=50) as nim:
        server = start_server({"url": nim.url})
        with LlamaStackClient(base_url=server.url, timeout=30, max_retries=0) as client:
            stream = client.inference.chat_completion(
                model_id=MODEL,
                messages=[{"role": "user", "content": "count to 5000"}],
                sampling_params={"strategy": GREEDY, "max_tokens": 8000},
                stream=True,
            )
            for _ in range(5):
                next(iter(stream))
            stream.response.close()
            deadline = time.monotonic() + 5
            while not nim.requests[-1].disconnected and time.monotonic() < deadline:
                time.sleep(0.05)
        assert nim.requests[-1].disconnected
        assert nim.requests[-1].tokens_sent < 500


@pytest.fixture(scope="module")
def guarded_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer(api_key="nvapi-right") as nim:
        yield nim


@pytest.fixture(scope="module")
def keyless_server(
    guarded_nim: EmulatorServer, start_server: Callable[[dict[str, Any]], StackServer]
) -> StackServer:
    return start_server({"url": guarded_nim.url})


@pytest.mark.parametrize(
    ("key", "status"),
    [("nvapi-right", 200), ("nvapi-wrong", 401), (None, 401), ("two words", 400)],
)
def test_a_request_brings_its_own_key(
    keyless_server: StackServer, key: str | None, status: int
) -> None:
    data = {} if key is None else {"nvidia_api_key": key}
    with LlamaStackClient(base_url=keyless_server.url, provider_data=data, max_retries=0) as client:
        if status == 200:
            client.inference.chat_completion(model_id=MODEL, messages=HELLO)
            return
        with pytest.raises(APIStatusError) as caught:
            client.inference.chat_completion(model_id=MODEL, messages=HELLO)
    assert caught.value.status_code == status
    assert "key" in str(caught.value)
    assert str(key) not in str(caught.value)


def test_a_nim_that_is_down_does_not_stop_the_start(
    start_server: Callable[[dict[str, Any]], StackServer],
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    server = start_server({"url": url, "max_retries": 0})
    with LlamaStackClient(base_url=server.url, max_retries=0) as client:
        assert_model_is_listed(client)
        (provider,) = [entry for entry in client.providers.list() if entry.api == "inference"]
        assert provider.health["status"] == "Error"
        with pytest.raises(APIStatusError) as caught:
            client.inference.chat_completion(model_id=MODEL, messages=HELLO)
    assert caught.value.status_code >= 500
    assert url in server.log_path.read_text()
