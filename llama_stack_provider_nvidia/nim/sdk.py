"""From the bytes of an answer to the openai SDK's own classes.

Llama Stack's OpenAI-style calls give their answers in these classes, which keep every field
that a NIM sends, known or not. The SDK's own reader takes 15 times as long per chunk, and its
objects lack what a NIM leaves out; servers read those fields unguarded.
"""

import time
import uuid
from typing import Any, TypeVar

import msgspec
from openai import BaseModel
from openai.types import Completion
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageToolCall,
)
from openai.types.chat.chat_completion_chunk import (
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from pydantic import TypeAdapter, ValidationError

from . import error_bodies, errors

Answer = TypeVar("Answer", bound=BaseModel)

_OBJECTS: dict[type[BaseModel], str] = {
    ChatCompletion: "chat.completion",
    ChatCompletionChunk: "chat.completion.chunk",
    Completion: "text_completion",
}
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def decode_answer(data: bytes, kind: type[Answer], model: str) -> Answer:
    """Decode a whole answer.

    Args:
        data: The body of the response.
        kind: The SDK's class of it.
        model: The model's name as the caller knows it.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is not what the NIM's API defines.
    """
    body = decode_object(data)
    if not body.get("choices"):
        raise errors.ServerError(f"The NIM sent an answer without choices: {data[:80]!r}.")
    # Servers read the counts of a whole answer unguarded.
    body["usage"] = {**_NO_USAGE, **(body.get("usage") or {})}
    return validated(completed(body, kind, model, spare_id()), kind)


def spare_id() -> str:
    """Make an id for an answer that came without one: stacks keep answers by their ids."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def decode_object(data: bytes) -> dict[str, Any]:
    """Decode an answer, or a chunk of one.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is not what the NIM's API defines.
    """
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.ServerError(
            f"The NIM's answer cannot be read: {error}. It begins with {data[:80]!r}."
        ) from error
    if isinstance(body, dict):
        if body.get("error"):
            raise errors.from_report(body)
        if body.keys() & {"choices", "usage"}:
            return body
        if error_bodies.message_in(body):  # a flat report, such as NIM 1.x sends
            raise errors.from_report(body)
    raise errors.ServerError(f"The NIM sent an answer without choices: {data[:80]!r}.")


def completed(
    body: dict[str, Any], kind: type[BaseModel], model: str, spare: str
) -> dict[str, Any]:
    """Fill in what a NIM leaves out of an answer, or of a chunk of one, and give it back.

    Args:
        body: As it was decoded.
        kind: The SDK's class of it.
        model: The model's name as the caller knows it.
        spare: The id of an answer without one.
    """
    body["object"] = _OBJECTS[kind]
    body["model"] = model
    body["id"] = body.get("id") or spare
    body["created"] = body.get("created") or int(time.time())
    body["choices"] = body.get("choices") or []
    for position, choice in enumerate(body["choices"]):
        _complete(choice, position, kind)
    return body


def validated(body: dict[str, Any], kind: type[Answer]) -> Answer:
    """Make the SDK's object; one with a value that the SDK does not know, as it is."""
    try:
        return kind.model_validate(body)
    except ValidationError:
        # Such as another finish reason.
        return kind.construct(**body)


def _complete(choice: dict[str, Any], position: int, kind: type[BaseModel]) -> None:
    """Fill in what some servers leave out and readers of the answer take for granted."""
    if choice.get("index") is None:
        choice["index"] = position
    if kind is Completion:
        choice["text"] = choice.get("text") or ""
        return
    part = "delta" if kind is ChatCompletionChunk else "message"
    message = choice[part] = choice.get(part) or {}
    if part == "message":
        message["role"] = message.get("role") or "assistant"
        message.setdefault("content", None)
        choice["finish_reason"] = choice.get("finish_reason") or "stop"
    _complete_calls(message)
    for token in (choice.get("logprobs") or {}).get("content") or ():
        token["top_logprobs"] = token.get("top_logprobs") or []


def _complete_calls(message: dict[str, Any]) -> None:
    calls = message.get("tool_calls") or ()
    for call in calls:
        function = call.get("function")
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
            # Some servers send the arguments decoded.
            function["arguments"] = msgspec.json.encode(function["arguments"]).decode()
    if not calls:
        message.pop("tool_calls", None)


def call_of_answer(call: tuple[int, str, str, str]) -> ChatCompletionMessageToolCall:
    """Make the SDK's class of a tool call that was found in a whole answer's text."""
    _, call_id, name, arguments = call
    function = {"name": name, "arguments": arguments}
    fields = {"id": call_id, "type": "function", "function": function}
    return TypeAdapter(ChatCompletionMessageToolCall).validate_python(fields)


def call_of_chunk(call: tuple[int, str, str, str]) -> ChoiceDeltaToolCall:
    """Make the SDK's class of a tool call that was found in a stream's text."""
    index, call_id, name, arguments = call
    function = ChoiceDeltaToolCallFunction(name=name, arguments=arguments)
    return ChoiceDeltaToolCall(index=index, id=call_id, type="function", function=function)


def last_chunk(
    like: ChatCompletionChunk | None, rest: tuple[int, str, str, list[ChoiceDeltaToolCall]]
) -> ChatCompletionChunk:
    """Make the chunk of what was held back to the end of a stream.

    Args:
        like: The stream's last chunk.
        rest: Index, thinking, text and tool calls of a choice.
    """
    index, thinking, text, calls = rest
    delta: dict[str, Any] = {"content": text or None, "reasoning_content": thinking or None}
    if calls:
        delta["tool_calls"] = [call.model_dump() for call in calls]
    choice = {"index": index, "delta": delta, "finish_reason": None}
    head = {"id": "unknown", "created": int(time.time()), "model": "unknown"}
    if like is not None:
        head = {"id": like.id, "created": like.created, "model": like.model}
    fields = {**head, "object": "chat.completion.chunk", "choices": [choice]}
    return ChatCompletionChunk.model_validate(fields)
