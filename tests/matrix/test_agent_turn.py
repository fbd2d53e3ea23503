"""A turn with a tool of the caller's: by the agents API up to 0.2.24, then by the responses API."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer

from . import release
from .servers import model, stack_server

pytestmark = pytest.mark.server

LLM = "meta/llama-3.1-8b-instruct"
NAME = f"nvidia/{LLM}"
QUESTION = "What is the weather in Paris?"
RESULT = "It is 21 degrees in Paris."


@pytest.fixture(scope="module")
def tool_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer("nim2", models=[LLM]) as nim:
        yield nim


@pytest.fixture(scope="module")
def agent_server(
    tool_nim: EmulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackServer]:
    with stack_server(
        tmp_path_factory.mktemp("agents"),
        {"nvidia": {"url": tool_nim.url}},
        [model("nvidia", LLM)],
        more=release.AGENT_PROVIDERS,
    ) as server:
        yield server


def get_weather(city: str) -> str:
    """Get the current weather in a city.

    :param city: Name of the city
    """
    return RESULT


TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
}


def asked_of(nim: EmulatorServer) -> list[dict[str, Any]]:
    """The last chat that the NIM was sent."""
    found = [one.body["messages"] for one in nim.requests if one.method == "POST"]
    assert len(found) >= 2
    messages: list[dict[str, Any]] = found[-1]
    return messages


if release.AGENTS == "agents":

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_turn_calls_the_tool_and_answers_with_its_result(
        agent_server: StackServer, tool_nim: EmulatorServer, streaming: bool
    ) -> None:
        from llama_stack_client import Agent

        tool_nim.clear()
        with release.own_client(agent_server.url) as client:
            agent = Agent(client, model=NAME, instructions="Be brief.", tools=[get_weather])
            turn = agent.create_turn(
                messages=[{"role": "user", "content": QUESTION}],
                session_id=agent.create_session("test"),
                stream=streaming,
            )
            if streaming:
                turn = finished(list(turn))
        steps = [step.step_type for step in turn.steps]
        assert steps == ["inference", "tool_execution", "inference"]
        (call,) = turn.steps[1].tool_calls
        assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Paris"})
        assert "21 degrees" in str(turn.output_message.content)
        assert turn.output_message.stop_reason == "end_of_turn"
        messages = asked_of(tool_nim)
        assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool"]
        assert RESULT in str(messages[-1]["content"])

    def finished(chunks: list[Any]) -> Any:
        """The turn that a stream of events ends with, after the text that it told bit by bit."""
        payloads = [chunk.event.payload for chunk in chunks]
        told = [payload.delta for payload in payloads if payload.event_type == "step_progress"]
        assert any(delta.type == "tool_call" for delta in told)
        text = "".join(delta.text for delta in told if delta.type == "text")
        turn = payloads[-1].turn
        assert text == turn.output_message.content
        return turn


if release.AGENTS == "responses":

    @pytest.fixture
    def caller(agent_server: StackServer, tool_nim: EmulatorServer) -> Iterator[openai.OpenAI]:
        tool_nim.clear()
        url = agent_server.url
        with openai.OpenAI(
            base_url=f"{url}{release.openai_path(url)}", api_key="none", timeout=60, max_retries=0
        ) as made:
            yield made

    def respond(caller: openai.OpenAI, streaming: bool, **fields: Any) -> Any:
        create: Any = caller.responses.create
        answer = create(model=NAME, tools=[TOOL], stream=streaming, **fields)
        if not streaming:
            return answer
        events = list(answer)
        assert events[-1].type == "response.completed"
        told = [one.delta for one in events if one.type == "response.output_text.delta"]
        assert "".join(told) == events[-1].response.output_text
        return events[-1].response

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_response_calls_the_tool_and_the_next_answers_with_its_result(
        caller: openai.OpenAI, tool_nim: EmulatorServer, streaming: bool
    ) -> None:
        first = respond(caller, streaming, input=QUESTION, instructions="Be brief.")
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}
        second = respond(caller, streaming, input=[result], previous_response_id=first.id)
        assert "21 degrees" in second.output_text
        assert second.status == "completed"
        messages = asked_of(tool_nim)
        assert [one["role"] for one in messages][-3:] == ["user", "assistant", "tool"]
        assert messages[-1]["tool_call_id"] == messages[-2]["tool_calls"][0]["id"] == call.call_id
