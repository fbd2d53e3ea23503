"""The server's Responses and Messages APIs, which call the provider for their answers."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import yaml

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer

from . import release
from .conftest import LLM, MODEL, QUIET

pytestmark = pytest.mark.server

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
QUESTION = "What is the weather in Paris?"
CHAT = "/v1/chat/completions"
NEMOTRON = "nvidia/nemotron-3-nano-30b-a3b"
MINIMAX = "minimaxai/minimax-m3"


def with_responses(config: dict[str, Any]) -> dict[str, Any]:
    """Add the Responses API, and what it asks for, to a configuration."""
    store = {"table_name": "files_metadata", "backend": "sql_default"}
    folder = "${env.SQLITE_STORE_DIR}/files"
    kept = {
        "agent_state": {"namespace": "agents", "backend": "kv_default"},
        "responses": {"table_name": "responses", "backend": "sql_default"},
    }
    added: dict[str, Any] = {
        "responses": [("builtin", "inline::builtin", {"persistence": kept})],
        "files": [("localfs", "inline::localfs", {"storage_dir": folder, "metadata_store": store})],
        "vector_io": [],
        "tool_runtime": [],
    }
    if stack.ANTHROPIC:
        settings = {"kvstore": {"namespace": "messages", "backend": "kv_default"}}
        added["messages"] = [("builtin", "inline::builtin", settings)]
    config["apis"] = ["inference", *added, "conversations", "prompts", "connectors"]
    for name, providers in added.items():
        config["providers"][name] = [
            {"provider_id": provider, "provider_type": kind, "config": settings}
            for provider, kind, settings in providers
        ]
    config["storage"]["stores"]["connectors"] = {"namespace": "connectors", "backend": "kv_default"}
    return config


@pytest.fixture(scope="module")
def nim() -> Iterator[EmulatorServer]:
    with EmulatorServer(models=[LLM, NEMOTRON, MINIMAX], tokens_per_second=500) as made:
        yield made


@pytest.fixture(scope="module")
def responses(
    nim: EmulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    config = with_responses(yaml.safe_load((ROOT / "run.yaml").read_text()))
    config["providers"]["inference"][0]["config"] = {"url": nim.url, "max_retries": 0}
    path = tmp_path_factory.mktemp("responses") / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    with (
        StackServer(path, env=QUIET, log_path=path.with_name("log")) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def delta(content: str, finish_reason: str | None = None) -> dict[str, Any]:
    """A chunk of a stream."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return {"id": "a", "choices": [choice]}


def create(client: openai.OpenAI, streamed: bool, **fields: Any) -> Any:
    """Make a response, and check that its stream says the same as its end."""
    answer: Any = client.responses.create(**{"model": MODEL, "stream": streamed, **fields})
    if not streamed:
        return answer
    events = list(answer)
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    response = events[-1].response
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == response.output_text
    arguments = [e.arguments for e in events if e.type == "response.function_call_arguments.done"]
    assert arguments == [o.arguments for o in response.output if o.type == "function_call"]
    return response


def reasoning_of(message: dict[str, Any]) -> Any:
    """Earlier reasoning as the NIM got it, whatever its engine calls it."""
    return message.get("reasoning_content") or message.get("reasoning")


def thought(response: Any) -> str:
    """The model's reasoning."""
    found = [item for item in response.output if item.type == "reasoning"]
    return "".join(part.text for item in found for part in item.content)


