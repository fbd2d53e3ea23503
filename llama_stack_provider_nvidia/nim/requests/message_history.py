"""Repair of message histories that a NIM would refuse."""

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

logger = logging.getLogger(__name__)

INVALID_JSON = "invalid_json"
"""Key under which the text of a broken tool call goes back to the model."""

_REASONING = ("reasoning_content", "reasoning")

Message = Mapping[str, Any]


def repair_tool_calls(messages: Sequence[Message]) -> list[Message]:
    r"""Return the messages with JSON objects as the arguments of all earlier tool calls.

    A model that was cut off, or a small one, leaves arguments such as ``{"city": "Par``. Engines
    decode the arguments of the whole history for the chat template and refuse every further
    request with a 400 (vLLM 0.31: "Unterminated string starting at ..."). Such a text goes back as
    ``{"invalid_json": "{\"city\": \"Par"}``: valid, and the model sees what it wrote. No
    arguments at all go back as ``{}``. Nothing else is changed.

    Args:
        messages: Of a chat request; they are left as they are.
    """
    return [_repaired(message, n) for n, message in enumerate(messages)]


def _repaired(message: Message, position: int) -> Message:
    calls = message.get("tool_calls") if message.get("role") == "assistant" else None
    if not isinstance(calls, list):
        return message
    repaired = [
        _repaired_call(call, f"messages[{position}].tool_calls[{n}].function.arguments")
        for n, call in enumerate(calls)
    ]
    changed = any(new is not old for new, old in zip(repaired, calls, strict=True))
    return {**message, "tool_calls": repaired} if changed else message


def _repaired_call(call: Any, field: str) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    arguments = function.get("arguments")
    text = object_text(arguments)
    if text == arguments:
        return call
    if arguments:
        _warn_once()
        logger.debug("%s is not a JSON object and was sent as %s", field, INVALID_JSON)
    return {**call, "function": {**function, "arguments": text}}


def object_text(arguments: Any) -> str:
    """Return the JSON text of an object for the arguments of a tool call.

    Args:
        arguments: The text that a model wrote, or what was decoded of it.
    """
    if arguments is None or arguments == "":
        return "{}"
    if not isinstance(arguments, str):
        decoded = arguments
        arguments = json.dumps(arguments, ensure_ascii=False)
    else:
        try:
            decoded = json.loads(arguments)
        except (ValueError, RecursionError):
            decoded = None
    if isinstance(decoded, dict):
        return str(arguments)
    return json.dumps({INVALID_JSON: arguments}, ensure_ascii=False)


@functools.cache
def _warn_once() -> None:
    logger.warning(
        "A tool call in the history of a chat has arguments that are not a JSON object, which "
        'engines refuse: they are sent as {"%s": "..."}. Further ones are not reported.',
        INVALID_JSON,
    )


def rename_reasoning(messages: Sequence[Message], name: str) -> list[Message]:
    """Return the messages with earlier reasoning under the name that the engine reads.

    Args:
        messages: Of a chat request; they are left as they are.
        name: ``reasoning`` (vLLM, which up to 0.30 ignores the other name) or
            ``reasoning_content`` (SGLang, Dynamo, llama.cpp).
    """
    return [_renamed(message, name) for message in messages]


def _renamed(message: Message, name: str) -> Message:
    if message.get("role") != "assistant" or not any(key in message for key in _REASONING):
        return message
    text = next((message[key] for key in (name, *_REASONING) if message.get(key)), None)
    rest = {key: value for key, value in message.items() if key not in _REASONING}
    return rest if text is None else {**rest, name: text}
