"""Complete choices for the openai SDK's classes, as they were decoded to dicts."""

import uuid
from typing import Any

import msgspec

from .finish_reasons import LENGTH, STOP, TOOL_CALLS, openai_finish_reason
from .logprobs import normalize_chat_logprobs, normalize_completion_logprobs
from .normalize import Choice
from .structs import ChatChoice
from .tool_call_assembler import ToolCallAssembler, ToolCallNumberer


def complete_message(choice: dict[str, Any], known: ChatChoice) -> None:
    """Put right what has an unusual form in the message of a whole choice.

    Args:
        choice: As it was decoded.
        known: The same, as ``nim.responses.normalize`` read it.
    """
    message = choice["message"]
    message["role"] = "assistant"
    message.setdefault("content", None)
    rename_reasoning(message)
    read = known.message.tool_calls if known.message is not None else None
    if not read:  # none, or the text "null"
        message.pop("tool_calls", None)
        settle_tool_calls(choice, None)
        return
    assembler = ToolCallAssembler(whole=True)
    for call in read:
        assembler.feed(call)
    assembler.finish()  # fails if one has no name
    settle_tool_calls(choice, assembler)
    cut = choice["finish_reason"] == LENGTH
    for call in message["tool_calls"]:
        call["id"] = call.get("id") or f"call_{uuid.uuid4().hex}"
        complete_call(call)
        if not cut:  # an empty text is no JSON
            call["function"]["arguments"] = call["function"]["arguments"] or "{}"


def finish_reason(choice: dict[str, Any]) -> str:
    """Return the reason of a whole choice without one, which the SDK's class must have."""
    message = choice.get("message")
    return TOOL_CALLS if isinstance(message, dict) and message.get("tool_calls") else STOP


def settle_tool_calls(
    choice: dict[str, Any], calls: ToolCallAssembler | ToolCallNumberer | None
) -> None:
    """Correct the finish reason of a choice that says it called tools.

    Without any call it has stopped; with one that breaks off it was out of tokens (vLLM says
    ``tool_calls`` of both).

    Args:
        choice: As it was decoded.
        calls: Of the choice, None without any.
    """
    if choice.get("finish_reason") == TOOL_CALLS:
        if not calls:
            choice["finish_reason"] = STOP
        elif calls.is_cut:
            choice["finish_reason"] = LENGTH


def rename_reasoning(written: dict[str, Any]) -> None:
    """Rename reasoning in a message or delta to ``reasoning_content``."""
    if "reasoning" in written:
        reasoning = written.pop("reasoning")
        if reasoning and not written.get("reasoning_content"):
            written["reasoning_content"] = reasoning


def complete_choice(choice: dict[str, Any], known: Choice) -> None:
    """Put right what has an unusual form in a choice.

    Args:
        choice: As it was decoded.
        known: The same, as ``nim.responses.normalize`` read it; its index is filled in.
    """
    choice["index"] = known.index
    is_chat = isinstance(known, ChatChoice)
    if known.finish_reason:
        known.finish_reason = openai_finish_reason(known.finish_reason, chat=is_chat)
    choice["finish_reason"] = known.finish_reason or None
    if known.logprobs is None:
        choice["logprobs"] = None
    else:
        normalize = normalize_chat_logprobs if is_chat else normalize_completion_logprobs
        normalize(choice["logprobs"])


def complete_call(call: dict[str, Any]) -> None:
    """Put right what has an unusual form in a tool call or a fragment of one."""
    if call.get("type") is not None or call.get("id"):
        call["type"] = "function"
    function = call.get("function")
    if not isinstance(function, dict):  # null, or that word
        call["function"] = None
        return
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        # Null, or decoded, as some servers send them.
        function["arguments"] = "" if arguments is None else msgspec.json.encode(arguments).decode()