if stack.REASONING:

    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_response(responses: openai.OpenAI, streamed: bool) -> None:
        response = create(responses, streamed, input="Say hello.")
        assert "Say hello." in response.output_text
        assert response.usage.total_tokens > 0
        assert not thought(response)

    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_response_with_reasoning_and_a_tool(
        responses: openai.OpenAI, nim: EmulatorServer, streamed: bool
    ) -> None:
        fields: dict[str, Any] = {"tools": [TOOL], "reasoning": {"effort": "low"}}
        asked = create(responses, streamed, input=QUESTION, **fields)
        (call,) = [item for item in asked.output if item.type == "function_call"]
        assert json.loads(call.arguments) == {"city": "Paris"}
        assert nim.requests[-1].body["reasoning_effort"] == "low"
        thinking = thought(asked)
        assert QUESTION in thinking

        result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
        answered = create(
            responses, streamed, input=[result], previous_response_id=asked.id, **fields
        )
        assert "21 degrees" in answered.output_text
        user, assistant, tool = nim.requests[-1].body["messages"]
        assert user["content"] == QUESTION
        assert assistant["tool_calls"][0]["function"]["name"] == "get_weather"
        assert reasoning_of(assistant) == thinking
        assert tool["content"] == "21 degrees"

    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_conversation_goes_on_after_a_broken_tool_call(
        responses: openai.OpenAI, nim: EmulatorServer, streamed: bool
    ) -> None:
        call = {"index": 0, "id": "call_abc", "type": "function"}
        call["function"] = {"name": "get_weather", "arguments": '{"city": "Par'}
        choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
        nim.script([{"path": CHAT, "sse": [{"choices": [choice]}, "[DONE]"]}])
        asked = responses.responses.create(model=MODEL, input=QUESTION, tools=[TOOL])  # type: ignore[call-overload]
        (made,) = [item for item in asked.output if item.type == "function_call"]
        result = {"type": "function_call_output", "call_id": made.call_id, "output": "not run"}
        answered = create(
            responses, streamed, input=[result], previous_response_id=asked.id, tools=[TOOL]
        )
        assert "not run" in answered.output_text
        sent = [one for one in nim.requests[-1].body["messages"] if one.get("tool_calls")]
        arguments = sent[0]["tool_calls"][0]["function"]["arguments"]
        assert json.loads(arguments) == {"invalid_json": '{"city": "Par'}

    def test_a_response_that_the_engine_aborts_fails(
        responses: openai.OpenAI, nim: EmulatorServer
    ) -> None:
        events = [
            {"choices": [{"index": 0, "delta": {"content": "Half"}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "abort"}]},
            "[DONE]",
        ]
        nim.script([{"path": CHAT, "sse": events}])
        last = list(responses.responses.create(model=MODEL, input="hi", stream=True))[-1]
        assert last.type == "response.failed"
        assert "abort" in str(last)

    @pytest.mark.parametrize(
        ("events", "text"),
        [
            pytest.param([delta("Four."), "[DONE]"], "Four.", id="no finish reason"),
            pytest.param(
                [delta("Four."), delta("", "tool_calls"), "[DONE]"], "Four.", id="tool_calls, none"
            ),
            pytest.param(
                [delta("Four."), delta("", "hardly_known"), "[DONE]"], "Four.", id="unknown reason"
            ),
            pytest.param(
                [delta("\n\n Four."), delta("", "stop"), "[DONE]"], "\n\n Four.", id="blank lines"
            ),
            pytest.param(
                [
                    {"raw": 'event: tool_call_dispatch\ndata: {"choices": 5}\n\n'},
                    {**delta("Fo"), "id": ""},
                    {**delta("ur.", "stop"), "id": "b", "usage": {"total_tokens": "many"}},
                    "[DONE]",
                ],
                "Four.",
                id="side event, two ids, odd usage",
            ),
        ],
    )
    @pytest.mark.parametrize("streamed", [False, True])
    def test_odd_answers_of_engines_come_through(
        responses: openai.OpenAI, nim: EmulatorServer, events: list[Any], text: str, streamed: bool
    ) -> None:
        nim.script([{"path": CHAT, "sse": events}])
        answer = create(responses, streamed, input="Two and two?")
        assert (answer.status, answer.output_text) == ("completed", text)

    @pytest.mark.parametrize("streamed", [False, True])
    def test_reasoning_in_tags_of_minimax_is_set_apart(
        responses: openai.OpenAI, nim: EmulatorServer, streamed: bool
    ) -> None:
        pieces = ["<mm:th", "ink>The user asks</mm:", "think>Four."]
        events = [delta(piece) for piece in pieces]
        nim.script([{"path": CHAT, "sse": [*events, delta("", "stop"), "[DONE]"]}])
        asked = {"model": f"nvidia/{MINIMAX}", "reasoning": {"effort": "low"}}
        answer = create(responses, streamed, input="Two and two?", **asked)
        assert (thought(answer), answer.output_text) == ("The user asks", "Four.")

    @pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_answer_in_the_field_for_reasoning_is_the_answer_where_reasoning_is_off(
        responses: openai.OpenAI, nim: EmulatorServer, streamed: bool, field: str
    ) -> None:
        events: list[Any] = [
            {"choices": [{"index": 0, "delta": {field: piece}}]}
            for piece in ("The answer", " is 4.")
        ]
        nim.script([{"path": CHAT, "sse": [*events, delta("", "stop"), "[DONE]"]}])
        off = {"model": f"nvidia/{NEMOTRON}", "reasoning": {"effort": "none"}}
        answer = create(responses, streamed, input="Two and two?", **off)
        assert (thought(answer), answer.output_text) == ("", "The answer is 4.")
        assert nim.requests[-1].body["reasoning_effort"] == "none"

    @pytest.mark.parametrize(
        "event", ["event: error\n: boom: it broke\n\n", "event: error\ndata: boom: it broke\n\n"]
    )
    def test_an_error_event_fails_the_response(
        responses: openai.OpenAI, nim: EmulatorServer, event: str
    ) -> None:
        events = [delta("Half"), {"raw": event}, "[DONE]"]
        nim.script([{"path": CHAT, "sse": events}])
        last = list(responses.responses.create(model=MODEL, input="hi", stream=True))[-1]
        assert last.type == "response.failed"
        assert "boom: it broke" in str(last)


