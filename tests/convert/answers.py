"""Builds answers in both forms the converters read: the SDK's objects and our structs."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llama_stack_provider_nvidia.convert import (
    convert_openai_chat_completion_choice,
    convert_openai_chat_completion_stream,
    convert_openai_completion_choice,
    convert_openai_completion_stream,
)
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT, COMPLETION

Build = Callable[[dict[str, Any], str], Any]

_SDK = {"chat": ChatCompletion, "chat stream": ChatCompletionChunk, "completion": Completion}


def sdk(data: dict[str, Any], kind: str) -> Any:
    """As the SDK makes it of a response: without validation, missing fields are None."""
    return _SDK[kind].construct(**data)


def struct(data: dict[str, Any], kind: str) -> Any:
    """As we decode it from the wire."""
    codec: Any = COMPLETION if kind == "completion" else CHAT
    return codec.decode_chunk(json.dumps(data).encode())


FORMS = (sdk, struct)


def message(build: Build, *, finish_reason: Any = "stop", logprobs: Any = None, **fields: Any):
    """Convert a whole chat answer."""
    choice = {"index": 0, "message": fields, "finish_reason": finish_reason, "logprobs": logprobs}
    return convert_openai_chat_completion_choice(build({"choices": [choice]}, "chat").choices[0])


def calls(build: Build, *elements: Any, finish_reason: Any = "tool_calls") -> list[Any]:
    """Convert a whole chat answer and give its tool calls."""
    answer = message(build, finish_reason=finish_reason, content=None, tool_calls=list(elements))
    return answer.completion_message.tool_calls


def call(arguments: Any = "{}", name: Any = "get_weather", **fields: Any) -> dict[str, Any]:
    """One element of ``tool_calls``."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def delta(finish_reason: Any = None, *, logprobs: Any = None, index: Any = 0, **fields: Any):
    """One chunk of a chat stream, as a dict."""
    choice = {"index": index, "delta": fields, "finish_reason": finish_reason}
    return {"choices": [{**choice, "logprobs": logprobs}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


async def arriving(chunks: list[Any]) -> AsyncGenerator[Any, None]:
    for chunk in chunks:
        yield chunk


async def events(build: Build, *chunks: dict[str, Any]) -> list[Any]:
    """Convert a chat stream and give its events."""
    built = arriving([build(chunk, "chat stream") for chunk in chunks])
    return [made.event async for made in convert_openai_chat_completion_stream(built)]


def completion(build: Build, **choice: Any) -> Any:
    """Convert a whole completion."""
    built = build({"choices": [{"index": 0, **choice}]}, "completion")
    return convert_openai_completion_choice(built.choices[0])


async def completions(build: Build, *chunks: dict[str, Any]) -> list[Any]:
    """Convert a completion stream."""
    built = arriving([build(chunk, "completion") for chunk in chunks])
    return [made async for made in convert_openai_completion_stream(built)]


def shown(event: Any) -> Any:
    """An event in short: its kind for start and complete, else its text or tool call."""
    kind = event.event_type.value
    if kind != "progress":
        return kind
    if event.delta.type == "text":
        return event.delta.text
    status = event.delta.parse_status.value
    made = event.delta.tool_call
    return status if made == "" else (status, made if isinstance(made, str) else made.tool_name)
