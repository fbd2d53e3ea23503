import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.model_facts.retrieval_models import (
    RERANK_MODELS,
    find_rerank_model,
)
from llama_stack_provider_nvidia.nim.retrieval.content import Content
from llama_stack_provider_nvidia.nim.retrieval.rerank_request import (
    Protocol,
    RankedPassage,
    RerankRequest,
    Route,
    decode_ranking,
    explain_rerank_refusal,
    merge_rankings,
    rerank_batches,
    rerank_body,
    routes,
    validate,
)

RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
LEGACY = "nv-rerank-qa-mistral-4b:1"
VL = "nvidia/llama-nemotron-rerank-vl-1b-v2"
PNG = "data:image/png;base64,iVBORw0KGgo="
OWN = "http://nim:8000/v1"
NVIDIAS = "https://ai.api.nvidia.com/v1/retrieval/nvidia"
ENGINES = {Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG, Dialect.DYNAMO}


def request(model="m", query="q", passages=("a", "b"), **more):
    made = [one if isinstance(one, Content) else Content(one) for one in passages]
    return RerankRequest(
        model, query if isinstance(query, Content) else Content(query), made, **more
    )


def dumped(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("model", "endpoint", "url"),
    [
        (
            RERANKER,
            "https://integrate.api.nvidia.com/v1",
            f"{NVIDIAS}/llama-3_2-nv-rerankqa-1b-v2/reranking",
        ),
        (
            "nvidia/llama-nemotron-rerank-1b-v2",
            "https://ai.api.nvidia.com/v1",
            f"{NVIDIAS}/llama-nemotron-rerank-1b-v2/reranking",
        ),
        (LEGACY, "https://integrate.api.nvidia.com/v1", f"{NVIDIAS}/reranking"),
        (
            RERANKER,
            "http://127.0.0.1:5/v1",
            "http://127.0.0.1:5/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking",
        ),
        (LEGACY, "http://127.0.0.1:5/v1", "http://127.0.0.1:5/v1/retrieval/nvidia/reranking"),
        # Without an owner it is taken for one of NVIDIA's.
        (
            "llama-3.2-nv-rerankqa-1b-v2",
            "https://integrate.api.nvidia.com/v1",
            f"{NVIDIAS}/llama-3_2-nv-rerankqa-1b-v2/reranking",
        ),
    ],
)
def test_each_hosted_model_has_its_own_url(model, endpoint, url):
    assert routes(model, endpoint, Dialect.HOSTED, None, find_rerank_model(model)) == [
        Route(url, Protocol.RANKING)
    ]


@pytest.mark.parametrize(
    "model",
    [
        "",
        "nvidia/",
        "/x",
        "nvidia/a/b",
        "nvidia/../../x",
        "nvidia/x?y",
        "nvidia/x#",
        "nvidia/x\\y",
        "nvidia/x%2fy",
        "@evil.example/x",
        "nvidia/x\n",
        "..",
        "../x",
    ],
)
def test_no_name_leads_to_another_path_of_the_catalogue(model):
    with pytest.raises(errors.InvalidRequestError) as caught:
        routes(model, "https://integrate.api.nvidia.com/v1", Dialect.HOSTED, None)
    assert caught.value.field == "model"


@given(st.text(), st.sampled_from(Dialect))
def test_no_name_of_a_model_chooses_the_host(model, dialect):
    try:
        made = routes(model, "https://integrate.api.nvidia.com/v1", dialect, None)
    except errors.InvalidRequestError:
        return
    for route in made:
        assert route.url in ("/ranking", "/rerank") or route.url.startswith(f"{NVIDIAS[:-7]}/")


@pytest.mark.parametrize("dialect", sorted(set(Dialect) - {Dialect.HOSTED}))
def test_likelier_route_of_a_nim_is_tried_first(dialect):
    tried = [route.url for route in routes("m", OWN, dialect, None)]
    assert tried == (["/rerank", "/ranking"] if dialect in ENGINES else ["/ranking", "/rerank"])


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    ("url", "tried"),
    [
        ("http://r/v1/ranking", [("http://r/v1/ranking", "ranking")]),
        ("http://r/v1/ranking/", [("http://r/v1/ranking/", "ranking")]),
        ("https://r/x/reranking", [("https://r/x/reranking", "ranking")]),
        ("http://r/v2/rerank", [("http://r/v2/rerank", "rerank")]),
        ("http://r/other", [("http://r/other", "ranking")]),
        ("http://r", [("http://r/v1/ranking", "ranking"), ("http://r/v1/rerank", "rerank")]),
        ("http://r/v1/", [("http://r/v1/ranking", "ranking"), ("http://r/v1/rerank", "rerank")]),
    ],
)
def test_url_of_the_configuration_says_how_requests_look(url, tried, dialect):
    assert routes("m", OWN, dialect, url) == [Route(u, Protocol(p)) for u, p in tried]


def test_ranking_request_of_nvidias_apis():
    whole = slice(0, 2)
    assert rerank_body(request(), whole, Protocol.RANKING) == {
        "model": "m",
        "query": {"text": "q"},
        "passages": [{"text": "a"}, {"text": "b"}],
    }
    assert rerank_body(request(truncate="END"), whole, Protocol.RANKING)["truncate"] == "END"
    made = request(VL, passages=[Content(image=PNG), Content("a cat", PNG)])
    assert rerank_body(made, whole, Protocol.RANKING)["passages"] == [
        {"image": PNG},
        {"text": "a cat", "image": PNG},
    ]


