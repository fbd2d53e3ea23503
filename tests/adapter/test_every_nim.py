"""Every feature on every NIM: carried, or refused with a clear error, and never ignored."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.endpoint import Endpoint
from llama_stack_provider_nvidia.nim.requests.field_table import (
    FIELD_TABLE,
    Feature,
    Ignored,
    MapTo,
    Unsupported,
)
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT
from llama_stack_provider_nvidia.nim.transport.client_pool import TransportSettings
from llama_stack_provider_nvidia.nim.transport.retry import RetryPolicy
from nim_emulator import EmulatorServer

from .conftest import MODEL

KEY = "nvapi-test"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
THINKER = "nvidia/nemotron-3-super-120b-a12b"
GRAMMAR = 'root ::= "left" | "right"'

# The emulated NIM, and the dialect that it must be found to speak.
NIMS = {
    "nim1": "nim1",
    "nim1-1.15": "nim1",
    "nim2": "nim2-vllm",
    "vllm": "nim2-vllm",
    "nim2-sglang": "nim2-sglang",
    "hosted": "hosted",
    "dynamo": "dynamo",
    "generic": "generic",
}


def is_schema(text: str) -> bool:
    return isinstance(json.loads(text)["n"], int)


def matches(pattern: str) -> Any:
    return lambda text: re.fullmatch(pattern, text)


# What to send, and how the answer shows that it was obeyed.
CONSTRAINTS: dict[str, tuple[dict[str, Any], Any]] = {
    "JSON schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": SCHEMA},
            }
        },
        is_schema,
    ),
    "json constraint": ({"structured_outputs": {"json": SCHEMA}}, is_schema),
    "regex constraint": ({"structured_outputs": {"regex": "[a-c]{5}"}}, matches("[a-c]{5}")),
    "choice constraint": (
        {"structured_outputs": {"choice": ["a.b", "c|d"]}},
        matches(r"a\.b|c\|d"),
    ),
    "grammar constraint": ({"structured_outputs": {"grammar": GRAMMAR}}, matches("left|right")),
}
# A value that any reader takes, and one that none does: a 400 for it shows that it is read.
VALUES: dict[str, tuple[Any, Any]] = {
    "top_k": (5, -7),
    "repetition_penalty": (1.2, -1.0),
    "ignore_eos": (False, "perhaps"),
    "min_p": (0.1, 7.0),
    "min_tokens": (1, -4),
    "stop_token_ids": ([7], "seven"),
    "length_penalty": (1.1, "long"),
    "thinking_token_budget": (64, "much"),
    "max_completion_tokens": (9, -9),
    "logit_bias": ({"5": 1}, None),
    "best_of": (2, None),
    "echo": (True, None),
    "suffix": ("x", None),
    "metadata": ({"a": "b"}, None),
    "prompt_cache_key": ("x", None),
    "prompt_cache_retention": ("24h", None),
    "safety_identifier": ("x", None),
    "service_tier": ("auto", None),
    "store": (True, None),
    "user": ("me", None),
}


# Sent although the published schemas do not have them: schemas grow.
_BESIDE_OPENAI = {"min_p", "min_tokens", "stop_token_ids", "length_penalty"}
NOT_IN_THE_SCHEMA = {
    "nim1": _BESIDE_OPENAI,
    "hosted": _BESIDE_OPENAI | {"top_k", "repetition_penalty", "ignore_eos", "logit_bias"},
}


@pytest.fixture(scope="module", params=NIMS)
def emulated(request: pytest.FixtureRequest) -> Iterator[EmulatorServer]:
    with EmulatorServer(dialect=request.param, models=[MODEL, THINKER], api_key=KEY) as nim:
        yield nim


@pytest.fixture
def nim(emulated: EmulatorServer) -> EmulatorServer:
    emulated.clear()
    return emulated


def endpoint_of(nim: EmulatorServer) -> Endpoint:
    return Endpoint(TransportSettings(f"{nim.url}/v1", retry=RetryPolicy(0)), key=KEY)


def posts(nim: EmulatorServer) -> list[Any]:
    return [request.body for request in nim.requests if request.method == "POST"]


def body(fields: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "user", "content": "Say something."}
    given = {"model": MODEL, "messages": [message], "max_tokens": 60, "stream": False, **fields}
    return {name: value for name, value in given.items() if value is not None}


async def text_of(endpoint: Endpoint, fields: dict[str, Any], *, streamed: bool) -> str:
    request = body({**fields, "stream": streamed})
    if not streamed:
        answer = await endpoint.complete(request, CHAT, key=None)
        assert answer.choices
        assert answer.choices[0].message
        return answer.choices[0].message.content or ""
    chunks = await endpoint.stream(request, CHAT, key=None)
    pieces = [
        choice.delta.content or ""
        async for chunk in chunks
        for choice in chunk.choices or ()
        if choice.delta
    ]
    return "".join(pieces)


async def test_the_dialect_is_found(nim: EmulatorServer) -> None:
    endpoint = endpoint_of(nim)
    finding = await endpoint.finding()
    assert finding.dialect == NIMS[nim.settings.dialect]
    assert finding.reason
    await endpoint.aclose()


@pytest.mark.parametrize("feature", FIELD_TABLE, ids=lambda feature: feature.name.replace(" ", "-"))
async def test_a_feature_is_carried_or_refused(nim: EmulatorServer, feature: Feature) -> None:
    endpoint = endpoint_of(nim)
    dialect = (await endpoint.finding()).dialect
    cell = feature.mappings[dialect]
    fields = (
        CONSTRAINTS[feature.name][0]
        if feature.name in CONSTRAINTS
        else whitespace()
        if feature.name == "whitespace pattern"
        else {feature.field: VALUES[feature.name][0]}
    )
    if feature.name == "max_completion_tokens":
        fields = {**fields, "max_tokens": None}
    if feature.name == "thinking_token_budget" and dialect == "hosted":
        fields = {**fields, "model": THINKER, "temperature": 0.5}
    if feature.name in ("best_of", "echo", "suffix") and isinstance(cell, MapTo):
        await endpoint.aclose()
        return  # fields of text completions, which some engines refuse: the mapping is tested
    match cell:
        case Unsupported():
            with pytest.raises(errors.InvalidRequestError) as caught:
                await text_of(endpoint, fields, streamed=False)
            assert feature.name in str(caught.value)
            assert dialect in str(caught.value)
            assert posts(nim) == []
        case Ignored():
            assert await text_of(endpoint, fields, streamed=False)
            assert feature.field not in posts(nim)[0]
        case MapTo() if feature.name in CONSTRAINTS:
            obeyed = CONSTRAINTS[feature.name][1]
            for streamed in (False, True):
                assert obeyed(await text_of(endpoint, fields, streamed=streamed))
        case MapTo() if feature.name in NOT_IN_THE_SCHEMA.get(dialect, ()):
            # What a schema is not known to have is sent: the NIM refuses it.
            with pytest.raises(errors.InvalidRequestError, match="NIM answered 400") as caught:
                await text_of(endpoint, fields, streamed=False)
            assert posts(nim)[0][cell.path] == fields[feature.field]
            if feature.name != "logit_bias":
                assert f"Of `{feature.field}`, by 2026-10: " in caught.value.message
                assert "leave it out" in caught.value.message
                assert caught.value.field == feature.field
        case MapTo():
            await text_of(endpoint, fields, streamed=False)
            await check_it_is_read(endpoint, feature, dialect, fields)
    await endpoint.aclose()


def whitespace() -> dict[str, Any]:
    return {"structured_outputs": {"json": SCHEMA, "whitespace_pattern": " "}}


async def check_it_is_read(
    endpoint: Endpoint, feature: Feature, dialect: str, fields: dict[str, Any]
) -> None:
    """A NIM that reads a field refuses nonsense in it; one that ignores it does not."""
    nonsense = VALUES.get(feature.name, (None, None))[1]
    if nonsense is None or dialect == "generic":
        return
    with pytest.raises(errors.InvalidRequestError) as caught:
        await text_of(
            endpoint, {**fields, feature.field: nonsense, "max_tokens": None}, streamed=False
        )
    assert caught.value.message.startswith("NIM answered 4")
