"""The answers that a client of a Llama Stack server gets from a NIM, through our provider."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from llama_stack_client import BadRequestError, LlamaStackClient, NotFoundError

from nim_emulator import EmulatorServer

from .conftest import MODEL

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
]

HELLO = [{"role": "user", "content": "Say hello to the world."}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris and in Tokyo?"}]
WEATHER_TOOL = {
    "tool_name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {"city": {"param_type": "str", "description": "The city", "required": True}},
}
SCHEMA = {
    "title": "Capital City",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "population": {"type": "integer", "minimum": 1},
        "languages": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["name", "population", "languages"],
    "additionalProperties": False,
}


# What the emulated NIM's generation cannot do, and a word of the error that says so.
CANNOT = {
    "completion": {"hosted": "text completion"},
    "completion schema": {"hosted": "json constraint", "generic": "json constraint"},
    "grammar": {"hosted": "grammar constraint", "generic": "grammar constraint"},
    "images": {"hosted": "takes only text"},
    "logprobs": {"hosted": "logprobs"},
    "top_k": {"hosted": "Of `repetition_penalty`, by 2026-10"},
}


def can(nim: EmulatorServer, feature: str, call: Callable[[], Any]) -> bool:
    """Whether this NIM can do something; if not, the call must say why it cannot."""
    reason = CANNOT[feature].get(nim.settings.dialect)
    if reason is None:
        return True
    # The catalogue's 404 stays one from 0.2.13 on; before, a server makes all of them 400.
    with pytest.raises((BadRequestError, NotFoundError), match=reason):
        call()
    return False


def chat(client: LlamaStackClient, messages: list[Any], **params: Any) -> Any:
    return client.inference.chat_completion(model_id=MODEL, messages=messages, **params)


def chat_events(client: LlamaStackClient, messages: list[Any], **params: Any) -> list[Any]:
    stream = chat(client, messages, stream=True, **params)
    return [chunk.event for chunk in stream]


def text_of(events: list[Any]) -> str:
    return "".join(event.delta.text for event in events if event.delta.type == "text")


def assert_model_is_listed(client: LlamaStackClient) -> None:
    # From 0.2.16 on the identifier begins with the provider's.
    listed = {model.identifier.removeprefix("nvidia/") for model in client.models.list()}
    assert MODEL in listed


def sent(nim: EmulatorServer) -> dict[str, Any]:
    body = nim.requests[-1].body
    assert isinstance(body, dict)
    return body


def test_models_are_listed(client: LlamaStackClient) -> None:
    assert_model_is_listed(client)


def test_chat(client: LlamaStackClient, nim: EmulatorServer) -> None:
    answer = chat(client, HELLO).completion_message
    assert "hello to the world" in answer.content
    assert answer.stop_reason == "end_of_turn"
    assert sent(nim) == {
        "model": MODEL,
        "messages": HELLO,
        "temperature": 0.0,
        "stream": False,
    }


def test_one_user_agent_names_us(client: LlamaStackClient, nim: EmulatorServer) -> None:
    chat(client, HELLO)
    agents = [v for k, v in nim.requests[-1].headers.items() if k.lower() == "user-agent"]
    assert len(agents) == 1
    assert "llama-stack: nvidia-inference-adapter/" in agents[0]


def test_streamed_chat_has_the_same_text(client: LlamaStackClient) -> None:
    events = chat_events(client, HELLO)
    assert [events[0].event_type, events[-1].event_type] == ["start", "complete"]
    assert {event.event_type for event in events[1:-1]} == {"progress"}
    assert [event.stop_reason for event in events[:-1]] == [None] * (len(events) - 1)
    assert events[-1].stop_reason == "end_of_turn"
    assert text_of(events) == chat(client, HELLO).completion_message.content


def test_a_tool_call_and_the_answer_after_its_result(
    client: LlamaStackClient, nim: EmulatorServer
) -> None:
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = chat(client, question, tools=[WEATHER_TOOL]).completion_message
    (call,) = first.tool_calls
    assert first.stop_reason == "end_of_message"
    assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Paris"})
    assert json.loads(call.arguments_json) == {"city": "Paris"}

    result = {"role": "tool", "call_id": call.call_id, "content": "21 degrees"}
    history = [*question, first.to_dict(), result]
    second = chat(client, history, tools=[WEATHER_TOOL]).completion_message
    assert "21 degrees" in second.content
    assert second.stop_reason == "end_of_turn"
    assistant = sent(nim)["messages"][1]
    assert "content" not in assistant
    assert assistant["tool_calls"][0]["id"] == call.call_id


def test_parallel_tool_calls_streamed(client: LlamaStackClient) -> None:
    events = chat_events(client, WEATHER, tools=[WEATHER_TOOL])
    deltas = [event.delta for event in events if event.delta.type == "tool_call"]
    states = [delta.parse_status for delta in deltas]
    assert states.count("started") == 2
    assert "in_progress" in states
    calls = [delta.tool_call for delta in deltas if delta.parse_status == "succeeded"]
    assert [call.arguments for call in calls] == [{"city": "Paris"}, {"city": "Tokyo"}]
    assert len({call.call_id for call in calls}) == 2
    assert events[-1].stop_reason == "end_of_message"


@pytest.mark.parametrize("choice", ["get_weather", "required"])
def test_a_tool_can_be_forced(client: LlamaStackClient, choice: str) -> None:
    answer = chat(client, HELLO, tools=[WEATHER_TOOL], tool_config={"tool_choice": choice})
    assert [call.tool_name for call in answer.completion_message.tool_calls] == ["get_weather"]


@pytest.mark.parametrize("streamed", [False, True])
def test_json_schema_output_validates(client: LlamaStackClient, streamed: bool) -> None:
    wanted = {"type": "json_schema", "json_schema": SCHEMA}
    messages = [{"role": "user", "content": "Tell me about Paris."}]
    if streamed:
        text = text_of(chat_events(client, messages, response_format=wanted))
    else:
        text = chat(client, messages, response_format=wanted).completion_message.content
    jsonschema.validate(json.loads(text), SCHEMA)


def test_json_schema_output_of_a_completion_validates(
    client: LlamaStackClient, nim: EmulatorServer
) -> None:
    def complete() -> Any:
        return client.inference.completion(
            model_id=MODEL,
            content="A capital:",
            response_format={"type": "json_schema", "json_schema": SCHEMA},
            sampling_params={"strategy": {"type": "greedy"}, "max_tokens": 200},
        )

    if can(nim, "completion schema", complete):
        jsonschema.validate(json.loads(complete().content), SCHEMA)


def test_grammar_output_obeys_it(client: LlamaStackClient, nim: EmulatorServer) -> None:
    wanted = {"type": "grammar", "bnf": {"grammar": 'root ::= "yes" | "no"'}}
    if can(nim, "grammar", lambda: chat(client, HELLO, response_format=wanted)):
        answer = chat(client, HELLO, response_format=wanted).completion_message.content
        assert answer in ("yes", "no")


def test_chat_logprobs(client: LlamaStackClient, nim: EmulatorServer) -> None:
    if not can(nim, "logprobs", lambda: chat(client, HELLO, logprobs={"top_k": 3})):
        return
    answer = chat(client, HELLO, logprobs={"top_k": 3})
    whole = [entry.logprobs_by_token for entry in answer.logprobs]
    assert all(len(entry) == 3 and max(entry.values()) <= 0 for entry in whole)
    streamed = [
        entry.logprobs_by_token
        for event in chat_events(client, HELLO, logprobs={"top_k": 3})
        for entry in event.logprobs or ()
    ]
    assert streamed == whole


def test_completion(client: LlamaStackClient, nim: EmulatorServer) -> None:
    params: dict[str, Any] = {
        "model_id": MODEL,
        "content": "Once upon a time",
        "sampling_params": {
            "strategy": {"type": "top_p", "temperature": 0.5, "top_p": 0.9},
            "max_tokens": 12,
        },
        "logprobs": {"top_k": 1},
    }
    if not can(nim, "completion", lambda: client.inference.completion(**params)):
        return
    whole = client.inference.completion(**params)
    assert {"temperature": 0.5, "top_p": 0.9, "max_tokens": 12}.items() <= sent(nim).items()
    assert whole.stop_reason == "out_of_tokens"
    assert len(whole.logprobs) == 12

    chunks = list(client.inference.completion(**params, stream=True))
    assert "".join(chunk.delta for chunk in chunks) == whole.content
    assert [chunk.stop_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].stop_reason == "out_of_tokens"
    streamed = [entry for chunk in chunks for entry in chunk.logprobs or ()]
    assert streamed == whole.logprobs


def test_stop_sequences_end_the_answer(client: LlamaStackClient) -> None:
    counting = [{"role": "user", "content": "count to 20"}]
    params = {"strategy": {"type": "greedy"}, "stop": [" 7"]}
    answer = chat(client, counting, sampling_params=params).completion_message
    assert answer.content.endswith("6")
    assert answer.stop_reason == "end_of_turn"


def test_max_tokens_ends_the_answer(client: LlamaStackClient) -> None:
    params = {"strategy": {"type": "greedy"}, "max_tokens": 3}
    events = chat_events(client, HELLO, sampling_params=params)
    text = "".join(event.delta.text for event in events if event.event_type == "progress")
    assert len(text.split()) == 3
    assert events[-1].stop_reason == "out_of_tokens"


def test_top_k_goes_where_the_nim_reads_it(client: LlamaStackClient, nim: EmulatorServer) -> None:
    params = {"strategy": {"type": "top_k", "top_k": 40}, "repetition_penalty": 1.2}
    if not can(nim, "top_k", lambda: chat(client, HELLO, sampling_params=params)):
        return
    chat(client, HELLO, sampling_params=params)
    expected = {"top_k": 40, "repetition_penalty": 1.2}
    body = sent(nim)
    assert (body["nvext"] if "nim1" in nim.settings.dialect else body).items() >= expected.items()
    assert "temperature" not in body


def test_images_reach_the_model(client: LlamaStackClient, nim: EmulatorServer) -> None:
    image = {"type": "image", "image": {"url": {"uri": "https://example.com/cat.png"}}}
    content = [image, {"type": "text", "text": "What is in this image?"}]
    if not can(nim, "images", lambda: chat(client, [{"role": "user", "content": content}])):
        return
    answer = chat(client, [{"role": "user", "content": content}])
    assert "1 image" in answer.completion_message.content


def test_openai_style_chat(client: LlamaStackClient) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO)
    text = whole.choices[0].message.content
    assert "hello to the world" in text
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(pieces) == text


def test_openai_style_completion(client: LlamaStackClient, nim: EmulatorServer) -> None:
    def complete() -> Any:
        return client.completions.create(model=MODEL, prompt="Once upon", max_tokens=5)

    if not can(nim, "completion", complete):
        return
    answer = complete()
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason == "length"


def test_the_server_tells_the_nim_s_health(client: LlamaStackClient) -> None:
    (provider,) = [entry for entry in client.providers.list() if entry.api == "inference"]
    assert provider.health["status"] == "OK"
