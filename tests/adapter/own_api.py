"""A chat in the API that the release has: the native one up to 0.2.24, OpenAI's after it.

For tests that ask for something that does not depend on the API.
"""

from typing import Any

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter

from .conftest import MODEL


async def chat(
    adapter: NVIDIAInferenceAdapter,
    model: str = MODEL,
    said: str = "hello",
    *,
    stream: bool = False,
    schema: dict[str, Any] | None = None,
) -> Any:
    """The answer, or an iterator of its events."""
    if stack.NATIVE:
        messages = [stack.UserMessage(content=said)]
        wanted = schema and {"type": "json_schema", "json_schema": schema}
        return await adapter.chat_completion(model, messages, response_format=wanted, stream=stream)
    messages = [{"role": "user", "content": said}]
    more: dict[str, Any] = {}
    if schema:
        inner = {"name": "answer", "schema": schema}
        more["response_format"] = {"type": "json_schema", "json_schema": inner}
    return await adapter.openai_chat_completion(
        model=model, messages=messages, stream=stream, **more
    )


def text_of(answer: Any) -> str:
    """The text of a whole answer."""
    message = answer.completion_message if stack.NATIVE else answer.choices[0].message
    return str(message.content)


def text_in(event: Any) -> str:
    """The text in an event of a stream, empty when it has none."""
    if stack.NATIVE:
        delta = event.event.delta
        return delta.text if isinstance(delta, stack.TextDelta) else ""
    return "".join(choice.delta.content or "" for choice in event.choices)


async def text_of_stream(stream: Any) -> str:
    """The text of a stream."""
    return "".join([text_in(event) async for event in stream])