if stack.ANTHROPIC:

    def message(client: openai.OpenAI, path: str = "/messages", **fields: Any) -> Any:
        body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], **fields}
        return client.post(path, body=body, cast_to=object)

    WEATHER = {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "input_schema": TOOL["parameters"],
    }

    def test_an_anthropic_message(responses: openai.OpenAI, nim: EmulatorServer) -> None:
        answer = message(responses, max_tokens=60, system="Be brief.")
        assert QUESTION in answer["content"][0]["text"]
        assert answer["stop_reason"] == "end_turn"
        assert answer["usage"]["output_tokens"] > 0
        body = nim.requests[-1].body
        assert (body["model"], body["max_tokens"]) == (LLM, 60)
        assert [entry["role"] for entry in body["messages"]] == ["system", "user"]

    def test_an_anthropic_tool_call(responses: openai.OpenAI) -> None:
        answer = message(responses, max_tokens=200, tools=[WEATHER])
        (call,) = [block for block in answer["content"] if block["type"] == "tool_use"]
        assert (call["name"], call["input"]) == ("get_weather", {"city": "Paris"})
        assert answer["stop_reason"] == "tool_use"

    def test_an_anthropic_message_with_thinking(responses: openai.OpenAI) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        answer = message(responses, max_tokens=2000, thinking=thinking)
        kinds = [block["type"] for block in answer["content"]]
        assert kinds == ["thinking", "text"]
        assert QUESTION in answer["content"][0]["thinking"]

    def test_an_anthropic_stream(responses: openai.OpenAI) -> None:
        body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
        request = urllib.request.Request(
            f"{responses.base_url}messages",
            data=json.dumps({**body, "max_tokens": 60, "stream": True}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            lines = [line[6:] for line in answer if line.startswith(b"data: ")]
        events = [json.loads(line) for line in lines]
        texts = [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"]
        assert QUESTION in "".join(texts)
        (end,) = [event for event in events if event["type"] == "message_delta"]
        assert end["delta"]["stop_reason"] == "end_turn"
        assert end["usage"]["output_tokens"] > 0
        assert events[-1]["type"] == "message_stop"

    def test_an_anthropic_message_is_counted(responses: openai.OpenAI) -> None:
        counted = message(responses, "/messages/count_tokens")["input_tokens"]
        assert counted == message(responses, max_tokens=5)["usage"]["input_tokens"]


def test_the_calls_are_there_where_the_protocol_has_them(adapter: Any) -> None:
    cls = type(adapter)
    assert ("anthropic_messages" in dir(cls)) == stack.ANTHROPIC
    assert release.OGX or not stack.ANTHROPIC
