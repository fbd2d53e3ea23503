"""Tools: calls that the program executes itself, then an agent that executes them.

    python examples/tools_agent.py

The agent needs a server with more than inference, which these configurations have:

    RUN_YAML=examples/agents-0.2.yaml make serve STACK=0.2.24
    RUN_YAML=examples/agents.yaml make serve STACK=0.7.3        (or ogx-1.5.0)

The same code creates an agent in each: it uses the agents API of Llama Stack 0.2.x, and the
Responses API of 0.7 and OGX. If the server has neither, only the first part runs.
"""

import json
from typing import Any

import httpx

from stack import URL, chat_model, openai_client
from weather import TOOL, get_weather

try:
    from llama_stack_client import Agent, LlamaStackClient  # type: ignore[attr-defined]
except ImportError:  # Llama Stack is called OGX now
    from ogx_client import Agent  # type: ignore[no-redef]
    from ogx_client import OgxClient as LlamaStackClient  # type: ignore[no-redef]


def by_hand(model: str) -> None:
    """Carry out the calls that the model asks for until it answers in words."""
    client = openai_client()
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris and in Oslo?"}]
    print("By hand:")
    while True:
        answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
        message: Any = answer.choices[0].message
        if not message.tool_calls:
            print(f"  {message.content}")
            return
        messages.append(message.model_dump(include={"role", "content", "tool_calls"}))
        for call in message.tool_calls:
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def by_an_agent(model: str) -> None:
    """Leave all that to an agent, which reads what the function does from its docstring."""
    print("By an agent:")
    if all(httpx.get(f"{URL}/v1/{api}").status_code == 404 for api in ("agents", "responses")):
        print("  This server has no agents.")
        return
    client: Any = LlamaStackClient(base_url=URL)  # its types differ between releases
    agent: Any = Agent(client, model=model, instructions="Be brief.", tools=[get_weather])
    turn = agent.create_turn(
        messages=[{"type": "message", "role": "user", "content": "What is the weather in Oslo?"}],
        session_id=agent.create_session("weather"),
        stream=False,
    )
    output = getattr(turn, "output_message", None)  # of 0.2.x
    print(f"  {output.content if output else turn.output_text}")


if __name__ == "__main__":
    by_hand(chat_model())
    by_an_agent(chat_model())
