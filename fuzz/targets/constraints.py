"""Fuzz target: responses under a constraint."""

import asyncio

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.responses import constraint_process
from llama_stack_provider_nvidia.nim.responses.output_guard import constraint_of

constraint_process.SECONDS = 0.2  # many of these take for ever

_KEYS = (
    *("type", "properties", "items", "required", "enum", "const", "pattern", "minimum", "$ref"),
    *("$defs", "anyOf", "allOf", "not", "format", "minLength", "additionalProperties", "$schema"),
    *("patternProperties", "multipleOf", "prefixItems", "$id", "$dynamicRef", "$anchor", "a"),
)
_WORDS = (
    *("object", "string", "integer", "number", "array", "#", "#/$defs/a", "http://127.0.0.1:9/x"),
    *("(a+)+$", "[", "a", "https://json-schema.org/draft/2020-12/schema", "file:///etc/passwd"),
)
_TEXTS = ('{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}', "1", "{}", "[1e400]", "nonsense")
SEEDS = [bytes([0, *range(40)]), bytes([1, 2, 3, 1, 2, 3, 4]), bytes(range(200, 100, -1))]


def check(data: bytes) -> None:
    """Check an answer against a schema, a regular expression, or a list of choices."""
    source = Source(data)
    kind = source.pick(("json", "json", "json", "regex", "choice"))
    text = source.pick(_TEXTS)
    value = source.text(_WORDS) if kind == "regex" else source.json(_KEYS, _WORDS)
    body = {"messages": [], "structured_outputs": {kind: value}}
    try:
        constraint = constraint_of(body)
        if constraint is not None:
            asyncio.run(constraint.check(text, finish_reason="stop"))
    except NIMError:
        pass
