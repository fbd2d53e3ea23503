"""Embeddings: of the NeMo Retriever NIMs, of the hosted catalogue and of vLLM."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from helpers import MODEL, post
from nim_emulator import EmulatorServer
from nim_emulator.retrieval import vectors
from nim_emulator.retrieval_models import EMBEDDERS, embedder, kind_of

NEMOTRON = "nvidia/llama-nemotron-embed-1b-v2"
E5 = "nvidia/nv-embedqa-e5-v5"
BGE = "baai/bge-m3"
VISION = "nvidia/llama-nemotron-embed-vl-1b-v2"
RERANK = "nvidia/llama-nemotron-rerank-1b-v2"
PNG = "data:image/png;base64," + base64.b64encode(b"first").decode()
OTHER_PNG = "data:image/png;base64," + base64.b64encode(b"second").decode()
DOCUMENTS = [
    "The capital of France is Paris, a city on the Seine.",
    "Photosynthesis turns sunlight, water and air into sugar.",
    "Graphics processors multiply matrices in parallel.",
]
QUESTION = "Which city is the capital of France?"


@pytest.fixture(scope="module")
def retriever() -> Iterator[EmulatorServer]:
    with EmulatorServer("retriever", [NEMOTRON, E5, BGE, VISION, RERANK]) as nim:
        yield nim


@pytest.fixture(scope="module")
def engine() -> Iterator[EmulatorServer]:
    with EmulatorServer("vllm", [MODEL, NEMOTRON, E5, RERANK]) as nim:
        yield nim


def embed(nim: EmulatorServer, said: Any, model: str = NEMOTRON, **fields: Any) -> httpx.Response:
    return post(nim, "/v1/embeddings", {"model": model, "input": said, **fields})


def passages(nim: EmulatorServer, said: Any, model: str = NEMOTRON, **fields: Any) -> list[Any]:
    answer = embed(nim, said, model, **{"input_type": "passage", **fields})
    assert answer.status_code == 200, answer.text
    return [item["embedding"] for item in answer.json()["data"]]


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_the_body(retriever: EmulatorServer) -> None:
    body = embed(retriever, ["one two", "three"], input_type="passage", user="me").json()
    assert set(body) == {"object", "data", "model", "usage"}
    assert (body["object"], body["model"]) == ("list", NEMOTRON)
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert [(item["object"], item["index"]) for item in body["data"]] == [
        ("embedding", 0),
        ("embedding", 1),
    ]


@pytest.mark.parametrize("model", EMBEDDERS)
def test_vectors_have_the_models_dimension_and_length_1(model: str) -> None:
    with EmulatorServer("retriever", [model]) as nim:
        (vector,) = passages(nim, "some text", model)
    assert len(vector) == EMBEDDERS[model].dimension
    assert math.hypot(*vector) == pytest.approx(1)


@pytest.mark.parametrize("dimensions", [None, 384, 2048])
def test_a_question_is_nearest_to_its_answer(
    retriever: EmulatorServer, dimensions: int | None
) -> None:
    chosen = {} if dimensions is None else {"dimensions": dimensions}
    found = passages(retriever, DOCUMENTS, **chosen)
    (asked,) = passages(retriever, QUESTION, input_type="query", **chosen)
    near, *far = [cosine(asked, document) for document in found]
    assert near > 0.3
    assert max(far) < 0.15


def test_related_words_are_nearer_than_strange_ones(retriever: EmulatorServer) -> None:
    walk, walking, tree = passages(retriever, ["walk", "walking", "tree"])
    assert cosine(walk, walking) > cosine(walk, tree) + 0.2


def test_the_same_text_gets_the_same_vector_everywhere(retriever: EmulatorServer) -> None:
    text = "some text of eight words and no more"
    (first,) = passages(retriever, text)
    with EmulatorServer("retriever1", [NEMOTRON]) as other:
        assert passages(other, [text]) == [first]
    assert passages(retriever, text, BGE)[0][:5] != passages(retriever, text, E5)[0][:5]


def test_queries_and_passages_differ_a_little(retriever: EmulatorServer) -> None:
    (query,) = passages(retriever, QUESTION, input_type="query")
    (passage,) = passages(retriever, QUESTION)
    assert 0.9 < cosine(query, passage) < 0.999
    (query,) = passages(retriever, QUESTION, BGE, input_type="query")
    assert passages(retriever, QUESTION, BGE) == [query]


@given(st.text(), st.sampled_from(["query", "passage", None]), st.integers(1, 64))
def test_any_text_has_a_vector(text: str, purpose: str | None, keep: int) -> None:
    vector = vectors.vector("m", vectors.features(text), 64, purpose=purpose, keep=keep)
    assert len(vector) == keep
    assert math.hypot(*vector) == pytest.approx(1)


def test_base64_is_the_same_vector(retriever: EmulatorServer) -> None:
    (text,) = passages(retriever, "hello", encoding_format="base64")
    (vector,) = passages(retriever, "hello")
    assert struct.unpack("<2048f", base64.b64decode(text)) == pytest.approx(vector, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "count", "low", "high"),
    [
        ("int8", 2048, -127, 127),
        ("uint8", 2048, 1, 255),
        ("binary", 256, -128, 127),
        ("ubinary", 256, 0, 255),
    ],
)
def test_compressed_types(
    retriever: EmulatorServer, kind: str, count: int, low: int, high: int
) -> None:
    (packed,) = passages(retriever, QUESTION, embedding_type=kind)
    (vector,) = passages(retriever, QUESTION)
    assert len(packed) == count
    assert all(isinstance(number, int) and low <= number <= high for number in packed)
    if kind in ("int8", "uint8"):
        middle = [number - (128 if kind == "uint8" else 0) for number in packed]
        assert cosine(middle, vector) / math.hypot(*middle) > 0.99
    else:
        signs = [number + (128 if kind == "binary" else 0) for number in packed]
        bits = [number >> (7 - at) & 1 for number in signs for at in range(8)]
        assert bits == [int(value > 0) for value in vector]
    (text,) = passages(retriever, QUESTION, embedding_type=kind, encoding_format="base64")
    assert [byte & 255 for byte in packed] == list(base64.b64decode(text))


def test_truncation_decides_which_words_count(retriever: EmulatorServer) -> None:
    long = " ".join(["Paris"] * 600 + ["Rome"] * 600)
    answer = embed(retriever, long, E5, input_type="passage")
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "Input length 1200 exceeds maximum allowed token size 512"},
    )
    paris, rome = passages(retriever, ["Paris", "Rome"], E5)
    (end,) = passages(retriever, long, E5, truncate="END")
    (start,) = passages(retriever, long, E5, truncate="START")
    assert cosine(end, paris) > 0.99 > 0.2 > cosine(end, rome)
    assert cosine(start, rome) > 0.99 > 0.2 > cosine(start, paris)
    usage = embed(retriever, long, E5, input_type="query", truncate="END").json()["usage"]
    assert usage["total_tokens"] == 512


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"input_type": None}, 400, "'input_type' parameter is required for asymmetric models"),
        ({"input_type": "text"}, 422, "Input should be 'query' or 'passage'"),
        ({"input": ""}, 422, "at least 1 character"),
        ({"input": []}, 422, "at least 1 item"),
        ({"input": ["x", ""]}, 422, "at least 1 character"),
        ({"input": [1, 2]}, 422, "valid string"),
        ({"input": None}, 422, "Field required"),
        ({"model": None}, 422, "model"),
        ({"model": "no/embedder"}, 404, "The model `no/embedder` does not exist."),
        ({"model": f"{E5}-query"}, 404, "does not exist"),
        ({"truncate": "MIDDLE"}, 422, "Input should be 'NONE', 'START' or 'END'"),
        ({"truncate_prompt_tokens": 5}, 422, "Extra inputs are not permitted"),
        ({"dimensions": 0}, 422, "greater than or equal to 1"),
        ({"dimensions": 100}, 400, "it supports [384, 512, 768, 1024, 2048]"),
        ({"model": E5, "dimensions": 512}, 400, "does not support dynamic embedding sizes"),
        ({"model": E5, "encoding_format": "base64"}, 400, "base64 is not supported"),
        ({"model": E5, "embedding_type": "int8"}, 400, "int8 is not supported"),
        ({"encoding_format": "bytes"}, 422, "Input should be 'float' or 'base64'"),
        ({"modality": "image"}, 400, "the model embeds text only"),
        ({"modality": ["text", "text"]}, 400, "give one, or one each"),
        ({"model": VISION, "modality": "image"}, 400, "needs an image data URL"),
        ({"model": VISION, "input": PNG, "input_type": "query"}, 400, "passage only"),
        ({"input": ["x"] * 1025}, 400, "exceeds maximum allowed batch size 1024"),
    ],
)
def test_refusals(
    retriever: EmulatorServer, fields: dict[str, Any], status: int, text: str
) -> None:
    whole = {"model": NEMOTRON, "input": "hi", "input_type": "passage", **fields}
    body = {name: value for name, value in whole.items() if value is not None}
    answer = post(retriever, "/v1/embeddings", body)
    assert answer.status_code == status, answer.text
    assert text in answer.text
    assert set(answer.json()) == ({"detail"} if status == 422 else {"error"})


def test_images(retriever: EmulatorServer) -> None:
    first, other, both, text, inferred = passages(
        retriever,
        [PNG, OTHER_PNG, f"a red house {PNG}", "a red house", PNG],
        VISION,
        modality=["image", "image", "text_image", "text", "image"],
    )
    assert first == inferred
    assert abs(cosine(first, other)) < 0.2
    assert cosine(both, first) > 0.4
    assert cosine(both, text) > 0.4
    assert passages(retriever, PNG, VISION) == [first]
    usage = embed(retriever, PNG, VISION, input_type="passage").json()["usage"]
    assert usage["prompt_tokens"] >= 256


def test_the_first_generation_takes_the_type_as_a_suffix() -> None:
    with EmulatorServer("retriever1", [E5]) as nim:
        answer = embed(nim, "hi", f"{E5}-query")
        assert answer.json()["model"] == E5
        assert answer.json() == embed(nim, "hi", E5, input_type="query").json()
        missing = embed(nim, "hi", E5)
    text = "'input_type' parameter is required for asymmetric models"
    assert (missing.status_code, missing.json()) == (400, {"detail": text})


def test_limits_are_settings() -> None:
    with EmulatorServer("retriever", [BGE], max_batch=2, context=4) as nim:
        assert len(passages(nim, ["a", "b"], BGE)) == 2
        assert "batch size 2" in embed(nim, ["a", "b", "c"], BGE).json()["error"]
        assert "token size 4" in embed(nim, "a b c d e", BGE).json()["error"]


@pytest.mark.parametrize("path", ["chat/completions", "completions", "rerank"])
def test_paths_that_are_not_there(retriever: EmulatorServer, path: str) -> None:
    answer = post(retriever, f"/v1/{path}", {"model": NEMOTRON})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_management(retriever: EmulatorServer, http: httpx.Client) -> None:
    listed = http.get(f"{retriever.url}/v1/models").json()
    ids = [NEMOTRON, E5, BGE, VISION, RERANK]
    assert listed == {"object": "list", "data": [{"id": model} for model in ids]}
    ready = http.get(f"{retriever.url}/v1/health/ready").json()
    assert ready == {"object": "health.response", "message": "ready", "ready": True}
    with EmulatorServer("retriever1") as older:
        live = http.get(f"{older.url}/v1/health/live").json()
        assert live["message"] == "Service is live."
        assert len(http.get(f"{older.url}/v1/models").json()["data"]) == 2


def test_the_sdk(retriever: EmulatorServer) -> None:
    with OpenAI(base_url=f"{retriever.url}/v1", api_key="none", max_retries=0) as client:
        # Without a format the SDK asks for base64 and decodes it.
        answer = client.embeddings.create(
            model=NEMOTRON, input=["hello"], extra_body={"input_type": "query"}
        )
    assert len(answer.data[0].embedding) == 2048


def test_the_engine(engine: EmulatorServer) -> None:
    answer = embed(engine, ["one two", "three"], dimensions=384, input_type="ignored", foo=1)
    body = answer.json()
    assert set(body) == {"id", "object", "created", "model", "data", "usage"}
    assert body["id"].startswith("embd-")
    assert body["usage"] == {
        "prompt_tokens": 3,
        "total_tokens": 3,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    }
    assert [len(item["embedding"]) for item in body["data"]] == [384, 384]
    # No input type: queries and passages are the same to an engine.
    plain = embed(engine, "one two", dimensions=384).json()["data"][0]
    assert plain == body["data"][0]
    assert len(embed(engine, [1, 2, 3]).json()["data"]) == 1
    assert len(embed(engine, [[1, 2], [3]]).json()["data"]) == 2


def test_the_engine_truncates(engine: EmulatorServer) -> None:
    long = " ".join(["Paris"] * 10 + ["Rome"] * 10)
    paris, rome = (embed(engine, word).json()["data"][0]["embedding"] for word in ("Paris", "Rome"))
    for fields, near, far in (
        ({"truncate_prompt_tokens": 10}, paris, rome),
        ({"truncate_prompt_tokens": 10, "truncation_side": "left"}, rome, paris),
    ):
        body = embed(engine, long, **fields).json()
        vector = body["data"][0]["embedding"]
        assert cosine(vector, near) > 0.99 > 0.2 > cosine(vector, far)
        assert body["usage"]["prompt_tokens"] == 10
    assert embed(engine, "word " * 9000, truncate_prompt_tokens=-1).status_code == 200


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"input": []}, "You must pass at least one prompt"),
        ({"input": "word " * 600, "model": E5}, "maximum context length is 512 tokens"),
        ({"truncate_prompt_tokens": 9000}, "truncate_prompt_tokens=9000 cannot be greater"),
        ({"truncate_prompt_tokens": -2}, "greater than or equal to -1"),
        ({"model": E5, "dimensions": 5}, "does not support Matryoshka embeddings"),
        ({"dimensions": 5000}, "only supports dimensions in range [1, 2048], got 5000."),
        ({"dimensions": 500}, "only supports Matryoshka dimensions [384, 512, 768, 1024, 2048]"),
        ({"normalize": True}, "use `use_activation` instead"),
        ({"encoding_format": "bytes"}, "Input should be 'float' or 'base64'"),
        ({"embed_dtype": "float16"}, "Input should be 'float32'"),
        ({"input": {"a": 1}}, "input"),
    ],
)
def test_refusals_of_the_engine(engine: EmulatorServer, fields: dict[str, Any], text: str) -> None:
    given_fields = dict(fields)
    answer = embed(engine, given_fields.pop("input", "hi"), **given_fields)
    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"]["message"]


def test_the_engine_has_only_the_paths_of_its_model(engine: EmulatorServer) -> None:
    missing = {"detail": "Not Found"}
    for model in (MODEL, RERANK):
        answer = embed(engine, "hi", model)
        assert (answer.status_code, answer.json()) == (404, missing)
    for path, body in (
        ("chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("completions", {"prompt": "hi"}),
    ):
        for model in (NEMOTRON, RERANK):
            answer = post(engine, f"/v1/{path}", {"model": model, **body})
            assert (answer.status_code, answer.json()) == (404, missing)
    unknown = embed(engine, "hi", "no/model")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"] == "The model `no/model` does not exist."


@pytest.mark.parametrize(("dialect", "status"), [("nim1", 404), ("nim2-sglang", 400)])
def test_dialects_without_embeddings(dialect: str, status: int) -> None:
    with EmulatorServer(dialect, [NEMOTRON]) as nim:
        assert embed(nim, "hi").status_code == status


def test_dynamo_drops_what_it_does_not_know() -> None:
    with EmulatorServer("dynamo", [NEMOTRON, "meta/llama-3.1-8b-instruct"]) as nim:
        plain = embed(nim, "hi").json()
        assert plain.keys() == {"object", "data", "model", "usage"}
        for fields in ({"input_type": "query"}, {"truncate": "END"}, {"foo": 1}):
            assert embed(nim, "hi", **fields).json() == plain
        assert len(embed(nim, "hi", dimensions=384).json()["data"][0]["embedding"]) == 384
        for model in ("meta/llama-3.1-8b-instruct", "no/model"):
            answer = embed(nim, "hi", model)
            assert (answer.status_code, answer.json()["message"]) == (404, "Model not found")


def test_any_other_server() -> None:
    with EmulatorServer("generic", ["text-embedding-any"]) as nim:
        answer = embed(nim, "hi", "text-embedding-any", input_type="query")
        assert len(answer.json()["data"][0]["embedding"]) == 1024
        refused = embed(nim, "hi", "text-embedding-any", dimensions=5)
        assert refused.json()["error"]["type"] == "invalid_request_error"


def test_the_engine_lists_what_a_model_takes(engine: EmulatorServer, http: httpx.Client) -> None:
    data = http.get(f"{engine.url}/v1/models").json()["data"]
    lengths = {entry["id"]: entry["max_model_len"] for entry in data}
    assert lengths == {MODEL: 8192, NEMOTRON: 8192, E5: 512, RERANK: 8192}


def test_hosted(hosted: EmulatorServer, http: httpx.Client) -> None:
    ids = [entry["id"] for entry in http.get(f"{hosted.url}/v1/models").json()["data"]]
    assert {NEMOTRON, E5, BGE} <= set(ids)
    answer = embed(hosted, ["a", "b"], input_type="passage")
    assert len(answer.json()["data"]) == 2
    assert len(answer.headers["nvcf-reqid"]) == 36
    missing = embed(hosted, "a", E5)
    text = "'input_type' parameter is required for asymmetric models"
    assert (missing.status_code, missing.json()) == (400, {"error": text})
    for fields in ({"dimensions": 384}, {"embedding_type": "int8"}, {"foo": 1}):
        refused = embed(hosted, "a", input_type="query", **fields)
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["type"] == "extra_forbidden"


def test_hosted_images() -> None:
    with EmulatorServer("hosted", [VISION]) as nim:
        (image,) = passages(nim, PNG, VISION, modality=["image"])
        assert image == passages(nim, [PNG], VISION)[0]


def test_hosted_paths_and_keys(hosted: EmulatorServer, http: httpx.Client) -> None:
    body = {"model": NEMOTRON, "input": "hi", "input_type": "query"}
    assert http.post(f"{hosted.url}/v1/embeddings", json=body).status_code == 401
    headers = {"authorization": "Bearer k"}
    for model, path, fields in (
        ("meta/llama-3.1-8b-instruct", "embeddings", {"input": "hi"}),
        ("no/model", "embeddings", {"input": "hi"}),
        (NEMOTRON, "chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    ):
        answer = http.post(
            f"{hosted.url}/v1/{path}", json={"model": model, **fields}, headers=headers
        )
        assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    later = http.post(
        f"{hosted.url}/v1/embeddings", json=body, headers={**headers, "x-emulator-polls": "0"}
    )
    assert (later.status_code, later.content) == (202, b"")
    path = f"/v2/nvcf/pexec/status/{later.headers['nvcf-reqid']}"
    assert len(http.get(hosted.url + path, headers=headers).json()["data"]) == 1


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (MODEL, "llm"),
        ("nvidia/nv-embed-v1", "embedding"),
        ("BAAI/bge-small-en", "embedding"),
        ("nvidia/llama-3.2-nv-rerankqa-1b-v2", "rerank"),
        ("nv-rerank-qa-mistral-4b:1", "rerank"),
    ],
)
def test_kinds(model: str, kind: str) -> None:
    assert kind_of(model) == kind


def test_unknown_embedders_are_plain() -> None:
    facts = embedder("some/embedder")
    assert (facts.dimension, facts.asymmetric, facts.dynamic) == (1024, False, False)
