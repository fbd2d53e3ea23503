"""A model that thinks first: its thinking apart from its answer, whole and in a stream.

    python examples/reasoning.py

This model thinks when the system message says so; docs/reasoning.md has the other families, and the
setting `thinking` that does it for all of them in run.yaml.
"""

from typing import Any

from stack import chat_model, openai_client

THINKER = "nvidia/llama-3.1-nemotron-nano-8b-v1"
QUESTION = "What is 17 times 3?"


def thought(part: Any) -> str:
    """The thinking in a message or a piece of one; OpenAI's types have no field for it."""
    return getattr(part, "reasoning_content", None) or ""


def main() -> None:
    """Ask twice."""
    request: dict[str, Any] = {
        "model": chat_model(THINKER),
        "messages": [
            {"role": "system", "content": "detailed thinking on"},
            {"role": "user", "content": QUESTION},
        ],
        # Thinking counts as output: too few tokens, and the answer never begins.
        "max_tokens": 2000,
    }
    client = openai_client()
    message = client.chat.completions.create(**request).choices[0].message
    print(f"Thinking: {thought(message)}")
    print(f"Answer:   {message.content}")

    phase = ""
    for chunk in client.chat.completions.create(**request, stream=True):
        for choice in chunk.choices:
            delta = choice.delta
            for name, text in (("thinking", thought(delta)), ("answer", delta.content)):
                if text and name != phase:
                    print(f"\nStreamed {name}: ", end="")
                    phase = name
                print(text or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
