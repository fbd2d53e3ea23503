"""Generators of chunks and whole responses, as a NIM might send them."""

import json
from typing import Any

from .source import Source

KEYS = (
    *("choices", "usage", "error", "index", "delta", "message", "finish_reason", "logprobs"),
    *("text", "content", "reasoning_content", "reasoning", "role", "tool_calls", "refusal"),
    *("id", "function", "name", "arguments", "type", "token", "logprob", "top_logprobs", "bytes"),
    *("tokens", "token_logprobs", "text_offset", "prompt_tokens", "completion_tokens"),
    *("total_tokens", "prompt_tokens_details", "code", "status", "detail", "object", "model"),
    *("created", "token_ids", "system_fingerprint", "service_tier"),
)
WORDS = (
    *("stop", "length", "tool_calls", "function", "assistant", "f", "g", "call_1", "call_2"),
    *('{"a": 1}', '{"a', '": 1}', "<think>", "</think>", "Hello", "-0.5", "chat.completion.chunk"),
)
_PIECES = ("a", "b", "", "é", '{"a": 1}', '{"a"', ": 1}", "null", '"{}"')


def _call(source: Source) -> Any:
    function = {"name": source.pick((None, "f", "g", "")), "arguments": source.pick(_PIECES)}
    call = {
        "index": source.pick((None, 0, 1, 2)),
        "id": source.pick((None, "call_1", "call_2", "")),
        "type": source.pick((None, "function")),
        "function": source.maybe(function, KEYS, WORDS),
    }
    for name in source.pick(((), ("index",), ("id", "type"), ("type",))):
        del call[name]
    return source.maybe(call, KEYS, WORDS)


def _logprobs(source: Source, *, chat: bool) -> Any:
    tops = [{"token": "a", "logprob": -0.5}]
    if chat:
        token = {"token": source.pick(_PIECES), "logprob": -1.5, "top_logprobs": tops}
        found: Any = {"content": [source.maybe(token, KEYS) for _ in range(source.below(3))]}
    else:
        count = source.below(3)
        found = {
            "tokens": ["a"] * count,
            "token_logprobs": [None, -1.0][:count],
            "top_logprobs": source.pick((None, [{"a": -1.0}] * count)),
            "text_offset": list(range(count)),
        }
    return source.maybe(found, KEYS)


def choice(source: Source, *, chat: bool = True, whole: bool = False) -> Any:
    """Make a choice of a chunk, or of a whole answer."""
    made: dict[str, Any] = {"index": source.pick((0, 0, 0, 1, None, 2))}
    if chat:
        said: dict[str, Any] = {}
        for _ in range(source.below(3)):
            name = source.pick(("content", "reasoning_content", "reasoning", "role", "refusal"))
            said[name] = source.maybe(source.pick(_PIECES), KEYS, WORDS)
        if source.below(3) == 2:
            said["tool_calls"] = [_call(source) for _ in range(source.below(3))]
        made["message" if whole else "delta"] = source.maybe(said, KEYS, WORDS)
    else:
        made["text"] = source.maybe(source.pick(_PIECES), KEYS, WORDS)
    made["finish_reason"] = source.pick((None, None, None, "stop", "length", "tool_calls", ""))
    if source.below(4) == 3:
        made["logprobs"] = _logprobs(source, chat=chat)
    if source.below(8) == 7:
        made[source.text(KEYS)] = source.json(KEYS, WORDS)
    return source.maybe(made, KEYS, WORDS)


def chunk(source: Source, *, chat: bool = True, whole: bool = False) -> Any:
    """Make a chunk, or a whole answer."""
    made: dict[str, Any] = {"id": "x", "created": 1, "model": "m"}
    choices = [choice(source, chat=chat, whole=whole) for _ in range(source.below(3))]
    made["choices"] = source.maybe(choices, KEYS, WORDS)
    if source.below(4) == 3:
        made["usage"] = source.maybe({"prompt_tokens": 1, "completion_tokens": 2}, KEYS, WORDS)
    if source.below(16) == 15:
        made[source.text(KEYS)] = source.json(KEYS, WORDS)
    return source.maybe(made, KEYS, WORDS)


def encoded(value: Any) -> bytes:
    """Write JSON as servers do, surrogates and all."""
    return json.dumps(value).encode()
