"""Ranking: of the NeMo Retriever NIMs, of the hosted catalogue and of vLLM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import MODEL, post
from nim_emulator import EmulatorServer
from nim_emulator.retrieval import vectors

NEMOTRON = "nvidia/llama-nemotron-rerank-1b-v2"
OLDER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
VISION = "nvidia/llama-nemotron-rerank-vl-1b-v2"
LEGACY = "nv-rerank-qa-mistral-4b:1"
EMBED = "nvidia/llama-nemotron-embed-1b-v2"
QUERY = "Which city is the capital of France?"
PASSAGES = [
    "Graphics processors multiply matrices in parallel.",
    "A capital letter starts a sentence.",
    "The capital of France is Paris, a city on the Seine.",
]
PNG = "data:image/png;base64,aGVsbG8="


@pytest.fixture(scope="module")
def retriever() -> Iterator[EmulatorServer]:
    with EmulatorServer("retriever", [NEMOTRON, OLDER, VISION, EMBED]) as nim:
        yield nim


@pytest.fixture(scope="module")
def engine() -> Iterator[EmulatorServer]:
    with EmulatorServer("nim2", [MODEL, NEMOTRON, EMBED]) as nim:
        yield nim


def ranking(model: str = NEMOTRON, **fields: Any) -> dict[str, Any]:
    texts = [{"text": text} for text in PASSAGES]
    return {"model": model, "query": {"text": QUERY}, "passages": texts, **fields}


def order(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    logits = [entry["logit"] for entry in answer.json()["rankings"]]
    assert logits == sorted(logits, reverse=True)
    return [entry["index"] for entry in answer.json()["rankings"]]


def test_the_best_passage_comes_first(retriever: EmulatorServer) -> None:
    answer = post(retriever, "/v1/ranking", ranking())
    assert order(answer) == [2, 1, 0]
    body = answer.json()
    assert set(body) == {"rankings", "usage"}
    assert set(body["rankings"][0]) == {"index", "logit"}
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 30
    logits = [entry["logit"] for entry in body["rankings"]]
    assert logits[0] > 0 > logits[-1]
    assert answer.json() == post(retriever, "/v1/ranking", ranking()).json()


@given(st.text(), st.text())
def test_a_text_fits_itself_best(query: str, passage: str) -> None:
    assert vectors.logit("m", query, query) > vectors.logit("m", query, passage) - 0.2


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"passages": []}, 422, "at least 1 item"),
        ({"passages": [{"text": "x"}] * 1001}, 422, "at most 1000 items"),
        ({"model": OLDER, "passages": [{"text": "x"}] * 513}, 422, "at most 512 items"),
        ({"passages": ["x"]}, 422, "Input should be a valid dictionary"),
        ({"passages": [{"text": "x", "title": "y"}]}, 422, "Extra inputs are not permitted"),
        ({"passages": [{"text": "x", "image": PNG}]}, 422, "Extra inputs are not permitted"),
        (
            {"model": VISION, "passages": [{"text": "x", "image": "a.png"}]},
            422,
            "image data URL",
        ),
        ({"query": QUERY}, 422, "Input should be a valid dictionary"),
        ({"query": {"text": "x", "y": 1}}, 422, "Extra inputs are not permitted"),
        ({"top_k": 3}, 422, "Extra inputs are not permitted"),
        ({"truncate": "START"}, 422, "Input should be 'NONE' or 'END'"),
        ({"model": "no/rerank"}, 404, "The model `no/rerank` does not exist."),
    ],
)
def test_refusals(
    retriever: EmulatorServer, fields: dict[str, Any], status: int, text: str
) -> None:
    answer = post(retriever, "/v1/ranking", ranking(**fields))
    assert answer.status_code == status, answer.text
    assert text in answer.text


def test_an_embedding_model_has_no_ranking(retriever: EmulatorServer) -> None:
    answer = post(retriever, "/v1/ranking", ranking(EMBED))
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_images(retriever: EmulatorServer) -> None:
    answer = post(retriever, "/v1/ranking", ranking(VISION))
    pictures = [{"text": text, "image": PNG} for text in PASSAGES]
    pictured = post(retriever, "/v1/ranking", ranking(VISION, passages=pictures))
    assert order(pictured) == order(answer)
    more = pictured.json()["usage"]["total_tokens"] - answer.json()["usage"]["total_tokens"]
    assert more == 3 * 256


def test_the_default_of_truncate_is_the_models() -> None:
    late = [{"text": f"{'word ' * 40} {QUERY}"}, {"text": "a city"}]
    with EmulatorServer("retriever", [NEMOTRON, OLDER], context=30) as nim:
        # At the end of a text that is cut, the right words do not help.
        assert order(post(nim, "/v1/ranking", ranking(passages=late))) == [1, 0]
        refused = post(nim, "/v1/ranking", ranking(OLDER, passages=late))
        assert refused.status_code == 400
        assert "exceeds maximum allowed token size 30" in refused.json()["error"]
        assert order(post(nim, "/v1/ranking", ranking(OLDER, passages=late, truncate="END")))
    with EmulatorServer("retriever", [NEMOTRON]) as nim:
        assert order(post(nim, "/v1/ranking", ranking(passages=late))) == [0, 1]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (NEMOTRON, "nvidia/llama-nemotron-rerank-1b-v2/"),
        (OLDER, "nvidia/llama-3_2-nv-rerankqa-1b-v2/"),
        (LEGACY, "nvidia/"),
    ],
)
def test_hosted_paths(hosted: EmulatorServer, model: str, path: str) -> None:
    answer = post(hosted, f"/v1/retrieval/{path}reranking", ranking(model))
    assert order(answer)[0] == 2
    assert len(answer.headers["nvcf-reqid"]) == 36


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (NEMOTRON, "/v1/ranking"),
        (NEMOTRON, "/v1/retrieval/nvidia/reranking"),
        (LEGACY, "/v1/retrieval/nvidia/nv-rerank-qa-mistral-4b:1/reranking"),
        (OLDER, "/v1/retrieval/nvidia/llama-3.2-nv-rerankqa-1b-v2/reranking"),
        (OLDER, "/v1/retrieval/nvidia/llama-nemotron-rerank-1b-v2/reranking"),
        ("nvidia/llama-3_2-nv-rerankqa-1b-v2", "/v1/retrieval/nvidia/x/reranking"),
        (EMBED, "/v1/retrieval/nvidia/llama-nemotron-embed-1b-v2/reranking"),
    ],
)
def test_hosted_paths_that_are_not_there(hosted: EmulatorServer, model: str, path: str) -> None:
    answer = post(hosted, path, ranking(model))
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


def test_hosted_errors_and_list(hosted: EmulatorServer, http: httpx.Client) -> None:
    path = "/v1/retrieval/nvidia/llama-nemotron-rerank-1b-v2/reranking"
    assert http.post(hosted.url + path, json=ranking()).status_code == 401
    refused = post(hosted, path, ranking(top_n=1))
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "top_n"])
    entries = http.get(f"{hosted.url}/v1/models").json()["data"]
    assert not any("rerank" in entry["id"] for entry in entries)


def rerank(nim: EmulatorServer, path: str = "/rerank", **fields: Any) -> httpx.Response:
    return post(nim, path, {"model": NEMOTRON, "query": QUERY, "documents": PASSAGES, **fields})


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_the_engine(engine: EmulatorServer, path: str) -> None:
    body = rerank(engine, path, unknown="ignored").json()
    assert set(body) == {"id", "model", "usage", "results"}
    assert body["id"].startswith("score-")
    assert [result["index"] for result in body["results"]] == [2, 1, 0]
    first = body["results"][0]
    assert first["document"] == {"text": PASSAGES[2], "multi_modal": None}
    assert all(0 < result["relevance_score"] < 1 for result in body["results"])
    assert set(body["usage"]) == {"prompt_tokens", "total_tokens"}


def test_the_engine_takes_options(engine: EmulatorServer) -> None:
    assert [item["index"] for item in rerank(engine, top_n=1).json()["results"]] == [2]
    assert len(rerank(engine, top_n=9).json()["results"]) == 3
    assert len(rerank(engine, documents=PASSAGES[0]).json()["results"]) == 1
    late = [f"{'word ' * 40}{QUERY}", "a city"]
    whole = rerank(engine, documents=late).json()["results"]
    for fields in ({"max_tokens_per_doc": 10}, {"truncate_prompt_tokens": 20}):
        cut = rerank(engine, documents=late, **fields).json()["results"]
        assert [item["index"] for item in whole] != [item["index"] for item in cut]
    # An embedding model compares vectors.
    vectors_ = rerank(engine, model=EMBED).json()["results"]
    assert vectors_[0]["index"] == 2
    assert -1 <= vectors_[-1]["relevance_score"] < vectors_[0]["relevance_score"] <= 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"documents": []}, "At least one text_pair element must be given"),
        ({"documents": None}, "documents"),
        ({"query": None}, "query"),
        ({"top_n": -1}, "greater than or equal to 0"),
        ({"documents": ["word " * 9000]}, "maximum context length is 8192 tokens"),
        ({"truncate_prompt_tokens": 9000}, "cannot be greater"),
    ],
)
def test_refusals_of_the_engine(engine: EmulatorServer, fields: dict[str, Any], text: str) -> None:
    answer = rerank(engine, **fields)
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]


def test_a_chat_model_has_no_rerank(engine: EmulatorServer) -> None:
    answer = rerank(engine, model=MODEL)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert rerank(engine, model="no/model").status_code == 404
