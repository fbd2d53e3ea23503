"""Validation of parameter ranges and combinations.

Ranges and wordings follow the sampling parameters and request models of the vLLM server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .dialect import Dialect
from .errors import Problem, RefusalError, literal_error, validation_refusal
from .request_models import ChatRequest, CompletionRequest, Message, NamedChoice

_MOST_ANSWERS = 16384
"""Default of vLLM's ``VLLM_MAX_N_SEQUENCES``."""


class _Range(NamedTuple):
    """The range of one field."""

    field: str
    allowed: Callable[[Any], bool]
    message: str
    named: bool
    """The error names the field."""


_RANGES = (
    _Range("n", lambda v: v >= 1, "n must be at least 1, got {}.", False),
    _Range(
        "n",
        lambda v: v <= _MOST_ANSWERS,
        f"n must be at most {_MOST_ANSWERS}, got {{}}. To increase this limit, set the "
        "VLLM_MAX_N_SEQUENCES environment variable.",
        False,
    ),
    _Range(
        "presence_penalty",
        lambda v: -2 <= v <= 2,
        "presence_penalty must be in [-2, 2], got {}.",
        False,
    ),
    _Range(
        "frequency_penalty",
        lambda v: -2 <= v <= 2,
        "frequency_penalty must be in [-2, 2], got {}.",
        False,
    ),
    _Range(
        "repetition_penalty",
        lambda v: v > 0,
        "repetition_penalty must be greater than zero, got {}.",
        False,
    ),
    _Range("temperature", lambda v: v >= 0, "temperature must be non-negative, got {}.", True),
    _Range("top_p", lambda v: 0 < v <= 1, "top_p must be in (0, 1], got {}.", True),
    _Range("min_p", lambda v: 0 <= v <= 1, "min_p must be in [0, 1], got {}.", False),
    _Range("max_tokens", lambda v: v >= 1, "max_tokens must be at least 1, got {}.", True),
    _Range(
        "max_completion_tokens", lambda v: v >= 1, "max_tokens must be at least 1, got {}.", True
    ),
    _Range(
        "min_tokens",
        lambda v: v >= 0,
        "min_tokens must be greater than or equal to 0, got {}.",
        False,
    ),
    _Range(
        "thinking_token_budget",
        lambda v: v >= -1,
        "thinking_token_budget must be at least -1, got {}.",
        True,
    ),
    _Range(
        "stop",
        lambda v: "" not in ([v] if isinstance(v, str) else v),
        "stop cannot contain an empty string.",
        False,
    ),
)


def validate_sampling(dialect: Dialect, request: ChatRequest | CompletionRequest) -> None:
    """Check ranges of sampling parameters, at the top level and in ``nvext``.

    Raises:
        RefusalError: A value is out of its range, or two values contradict each other.
    """
    greedy = request.temperature == 0
    for source in (request, request.nvext):
        for limit in _RANGES:
            value = getattr(source, limit.field, None)
            if value is not None and not (
                limit.allowed(value) or _tolerated(dialect, limit, value)
            ):
                raise RefusalError(
                    limit.message.format(value),
                    param=limit.field if limit.named else None,
                    value=value,
                    rule=limit.field,
                )
        top_k = getattr(source, "top_k", None)
        if greedy and not dialect.greedy_checks:
            continue
        if top_k is not None and (top_k < -1 or (top_k == 0 and not dialect.top_k_zero)):
            off = 0 if dialect.top_k_zero else -1
            raise RefusalError(
                f"top_k must be {off} (disable), or at least 1, got {top_k}.",
                value=top_k,
                rule="top_k",
            )
    if greedy and dialect.greedy_checks and (request.n or 1) > 1:
        raise RefusalError(
            f"n must be 1 when using greedy sampling, got {request.n}.",
            value=request.n,
            rule="greedy_n",
        )
    least, most = request.min_tokens, request.max_tokens
    if least and most and least > most and not dialect.min_over_max:
        raise RefusalError(
            f"min_tokens must be less than or equal to max_tokens={most}, got {least}.",
            value=least,
            rule="min_over_max",
            facts={"most": most},
        )
    lone_options = request.stream_options is not None and not request.stream
    if lone_options and not dialect.lone_stream_options:
        raise RefusalError(
            "Stream options can only be defined when `stream=True`.",
            param="stream_options",
            rule="stream_options",
        )


def _tolerated(dialect: Dialect, limit: _Range, value: object) -> bool:
    if limit.field == "stop":
        return dialect.empty_stops
    return dialect.empty_answers and value == 0 and limit.field.startswith("max_")


def validate_chat(dialect: Dialect, request: ChatRequest) -> None:
    """Check what only chats have: messages, tools, log probabilities.

    Raises:
        RefusalError: A rule of the dialect is broken.
    """
    if not request.messages:
        raise RefusalError(
            "Cannot apply chat template to an empty conversation. Provide at least one message.",
            rule="messages",
        )
    for index, message in enumerate(request.messages):
        _check_message(dialect, message, index)
    if dialect.alternates:
        _check_turns(request.messages)
    _check_tools(dialect, request)
    _check_effort(dialect, request.reasoning_effort)
    if request.top_logprobs is not None:
        if request.top_logprobs < 0:
            raise RefusalError(
                "`top_logprobs` must be a positive value.",
                param="top_logprobs",
                value=request.top_logprobs,
            )
        if request.top_logprobs > 0 and not request.logprobs and not dialect.lone_top_logprobs:
            raise RefusalError(
                "when using `top_logprobs`, `logprobs` must be set to true.", param="top_logprobs"
            )
        _check_logprobs(dialect.max_logprobs, request.top_logprobs, "top_logprobs")


