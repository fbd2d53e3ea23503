"""Every constraint, on a real engine, found without a word on its dialect."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import jsonschema
import pytest

from llama_stack_provider_nvidia.nim.endpoint import Endpoint
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT, COMPLETION
from llama_stack_provider_nvidia.nim.transport.client_pool import TransportSettings

from .conftest import Engine

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["n"],
    "additionalProperties": False,
}
GRAMMAR = 'root ::= ("north" | "south") ("-" ("east" | "west"))?'
LARK = '?start: ("north" | "south")\n'


def fits(text: str) -> None:
    jsonschema.validate(json.loads(text), SCHEMA)


def matches(pattern: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        assert re.fullmatch(pattern, text), text

    return check


# As today's callers write it, and as callers of NIM 1.x and of older vLLM do.
CONSTRAINTS: dict[str, tuple[dict[str, Any], Callable[[str], None]]] = {
    "schema": ({"structured_outputs": {"json": SCHEMA}}, fits),
    "schema as nvext": ({"nvext": {"guided_json": SCHEMA}}, fits),
    "regex": ({"structured_outputs": {"regex": "[a-c]{4}"}}, matches("[a-c]{4}")),
    "regex as guided_regex": ({"guided_regex": "[a-c]{4}"}, matches("[a-c]{4}")),
    "choice": ({"structured_outputs": {"choice": ["left", "right"]}}, matches("left|right")),
    "grammar": (
        {"structured_outputs": {"grammar": GRAMMAR}},
        matches("(north|south)(-(east|west))?"),
    ),
    "grammar in Lark": ({"nvext": {"guided_grammar": LARK}}, matches("north|south")),
}


@pytest.fixture
async def endpoint(engine: Engine) -> AsyncIterator[Endpoint]:
    made = Endpoint(TransportSettings(f"{engine.url}/v1"), key=None)
    assert (await made.finding()).dialect == "nim2-vllm"
    yield made
    await made.aclose()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", ["chat", "completion"])
@pytest.mark.parametrize("name", CONSTRAINTS)
async def test_a_constraint_is_obeyed(
    endpoint: Endpoint, engine: Engine, name: str, api: str, streamed: bool
) -> None:
    fields, check = CONSTRAINTS[name]
    body = {"model": engine.model, "max_tokens": 60, "temperature": 0, "stream": streamed, **fields}
    codec: Any
    if api == "chat":
        codec, body["messages"] = CHAT, [{"role": "user", "content": "Go."}]
    else:
        codec, body["prompt"] = COMPLETION, "Go:"
    check(await text_of(endpoint, body, codec, streamed=streamed))


async def text_of(endpoint: Endpoint, body: dict[str, Any], codec: Any, *, streamed: bool) -> str:
    if streamed:
        chunks = await endpoint.stream(body, codec, key=None)
        choices = [choice async for chunk in chunks for choice in chunk.choices or ()]
    else:
        choices = (await endpoint.complete(body, codec, key=None)).choices
    return "".join(written(choice) for choice in choices)


def written(choice: Any) -> str:
    if hasattr(choice, "text"):
        return choice.text or ""
    part = choice.delta or choice.message
    return (part.content if part else None) or ""
