"""A reasoning model: its reasoning and its content, streaming and not.

    python examples/reasoning.py

This model reasons if the system message says so. The setting `thinking` of docs/reasoning.md
switches reasoning for every model family.
"""

from typing import Any

from stack import chat_model, openai_client

MODEL = "nvidia/llama-3.1-nemotron-nano-8b-v1"
QUESTION = "What is 17 times 3?"


def reasoning_of(part: Any) -> str:
    """The reasoning in a message or delta, whatever the NIM calls it."""
    return getattr(part, "reasoning_content", None) or ""


def main() -> None:
    """Ask twice."""
    request: dict[str, Any] = {
        "model": chat_model(MODEL),
        "messages": [
            {"role": "system", "content": "detailed thinking on"},
            {"role": "user", "content": QUESTION},
        ],
        # Reasoning counts as output: with too few tokens, the content never begins.
        "max_tokens": 2000,
    }
    client = openai_client()
    message = client.chat.completions.create(**request).choices[0].message
    print(f"Reasoning: {reasoning_of(message)}")
    print(f"Content:   {message.content}")

    phase = ""
    for chunk in client.chat.completions.create(**request, stream=True):
        for choice in chunk.choices:
            delta = choice.delta
            for name, text in (("reasoning", reasoning_of(delta)), ("content", delta.content)):
                if text and name != phase:
                    print(f"\nStreamed {name}: ", end="")
                    phase = name
                print(text or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