def validate_completion(dialect: Dialect, request: CompletionRequest) -> None:
    """Check what only completions have.

    Raises:
        RefusalError: A rule of the dialect is broken.
    """
    if request.prompt in ("", []):
        raise RefusalError("prompt must not be empty", param="prompt", rule="prompt")
    if request.suffix:
        raise RefusalError("suffix is not currently supported", param="suffix", rule="suffix")
    if request.echo and request.stream and not dialect.echo_in_streams:
        raise RefusalError("echo is not supported together with stream=true", param="echo")
    if request.logprobs is not None:
        if request.logprobs < 0:
            raise RefusalError("`logprobs` must be a positive value.", param="logprobs")
        most = dialect.max_completion_logprobs or dialect.max_logprobs
        _check_logprobs(most, request.logprobs, "logprobs")


def _check_logprobs(most: int | None, wanted: int, rule: str) -> None:
    if most is not None and wanted > most:
        raise RefusalError(
            f"Requested sample logprobs of {wanted}, which is greater than max allowed: {most}",
            param="logprobs",
            value=wanted,
            rule=rule,
        )


def _check_turns(messages: Sequence[Message]) -> None:
    """Check that user and assistant take turns; tool calls and their results do not count."""
    turns = [
        message.role
        for message in messages
        if message.role == "user" or (message.role == "assistant" and not message.tool_calls)
    ]
    if any(one == other for one, other in pairwise(turns)):
        raise RefusalError(
            "Conversation roles must alternate between user and assistant", param="messages"
        )
    if messages[-1].role not in ("user", "tool"):
        raise RefusalError("The last message must be from the user", param="messages")


def _check_effort(dialect: Dialect, effort: str | float | None) -> None:
    allowed = dialect.reasoning_efforts
    if effort is None or allowed is None:
        return
    if isinstance(effort, str):
        fits = effort in allowed
    else:
        fits = dialect.numeric_effort and 0 <= effort < 1
    if not fits:
        raise literal_error("reasoning_effort", sorted(allowed), effort)


def _check_message(dialect: Dialect, message: Message, index: int) -> None:
    where = f"messages[{index}]"
    role = message.role
    if dialect.roles is not None and role not in dialect.roles:
        raise literal_error(f"messages.{index}.role", sorted(dialect.roles), role)
    if isinstance(message.content, list):
        allowed = dialect.list_content_roles
        if allowed is not None and role not in allowed:
            raise RefusalError(f"{where}.content: Input should be a valid string for role '{role}'")
        if role != "user" and any(part.type == "image_url" for part in message.content):
            raise RefusalError(f"{where}.content: only a user can send images")
    if message.content is None and role != "assistant":
        said = f"Input should be a valid string for role '{role}'"
        raise _message_problem("string_type", index, "content", said)
    if role == "tool" and not message.tool_call_id and dialect.tool_id_required:
        raise _message_problem("missing", index, "tool_call_id", "Field required for role 'tool'")
    for call in message.tool_calls or () if dialect.checks_arguments else ():
        # Chat templates need an object, so the server parses the text of the arguments.
        try:
            parsed = json.loads(call.function.arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise RefusalError(
                f"{where}.tool_calls: arguments of '{call.function.name}' are not JSON: {error}",
                rule="arguments",
            ) from None
        if not isinstance(parsed, dict):
            raise RefusalError(
                f"{where}.tool_calls: arguments of '{call.function.name}' are not an object"
            )


def _message_problem(kind: str, index: int, name: str, said: str) -> RefusalError:
    problem: Problem = {"type": kind, "loc": ("body", "messages", index, name), "msg": said}
    return validation_refusal([problem])


def _check_tools(dialect: Dialect, request: ChatRequest) -> None:
    if request.tools == [] and dialect.empty_tools is not None:
        raise RefusalError(dialect.empty_tools, param="tools")
    choice = request.tool_choice
    if not request.tools:
        if choice is not None and choice not in dialect.lone_tool_choices:
            raise RefusalError(
                "When using `tool_choice`, `tools` must be set.",
                param="tool_choice",
                rule="tool_choice",
            )
        return
    kind = "named" if isinstance(choice, NamedChoice) else choice or "auto"
    if kind not in dialect.tool_choices:
        raise literal_error("tool_choice", sorted(dialect.tool_choices), kind)
    if kind == "auto" and not dialect.auto_tools:
        raise RefusalError(
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        )
    if isinstance(choice, NamedChoice):
        names = [tool.function.name for tool in request.tools]
        if choice.function.name not in names:
            raise RefusalError(
                "The tool specified in `tool_choice` does not match any of the specified `tools`",
                param="tool_choice",
                rule="tool",
                facts={"name": choice.function.name},
            )
