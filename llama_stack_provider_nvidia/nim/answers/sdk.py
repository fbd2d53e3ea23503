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

from .. import error_bodies, errors
from .shape import Choice, check_whole, read_choices, usable_usage
from .toolcalls import ToolCallAssembler
from .wire import ChatChoice

Answer = TypeVar("Answer", bound=BaseModel)

_OBJECTS: dict[type[BaseModel], str] = {
    ChatCompletion: "chat.completion",
    ChatCompletionChunk: "chat.completion.chunk",
    Completion: "text_completion",
}
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
_IDLE = frozenset(
    (
        *("annotations", "bytes", "role", "service_tier", "system_fingerprint", "text_offset"),
        *("prompt_tokens_details", "completion_tokens_details"),
    )
)
"""Fields that say nothing of the answer."""


def decode_answer(data: bytes, kind: type[Answer], model: str, answers: int = 1) -> Answer:
    """Decode a whole answer.

    Args:
        data: The body of the response.
        kind: The SDK's class of it.
        model: The model's name as the caller knows it.
        answers: How many choices were asked for.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is not what the NIM's API defines; see ``nim.answers.shape``.
    """
    body = with_head(decode_object(data), kind, model, spare_id())
    # Servers read the counts of a whole answer unguarded.
    body["usage"] = body.get("usage") or dict(_NO_USAGE)
    read = read_choices(body["choices"], chat=kind is not Completion)
    check_whole(read, answers)
    for choice, known in zip(body["choices"], read, strict=True):
        if isinstance(known, ChatChoice):
            _complete_message(choice, known)
        complete_choice(choice, known)
        choice["finish_reason"] = known.finish_reason or _reason(choice)
    return validated(body, kind)


def _complete_message(choice: dict[str, Any], known: ChatChoice) -> None:
    message = choice["message"]
    message["role"] = "assistant"
    message.setdefault("content", None)
    calls = message.get("tool_calls")
    if not calls:
        message.pop("tool_calls", None)
        return
    of_message = known.message.tool_calls if known.message is not None else None
    assembler = ToolCallAssembler(whole=True)
    for call in of_message or ():
        assembler.feed(call)
    assembler.finish()  # fails if one has no name
    cut = known.finish_reason == "length"
    for call in calls:
        call["id"] = call.get("id") or f"call_{uuid.uuid4().hex}"
        complete_call(call)
        if not cut:  # an empty text is no JSON
            call["function"]["arguments"] = call["function"]["arguments"] or "{}"


def _reason(choice: dict[str, Any]) -> str:
    """Give the finish reason of a whole answer without one: the SDK's class must have it."""
    return "tool_calls" if (choice.get("message") or {}).get("tool_calls") else "stop"


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
        raise errors.malformed(
            f"The NIM's answer cannot be read: {error}. It begins with {data[:80]!r}."
        ) from error
    if isinstance(body, dict):
        if body.get("error"):
            raise errors.from_report(body)
        if body.get("choices") is not None or body.get("usage") is not None:
            return body
        if error_bodies.message_in(body):  # a flat report, such as NIM 1.x sends
            raise errors.from_report(body)
    raise errors.malformed(f"The NIM sent an answer without choices: {data[:80]!r}.")


def with_head(
    body: dict[str, Any], kind: type[BaseModel], model: str, spare: str
) -> dict[str, Any]:
    """Fill in what a NIM leaves out around the choices, or has wrong there, and give it back.

    Args:
        body: An answer, or a chunk of one, as it was decoded.
        kind: The SDK's class of it.
        model: The model's name as the caller knows it.
        spare: The id of an answer without one.
    """
    body["object"] = _OBJECTS[kind]
    body["model"] = model
    given = body.get("id")
    if type(given) is not str or not given:
        body["id"] = spare
    created = body.get("created")
    if type(created) is not int or created <= 0:
        body["created"] = int(time.time())
    if body.get("choices") is None:
        body["choices"] = []
    usage = body.get("usage")
    if usage is not None:
        body["usage"] = usable_usage(usage)
    return body


def complete_choice(choice: dict[str, Any], known: Choice) -> None:
    """Put right what has an unusual form in a choice.

    Args:
        choice: As it was decoded.
        known: The same, as ``nim.answers.shape`` read it; its index is filled in.
    """
    choice["index"] = known.index
    choice["finish_reason"] = known.finish_reason or None
    if not isinstance(known, ChatChoice) or known.logprobs is None:
        return
    for token in choice["logprobs"].get("content") or ():
        token["top_logprobs"] = token.get("top_logprobs") or []


def complete_call(call: dict[str, Any]) -> None:
    """Put right what has an unusual form in a tool call or a fragment of one."""
    if call.get("type") is not None or call.get("id"):
        call["type"] = "function"
    function = call.get("function")
    if function is None:
        return
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        # Null, or decoded, as some servers send them.
        function["arguments"] = "" if arguments is None else msgspec.json.encode(arguments).decode()


def validated(body: dict[str, Any], kind: type[Answer]) -> Answer:
    """Make the SDK's object; one with a word that the SDK does not know, as it is.

    Raises:
        ServerError: A value has a wrong type; the text says where.
    """
    try:
        return _made(body, kind)
    except ValidationError as error:
        problems = _problems(error)
    if not problems:
        return kind.construct(**body)
    for choice in body["choices"]:
        # Readers take them for granted.
        if kind is Completion:
            choice["text"] = choice.get("text") or ""
        elif kind is ChatCompletionChunk:
            choice["delta"] = choice.get("delta") or {}
    for problem in problems:
        _remove_idle(body, problem["loc"])
    try:
        return _made(body, kind)
    except ValidationError as error:
        problems = _problems(error)
    if not problems:
        return kind.construct(**body)
    where = ".".join(map(str, problems[0]["loc"]))
    raise errors.malformed(f"The NIM's answer cannot be read: {where}: {problems[0]['msg']}.")


def _made(body: dict[str, Any], kind: type[Answer]) -> Answer:
    if kind is not Completion:
        return kind.model_validate(body)
    # The SDK's class has no place for a choice that goes on. To make one all the same, as its
    # own ``construct`` would, takes twice as long.
    going_on = [choice for choice in body["choices"] if choice.get("finish_reason") is None]
    for choice in going_on:
        choice["finish_reason"] = "stop"
    try:
        made = kind.model_validate(body)
    finally:
        for choice in going_on:
            choice["finish_reason"] = None
    if going_on:
        for choice, one in zip(body["choices"], made.choices, strict=True):  # type: ignore[attr-defined]
            one.finish_reason = choice["finish_reason"]
    return made


def _problems(error: ValidationError) -> list[Any]:
    """Give what is wrong but for what is only unusual.

    That is a word that the SDK does not know, such as another finish reason, and a token without
    a probability, such as the first of all.
    """
    return [
        problem
        for problem in error.errors(include_url=False, include_context=False)
        if not (problem["type"] == "literal_error" and isinstance(problem["input"], str))
        and not (
            problem["input"] is None
            and "logprobs" in problem["loc"]
            and "content" not in problem["loc"]
        )
    ]


def _remove_idle(body: dict[str, Any], place: tuple[Any, ...]) -> None:
    """Remove the field at a place, if it says nothing of the answer."""
    holder: Any = body
    for key in place:
        if isinstance(holder, dict) and key in holder:
            if key in _IDLE:
                del holder[key]
                return
            holder = holder[key]
        elif isinstance(holder, list) and isinstance(key, int):
            holder = holder[key]
        # Else it is the name of a class: they stand in a place where there are several.


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