def test_rerank_request_of_engines():
    whole = slice(0, 2)
    plain = {"model": "m", "query": "q", "documents": ["a", "b"]}
    assert rerank_body(request(), whole, Protocol.RERANK) == plain
    assert rerank_body(request(truncate="NONE"), whole, Protocol.RERANK) == plain
    cut = {"truncate_prompt_tokens": -1, "truncation_side": "right"}
    assert rerank_body(request(truncate="END"), whole, Protocol.RERANK) == {**plain, **cut}
    made = request(query=Content(image=PNG), passages=["a", Content("a cat", PNG)])
    image = {"type": "image_url", "image_url": {"url": PNG}}
    assert rerank_body(made, whole, Protocol.RERANK) == {
        "model": "m",
        "query": {"content": [image]},
        "documents": ["a", {"content": [image, {"type": "text", "text": "a cat"}]}],
    }


@pytest.mark.parametrize("protocol", Protocol)
def test_portion_holds_its_passages_alone(protocol):
    body = rerank_body(request(passages="abc"), slice(1, 3), protocol)
    assert body.get("documents", body.get("passages")) in (
        ["b", "c"],
        [{"text": "b"}, {"text": "c"}],
    )


def test_query_by_image_is_refused_where_it_cannot_be_sent():
    with pytest.raises(errors.InvalidRequestError) as caught:
        rerank_body(request(VL, query=Content(image=PNG)), slice(0, 2), Protocol.RANKING)
    assert caught.value.field == "query"


@pytest.mark.parametrize(
    ("made", "field"),
    [
        pytest.param(request(query=""), "query", id="no query"),
        pytest.param(request(passages=()), "items", id="no items"),
        pytest.param(request(passages=("a", "")), "items[1]", id="empty item"),
        pytest.param(request(top=0), "max_num_results", id="none wanted"),
        pytest.param(request(top=-1), "max_num_results", id="less than none wanted"),
    ],
)
def test_what_a_nim_would_refuse_is_refused_by_field(made, field):
    with pytest.raises(errors.InvalidRequestError) as caught:
        validate(made)
    assert caught.value.field == field


@pytest.mark.parametrize(("model", "known"), [("m", False), (VL, False), (RERANKER, True)])
def test_images_are_sent_to_any_model_and_a_refusal_is_explained(model, known):
    made = request(model, passages=["a", Content(image=PNG)])
    validate(made)
    text = explain_rerank_refusal(made, find_rerank_model(model)) or ""
    assert ("ranks only text, and `items[1]` is an image" in text) == known
    assert explain_rerank_refusal(request(model), find_rerank_model(model)) is None


@pytest.mark.parametrize("model", RERANK_MODELS)
def test_facts_are_found_by_any_case(model):
    assert find_rerank_model(model.upper()) is RERANK_MODELS[model]


@pytest.mark.parametrize(
    "body",
    [
        {"rankings": [{"index": 1, "logit": 2.5}, {"index": 0, "logit": -3}]},
        {
            "id": "score-1",
            "results": [
                {"index": 1, "relevance_score": 2.5, "document": {"text": "b"}},
                {"index": 0, "relevance_score": -3},
            ],
        },
        [{"index": 1, "score": 2.5, "document": "b"}, {"index": 0, "score": -3}],
    ],
    ids=["NVIDIA", "vLLM", "SGLang"],
)
def test_rankings_of_all_servers_are_read(body):
    assert decode_ranking(dumped(body), 2) == [RankedPassage(1, 2.5), RankedPassage(0, -3.0)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>", "cannot be read"),
        (b'{"rankings": [{"logit": 1}]}', "cannot be read"),
        (b"{}", "without a ranking"),
        (dumped({"rankings": [{"index": 0, "logit": 1}]}), "each of 2"),
        (dumped({"rankings": [{"index": 0, "logit": 1}] * 2}), "each of 2"),
        (dumped({"rankings": [{"index": n, "logit": 1} for n in (0, 2)]}), "each of 2"),
        (dumped({"rankings": [{"index": n, "logit": None} for n in (0, 1)]}), "no score"),
        (dumped({"results": [{"index": n} for n in (0, 1)]}), "no score"),
    ],
)
def test_answer_that_is_no_ranking_is_a_server_error(data, said):
    with pytest.raises(errors.ServerError, match=said):
        decode_ranking(data, 2)


def test_error_in_place_of_a_ranking_is_raised():
    with pytest.raises(errors.InvalidRequestError, match="too long"):
        decode_ranking(dumped({"error": {"message": "too long", "code": 400}}), 2)


SCORES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


@given(SCORES, st.integers(1, 70), st.none() | st.integers(1, 70), st.randoms())
def test_merged_portions_are_what_one_request_would_have_given(scores, size, top, random):
    made = request(passages=["x"] * len(scores))

    def ranking(part):
        ranked = [RankedPassage(n, score) for n, score in enumerate(scores[part])]
        random.shuffle(ranked)  # servers sort, but need not
        return part.start, ranked

    merged = merge_rankings([ranking(part) for part in rerank_batches(made, None, size)], top)
    assert merged == merge_rankings([ranking(slice(0, len(scores)))], top)
    assert [one.score for one in merged] == sorted(scores, reverse=True)[:top]
    assert all(scores[one.passage] == one.score for one in merged)


@pytest.mark.parametrize(("configured", "sizes"), [(None, [300, 300]), (600, [600])])
def test_portions_are_the_users_or_what_the_model_takes(configured, sizes):
    made = request(RERANKER, passages="x" * 600)
    parts = rerank_batches(made, find_rerank_model(RERANKER), configured)
    assert [part.stop - part.start for part in parts] == sizes
