"""The fixed list of calls that a capture makes, beside the checks of ``doctor --probe``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..doctor.probes import WEATHER
from ..nim.dialect import Dialect
from ..nim.discovery.dialect_rules import HEALTH, MODELS, OPENAPI, VERSION
from ..nim.requests.field_mapping import map_fields
from ..nim.requests.field_table import (
    EMBEDDING_FIELD_TABLE,
    FIELD_TABLE,
    Feature,
    MapTo,
)
from .field_values import EMBEDDING_FIELD_VALUES, FIELD_VALUES, FieldValues

CHAT = "/v1/chat/completions"
COMPLETION = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
UNKNOWN = "no/such-model"
_FEW, _ENOUGH = 8, 48
"""Limits of tokens: of most answers, and of those that a constraint is to be read from."""
_LONG_PROMPT = 8192
"""A longer context is not filled: the prompt would be most of the file."""


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        name: What it is for, for people.
        path: Below the NIM's root.
        body: JSON to post; None for a GET.
        feature: The row of the field table that it tries.
        value: ``good`` or ``bad``, of that row.
    """

    name: str
    path: str
    body: Mapping[str, Any] | None = None
    feature: str | None = None
    value: str | None = None


def routes(model: str | None) -> Iterator[Call]:
    """Yield the GET requests: what says what the NIM is, and routes that some NIMs have."""
    paths = (MODELS, VERSION, HEALTH, OPENAPI, "/v1/metadata", "/v1/health/ready", "/version")
    for path in (*paths, "/v1/no-such-route", *((f"{MODELS}/{model}",) if model else ())):
        yield Call(f"GET {path}", path)


def llm_calls(model: str, dialect: Dialect, context: int | None) -> Iterator[Call]:
    """Yield the calls of a chat model.

    Args:
        model: Its id.
        dialect: How the NIM takes the features.
        context: Its context length in tokens, if known.
    """
    chat = {**_chat("Name a city."), "model": model}
    text = {"model": model, "prompt": "Once upon a time", "max_tokens": _FEW, "temperature": 0}
    yield from _plain(chat, text)
    yield from _tools(chat)
    yield from _wrong(chat, text, context)
    for feature in FIELD_TABLE:
        values = FIELD_VALUES[feature.field]
        for name, path, body in (("chat", CHAT, chat), ("completion", COMPLETION, text)):
            yield from _of_feature(feature, values, name, path, body, dialect)


def embedding_calls(model: str, dialect: Dialect) -> Iterator[Call]:
    """Yield the calls of an embedding model."""
    body = {"model": model, "input": ["The sea is deep."], "input_type": "passage"}
    yield Call("embeddings", EMBEDDINGS, body)
    yield Call("embeddings, a text", EMBEDDINGS, {**body, "input": "The sea is deep."})
    yield Call("embeddings, base64", EMBEDDINGS, {**body, "encoding_format": "base64"})
    yield Call("embeddings, no input", EMBEDDINGS, {"model": model})
    yield Call("embeddings, dimensions 0", EMBEDDINGS, {**body, "dimensions": 0})
    yield Call("embeddings, unknown model", EMBEDDINGS, {**body, "model": UNKNOWN})
    for feature in EMBEDDING_FIELD_TABLE:
        values = EMBEDDING_FIELD_VALUES[feature.field]
        mapping = feature.mappings[dialect]
        path = mapping.path if isinstance(mapping, MapTo) else feature.field
        for kind, value in (("good", values.good), ("bad", values.bad)):
            # vLLM takes a number of tokens where others take a side.
            sent = {"good": -1, "bad": value}[kind] if path == "truncate_prompt_tokens" else value
            name = f"embeddings, {feature.name}, {kind}"
            yield Call(name, EMBEDDINGS, {**body, path: sent}, feature.field, kind)


def rerank_calls(model: str, path: str) -> Iterator[Call]:
    """Yield the calls of a rerank model."""
    body: dict[str, Any] = {
        "model": model,
        "query": {"text": "how many moons has mars"},
        "passages": [{"text": "The sea is deep."}, {"text": "Mars has two moons."}],
    }
    yield Call("rerank", path, body)
    yield Call("rerank, truncate END", path, {**body, "truncate": "END"})
    yield Call("rerank, truncate of no kind", path, {**body, "truncate": "no-such-side"})
    yield Call("rerank, no passages", path, {**body, "passages": []})
    yield Call("rerank, unknown model", path, {**body, "model": UNKNOWN})


