"""Embeddings through the server, with OpenAI's own client."""

import base64
import struct
from typing import Any

import httpx
import openai
import pytest

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer

from . import release
from .conftest import EMBEDDER

pytestmark = pytest.mark.server

MODEL = f"nvidia/{EMBEDDER}"
TEXTS = ["a cat", "a dog", "a fish"]


def sent(nim: EmulatorServer) -> Any:
    return next(one.body for one in reversed(nim.requests) if one.path == "/v1/embeddings")


def test_vectors_are_the_same_in_every_encoding(client: openai.OpenAI, nim: EmulatorServer) -> None:
    floats = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    decoded = client.embeddings.create(model=MODEL, input=TEXTS)  # the client asks for base64
    raw = client.embeddings.with_raw_response.create(
        model=MODEL, input=TEXTS, encoding_format="base64"
    )
    assert [one.index for one in floats.data] == [0, 1, 2]
    for number, one in enumerate(floats.data):
        assert len(one.embedding) == 1024
        assert decoded.data[number].embedding == pytest.approx(one.embedding, abs=1e-6)
        packed = base64.b64decode(raw.http_response.json()["data"][number]["embedding"])
        assert list(struct.unpack("<1024f", packed)) == pytest.approx(one.embedding, abs=1e-6)
    assert floats.usage.prompt_tokens == 6
    assert (sent(nim)["model"], sent(nim)["input"]) == (EMBEDDER, TEXTS)


def test_one_text_needs_no_list(client: openai.OpenAI, nim: EmulatorServer) -> None:
    answer = client.embeddings.create(model=MODEL, input="a cat", encoding_format="float")
    assert len(answer.data) == 1


@pytest.mark.parametrize(
    ("model", "input_type"), [(MODEL, "query"), (f"{MODEL}-passage", "passage")]
)
def test_registered_models_say_what_their_inputs_are(
    client: openai.OpenAI, nim: EmulatorServer, model: str, input_type: str
) -> None:
    client.embeddings.create(model=model, input="a", encoding_format="float")
    assert (sent(nim)["model"], sent(nim)["input_type"]) == (EMBEDDER, input_type)


def test_nims_own_fields_arrive_where_the_server_lets_them_through(
    client: openai.OpenAI, nim: EmulatorServer
) -> None:
    fields = {"input_type": "passage", "truncate": "END"}
    client.embeddings.create(model=MODEL, input="a", encoding_format="float", extra_body=fields)
    body = sent(nim)
    if release.ONE_OBJECT:
        assert body["input_type"] == "passage"
        assert body["truncate_prompt_tokens"] == -1
    else:
        assert body["input_type"] == "query"
        assert "truncate_prompt_tokens" not in body


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": "long " * 600}, "maximum context length"),
        ({"input": "a", "dimensions": 384}, "does not support Matryoshka embeddings"),
    ],
)
def test_what_cannot_be_embedded_is_a_400(
    client: openai.OpenAI, nim: EmulatorServer, fields: Any, said: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=MODEL, encoding_format="float", **fields)
    assert said in caught.value.response.text


if stack.NATIVE:

    def test_native_embeddings(
        server: StackServer, client: openai.OpenAI, nim: EmulatorServer
    ) -> None:
        request = {"model_id": MODEL, "contents": TEXTS, "task_type": "document"}
        answer = httpx.post(f"{server.url}/v1/inference/embeddings", json=request, timeout=60)
        assert sent(nim)["input_type"] == "passage"
        floats = client.embeddings.create(
            model=f"{MODEL}-passage", input=TEXTS, encoding_format="float"
        )
        assert answer.json()["embeddings"] == [one.embedding for one in floats.data]
