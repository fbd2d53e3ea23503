"""An agent turn with a client tool, on a server with the native API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_stack_client import Agent, LlamaStackClient

from llama_stack_provider_nvidia import __version__
from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer

pytestmark = [pytest.mark.native, pytest.mark.server]

ROOT = Path(__file__).resolve().parents[2]
MODEL = "meta/llama-3.1-8b-instruct"


def get_weather(city: str) -> str:
    """Get the current weather in a city.

    :param city: Name of the city
    """
    return f"It is 21 degrees in {city}."


@pytest.fixture
def nim() -> Iterator[EmulatorServer]:
    with EmulatorServer("nim2") as emulator:
        yield emulator


@pytest.fixture
def client(nim: EmulatorServer) -> Iterator[LlamaStackClient]:
    run_yaml = ROOT / "examples" / "agents-0.2.yaml"
    with (
        StackServer(run_yaml, env={"NVIDIA_BASE_URL": nim.url}) as server,
        LlamaStackClient(base_url=server.url, timeout=60, max_retries=0) as made,
    ):
        yield made


def test_a_turn_calls_the_client_s_tool_and_answers_with_its_result(
    client: LlamaStackClient, nim: EmulatorServer
) -> None:
    agent = Agent(client, model=MODEL, instructions="Be brief.", tools=[get_weather])
    turn = agent.create_turn(
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        session_id=agent.create_session("test"),
        stream=False,
    )
    assert [step.step_type for step in turn.steps] == [
        "inference",
        "tool_execution",
        "inference",
    ]
    (call,) = turn.steps[1].tool_calls
    assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Paris"})
    assert "21" in str(turn.output_message.content)
    assert turn.output_message.stop_reason == "end_of_turn"
    # Only this package says so of itself: the built-in provider was not what answered.
    agents = {request.headers["user-agent"] for request in nim.requests if request.method == "POST"}
    assert all("llama-stack: nvidia-inference-adapter" in agent for agent in agents)
    assert all(__version__ in agent for agent in agents)
    assert agents
