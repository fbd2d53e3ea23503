"""The openai SDK with the server: models, chat, stream, tools, embeddings.

    pip install openai
    python examples/openai_sdk.py

A program written for OpenAI needs two values: the address, which ends in /v1 (in Llama Stack 0.2.x
in /v1/openai/v1), and any key, because the server has the NIM's key.
"""

from openai import OpenAI

from stack import address, chat_model, named
from weather import TOOL


def main() -> None:
    """Show each once."""
    client = OpenAI(base_url=address(), api_key="none")
    model = chat_model()
    print(f"Models:     {', '.join(entry.id for entry in client.models.list())}")

    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "What is NVIDIA NIM?"}], max_tokens=100
    )
    tokens = answer.usage.total_tokens if answer.usage else 0
    print(f"Chat:       {answer.choices[0].message.content} [{tokens} tokens]")

    print("Stream:     ", end="")
    for chunk in client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Please count to 10."}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f" [{chunk.usage.completion_tokens} tokens]")

    asked = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What is the weather in Paris and in Tokyo?"}],
        tools=[TOOL],
    ).choices[0]
    for call in asked.message.tool_calls or []:
        if call.type == "function":
            print(f"Tool call:  {call.function.name}({call.function.arguments})")

    vectors = client.embeddings.create(
        model=named("nvidia/nv-embedqa-e5-v5"), input=["What is NIM?", "A cat sat on the mat."]
    )
    sizes = {len(entry.embedding) for entry in vectors.data}
    print(f"Embeddings: {len(vectors.data)} vectors of {sizes} numbers")


if __name__ == "__main__":
    main()
