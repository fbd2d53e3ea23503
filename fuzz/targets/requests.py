"""Fuzz target: requests, mapped for every dialect."""

import contextlib
from typing import Any

from pydantic import ValidationError

from fuzz.source import Source
from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.convert import (
    convert_chat_completion_request,
    convert_completion_request,
)
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.model_facts.registry import profile_of
from llama_stack_provider_nvidia.nim.requests.field_mapping import map_fields
from llama_stack_provider_nvidia.nim.requests.hosted_rules import apply_hosted_rules
from llama_stack_provider_nvidia.nim.requests.refusals import explain_refusal
from llama_stack_provider_nvidia.nim.requests.thinking import apply_reasoning
from llama_stack_provider_nvidia.nim.responses.output_guard import constraint_of

_KEYS = (
    *("role", "content", "type", "text", "image", "url", "uri", "data", "call_id", "tool_name"),
    *("arguments", "tool_calls", "stop_reason", "strategy", "temperature", "top_p", "top_k"),
    *("max_tokens", "repetition_penalty", "stop", "json_schema", "bnf", "properties", "items"),
    *("param_type", "description", "required", "default", "$ref", "$defs", "anyOf", "enum"),
    *("nvext", "guided_json", "guided_regex", "guided_choice", "structured_outputs", "regex"),
    *("response_format", "tools", "tool_choice", "function", "name", "parameters", "n", "stream"),
    *("chat_template_kwargs", "reasoning_effort", "thinking", "extra_body", "logprobs", "schema"),
    *("messages", "prompt", "model", "stream_options", "seed", "logit_bias", "grammar", "ebnf"),
)
_WORDS = (
    *("user", "assistant", "system", "tool", "ipython", "text", "image", "greedy", "top_p"),
    *("json_schema", "grammar", "object", "string", "list[int]", "dict", "#/$defs/a", "auto"),
    *("none", "required", "f", "data:image/png;base64,iVBORw0KGgo=", "file:///etc/passwd"),
    *("json_object", "function", "low", "on", "off", "nvidia/nemotron-3-nano-30b-a3b"),
)
_MODELS = ("m", "meta/llama-3.1-8b-instruct", "nvidia/llama-3.3-nemotron-super-49b-v1.5")
SEEDS = [bytes([0, *range(80)]), bytes([1, *range(80, 0, -1)]), bytes([2, *range(120)])]


def _message(source: Source) -> Any:
    role = source.pick(("user", "assistant", "system", "tool"))
    made: dict[str, Any] = {"role": role, "content": source.maybe("hello", _KEYS, _WORDS)}
    if role == "assistant":
        made["stop_reason"] = "end_of_turn"
        made["tool_calls"] = source.json(_KEYS, _WORDS) or []
    if role == "tool":
        made["call_id"] = source.text(_WORDS)
    return made


def _native(source: Source) -> dict[str, Any]:
    tool = {
        "tool_name": source.text(("f", "brave_search")),
        "parameters": {"a": {"param_type": source.text(_WORDS), "default": source.json(_KEYS)}},
    }
    request = stack.ChatCompletionRequest(
        model=source.pick(_MODELS),
        messages=[_message(source) for _ in range(source.below(3))],
        tools=[tool] * source.below(3),
        tool_config={"tool_choice": source.maybe("auto", _KEYS, _WORDS)},
        sampling_params=source.maybe({"strategy": {"type": "greedy"}}, _KEYS, _WORDS),
        response_format=source.pick((None, {"type": "json_schema", "json_schema": {}}))
        if source.below(4)
        else {"type": source.text(_WORDS), "json_schema": source.json(_KEYS), "bnf": {}},
        logprobs=source.pick((None, {"top_k": 1}, {"top_k": -1})),
        stream=source.flag(),
    )
    return convert_chat_completion_request(request, source.below(3))


def _completion(source: Source) -> dict[str, Any]:
    request = stack.CompletionRequest(
        model="m",
        content=source.json(_KEYS, _WORDS),
        sampling_params=source.maybe({"strategy": {"type": "greedy"}}, _KEYS, _WORDS),
    )
    return convert_completion_request(request, source.below(3))


def _openai(source: Source) -> dict[str, Any]:
    made: dict[str, Any] = {"model": source.pick(_MODELS)}
    for _ in range(source.below(6)):
        made[source.pick(_KEYS)] = source.json(_KEYS, _WORDS) or {}
    # The stack has seen to the form of these.
    content = source.pick(("hello", [{"type": "text", "text": "hello"}], None, ""))
    made["messages"] = [{"role": source.text(_WORDS), "content": content}]
    return made


def check(data: bytes) -> None:
    """Write a request for every dialect."""
    source = Source(data)
    try:
        body = source.pick((_native, _completion, _openai))(source)
    except (ValidationError, NIMError):  # the stack's own types refuse what they are not
        return
    body |= body.pop("extra_body", None) or {} if isinstance(body.get("extra_body"), dict) else {}
    for dialect in Dialect:
        try:
            placed = map_fields(body, dialect)
            profile = profile_of(str(body.get("model")))
            placed = apply_reasoning(placed, "on", profile, dialect)
            if dialect is Dialect.HOSTED:
                placed = apply_hosted_rules(placed, profile)
            explain_refusal(placed, profile, dialect)
        except NIMError:
            pass
    with contextlib.suppress(NIMError):
        constraint_of(body)
