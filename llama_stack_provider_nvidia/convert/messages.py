"""Convert messages of the native API to chat messages."""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from .. import stack
from ..nim.errors import invalid
from .content import text_of, user_content
from .native_types import CompletionMessage, Content, Message, ToolCall

if TYPE_CHECKING:
    from openai.types.chat import (
        ChatCompletionAssistantMessageParam,
        ChatCompletionContentPartParam,
        ChatCompletionMessageParam,
        ChatCompletionMessageToolCallParam,
    )

_ROLES = "user, system, assistant or tool"
_END_OF_TURN = "end_of_turn"  # the value of ``StopReason.end_of_turn``


def convert_messages(
    messages: Sequence[Message | Mapping[str, object]],
) -> "list[ChatCompletionMessageParam]":
    """Convert a conversation.

    Raises:
        InvalidRequestError: A message cannot be sent; the text names it by its position.
    """
    if not messages:
        raise invalid("messages", "is empty: there must be at least one message")
    return [convert_message(message, f"messages[{n}]") for n, message in enumerate(messages)]


def convert_message(
    message: Message | Mapping[str, object], field: str = "message"
) -> "ChatCompletionMessageParam":
    """Convert one message.

    Args:
        message: A native message, or a dict with the fields of one; the role ``ipython`` means
            ``tool``, as in the first releases of Llama Stack.
        field: Where it stands in the request, for errors.

    Raises:
        InvalidRequestError: The role is missing or unknown, or the content cannot be sent.
    """
    if isinstance(message, dict):
        message = _from_dict(message, field)
    if isinstance(message, stack.UserMessage):
        content = message.content
        if not isinstance(content, str):
            content = user_content(content, f"{field}.content")
        return {"role": "user", "content": _with_context(content, message.context, field)}
    if isinstance(message, stack.SystemMessage):
        return {"role": "system", "content": _text(message.content, field)}
    if isinstance(message, stack.ToolResponseMessage):
        return {
            "role": "tool",
            "tool_call_id": message.call_id,
            "content": _text(message.content, field),
        }
    if isinstance(message, stack.CompletionMessage):
        return _assistant(message, field)
    raise invalid(field, f"{type(message).__name__} is not a message of {_ROLES}")


def _from_dict(message: dict[str, Any], field: str) -> Message:
    if "role" not in message:
        raise invalid(f"{field}.role", f"is missing: it must be {_ROLES}")
    role = message["role"]
    rest = {key: value for key, value in message.items() if key != "role"}
    try:
        made: Message
        if role == "user":
            made = stack.UserMessage(**rest)
        elif role == "system":
            made = stack.SystemMessage(**rest)
        elif role in ("tool", "ipython"):
            made = stack.ToolResponseMessage(**rest)
        elif role == "assistant":
            made = stack.CompletionMessage(**{"stop_reason": _END_OF_TURN, **rest})
        else:
            raise invalid(f"{field}.role", f"{role!r} does not exist: it must be {_ROLES}")
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join([field, *(str(part) for part in problem["loc"])])
        raise invalid(where, problem["msg"]) from error
    return made


def _with_context(
    content: "str | list[ChatCompletionContentPartParam]", context: Content | None, field: str
) -> "str | list[ChatCompletionContentPartParam]":
    """Append retrieved context to what the user wrote, as Llama Stack's own prompts do."""
    if not context:
        return content
    added = text_of(context, f"{field}.context")
    if isinstance(content, str):
        return f"{content}\n\n{added}"
    return [*content, {"type": "text", "text": added}]


def _text(content: Content, field: str) -> str:
    return content if isinstance(content, str) else text_of(content, f"{field}.content")


def _assistant(message: CompletionMessage, field: str) -> "ChatCompletionAssistantMessageParam":
    converted: ChatCompletionAssistantMessageParam = {"role": "assistant"}
    content = _text(message.content, field)
    calls = [_tool_call(call) for call in message.tool_calls or ()]
    # Some chat templates and hosted models refuse an empty text beside tool calls.
    if content or not calls:
        converted["content"] = content
    if calls:
        converted["tool_calls"] = calls
    return converted


def _tool_call(call: ToolCall) -> "ChatCompletionMessageToolCallParam":
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": tool_name(call.tool_name), "arguments": _arguments(call)},
    }


def tool_name(name: str | Enum) -> str:
    """Return the name of a tool on the wire: a built-in tool goes by its value."""
    return str(name.value) if isinstance(name, Enum) else str(name)


def _arguments(call: ToolCall) -> str:
    """Return the text of a call's arguments, not necessarily JSON: ``nim.plan`` repairs that.

    The text the model wrote, kept in ``arguments_json``, comes before the decoded form.
    """
    if call.arguments_json:
        return str(call.arguments_json)
    if isinstance(call.arguments, dict):
        return json.dumps(call.arguments, ensure_ascii=False)
    return call.arguments or "{}"
