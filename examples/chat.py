"""A chat with llama-stack-client: a response, then a stream.

    python examples/chat.py

The client must be of the server's release (`pip install llama-stack-client==0.7.3`). OGX's own
client, ogx-client, takes the same calls; from 1.1 on it prints harmless warnings about its types.
"""

from typing import Any

from stack import URL, chat_model

try:
    from llama_stack_client import LlamaStackClient
except ImportError:  # Llama Stack is called OGX now
    from ogx_client import OgxClient as LlamaStackClient  # type: ignore[no-redef]


def main() -> None:
    """Ask two questions."""
    client: Any = LlamaStackClient(base_url=URL)  # its types differ between releases
    model = chat_model()

    answer = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "Answer in one short sentence."},
            {"role": "user", "content": "What is NVIDIA NIM?"},
        ],
        max_tokens=100,
    )
    choice = answer.choices[0]
    # OGX's client wraps the text from 1.1 on.
    text = getattr(choice.message.content, "actual_instance", choice.message.content)
    print(f"{model}: {text} [{choice.finish_reason}]")

    print("In a stream: ", end="")
    pieces = 0
    for chunk in client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Please count to 20."}],
        max_tokens=100,
        stream=True,
    ):
        # The last chunks of a stream may have no choices, or no text.
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
            pieces += 1
    print(f"\nThat came in {pieces} pieces.")


if __name__ == "__main__":
    main()
