"""LangChain with the server: a chat, a stream, a tool, a pydantic model.

    pip install langchain-openai
    python examples/langchain_chat.py

It needs nothing special: ChatOpenAI uses OpenAI's API, and so does the server.
"""

from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from stack import address, chat_model
from weather import get_weather


class Place(BaseModel):
    """A city and its country."""

    city: str
    country: str


def main() -> None:
    """Show each once."""
    llm = ChatOpenAI(
        base_url=address(), api_key=SecretStr("none"), model=chat_model(), max_tokens=200
    )
    answer = llm.invoke([("system", "Be brief."), ("human", "What is NVIDIA NIM?")])
    used = answer.usage_metadata or {}
    print(f"Chat:   {answer.text} [{used.get('total_tokens')} tokens]")

    print("Stream: ", end="")
    for chunk in llm.stream("Please count to 10."):
        print(chunk.text, end="", flush=True)
    print()

    print("Tool:")
    messages: list[AnyMessage] = [HumanMessage("What is the weather in Paris?")]
    with_tools = llm.bind_tools([get_weather])
    asked = with_tools.invoke(messages)
    messages.append(asked)
    messages += [
        ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
        for call in asked.tool_calls
    ]
    print(f"  {with_tools.invoke(messages).text}")

    place = llm.with_structured_output(Place, method="json_schema").invoke("Paris is in France.")
    print(f"Object: {place!r}")


if __name__ == "__main__":
    main()