def _chat(said: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": said}]
    return {"messages": messages, "max_tokens": _FEW, "temperature": 0, **fields}


def _plain(chat: dict[str, Any], text: dict[str, Any]) -> Iterator[Call]:
    for name, path, body in (("chat", CHAT, chat), ("completion", COMPLETION, text)):
        yield Call(name, path, body)
        yield Call(f"{name}, streamed", path, {**body, "stream": True})
        usage = {"stream": True, "stream_options": {"include_usage": True}}
        yield Call(f"{name}, streamed, with usage", path, {**body, **usage})
        yield Call(f"{name}, stop", path, {**body, "stop": ["a"]})
        yield Call(f"{name}, n 2", path, {**body, "n": 2, "temperature": 1})
    probabilities = {"logprobs": True, "top_logprobs": 2}
    yield Call("chat, logprobs", CHAT, {**chat, **probabilities})
    yield Call("chat, logprobs, streamed", CHAT, {**chat, **probabilities, "stream": True})
    yield Call("completion, logprobs", COMPLETION, {**text, "logprobs": 2})


def _tools(chat: dict[str, Any]) -> Iterator[Call]:
    asked = {**chat, **_chat("What is the weather in Paris?"), "max_tokens": _ENOUGH}
    asked["tools"] = [WEATHER]
    named = {"type": "function", "function": {"name": "get_weather"}}
    for name, choice in (("auto", "auto"), ("required", "required"), ("named", named)):
        yield Call(f"tools, {name}", CHAT, {**asked, "tool_choice": choice})
        streamed = {**asked, "tool_choice": choice, "stream": True}
        yield Call(f"tools, {name}, streamed", CHAT, streamed)
    yield Call("tools, an empty list", CHAT, {**chat, "tools": []})


def _wrong(chat: dict[str, Any], text: dict[str, Any], context: int | None) -> Iterator[Call]:
    yield Call("unknown model", CHAT, {**chat, "model": UNKNOWN})
    yield Call("unknown model, streamed", CHAT, {**chat, "model": UNKNOWN, "stream": True})
    yield Call("unknown model, completion", COMPLETION, {**text, "model": UNKNOWN})
    yield Call("unknown field", CHAT, {**chat, "no_such_field": 1})
    yield Call("no messages", CHAT, {**chat, "messages": []})
    yield Call("unknown role", CHAT, {**chat, "messages": [{"role": "nobody", "content": "a"}]})
    yield Call("temperature -1", CHAT, {**chat, "temperature": -1})
    yield Call("max_tokens 0", CHAT, {**chat, "max_tokens": 0})
    if context is None:
        return
    yield Call("max_tokens beyond the context", CHAT, {**chat, "max_tokens": context + 1})
    if context <= _LONG_PROMPT:
        long = [{"role": "user", "content": "word " * (context + 1)}]
        yield Call("too long", CHAT, {**chat, "messages": long})
        yield Call("too long, streamed", CHAT, {**chat, "messages": long, "stream": True})


def _of_feature(
    feature: Feature,
    values: FieldValues,
    name: str,
    path: str,
    body: Mapping[str, Any],
    dialect: Dialect,
) -> Iterator[Call]:
    is_completion = path == COMPLETION
    mapping = feature.mapping_for(dialect, completion=is_completion)
    beside = _nested(values.beside or {})
    few = _ENOUGH if values.is_obeyed or beside else _FEW
    for kind, value in (("good", values.good), ("bad", values.bad)):
        if isinstance(mapping, MapTo):
            sent_value = mapping.convert(value) if mapping.convert else value
            field = _nested({mapping.path: sent_value})
            others = map_fields(beside, dialect) if beside else {}
        else:
            field, others = _nested({feature.field: value}), beside
        sent = {**body, "max_tokens": few, **_merged(others, field)}
        if "max_completion_tokens" in field:
            del sent["max_tokens"]
        yield Call(f"{name}, {feature.name}, {kind}", path, sent, feature.field, kind)


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with values at dotted paths."""
    body: dict[str, Any] = {}
    for path, value in fields.items():
        top, _, inner = path.partition(".")
        body[top] = {**body.get(top, {}), inner: value} if inner else value
    return body


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for name, value in other.items():
        held = merged.get(name)
        both = isinstance(held, dict) and isinstance(value, dict)
        merged[name] = {**held, **value} if both and held else value
    return merged
