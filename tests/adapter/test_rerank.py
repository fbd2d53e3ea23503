"""Reranking in front of each kind of NIM that has it."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer, fingerprint

RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
NEMOTRON = "nvidia/llama-nemotron-rerank-1b-v2"
VL = "nvidia/llama-nemotron-rerank-vl-1b-v2"
LEGACY = "nv-rerank-qa-mistral-4b:1"
MODELS = [RERANKER, NEMOTRON, VL, LEGACY]
KEY = "nvapi-right"
IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDw"
    "ADhgGAWjR9awAAAABJRU5ErkJggg=="
)
QUERY = "how many moons does mars have"
ITEMS = ["the sea is deep", "mars has two moons", "moons are round", "mars is red"]

Make = Callable[..., NVIDIAInferenceAdapter]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, EmulatorServer]]:
    made = {
        name: EmulatorServer(name, MODELS, **({"api_key": KEY} if name == "hosted" else {})).start()
        for name in ("retriever", "vllm", "hosted", "generic", "nim1")
    }
    yield made
    for server in made.values():
        server.stop()


@pytest.fixture
def nims(servers: dict[str, EmulatorServer]) -> dict[str, EmulatorServer]:
    for server in servers.values():
        server.clear()
    return servers


@pytest.fixture
async def make(nims: dict[str, EmulatorServer]) -> AsyncIterator[Make]:
    adapters = []

    def made(which: str = "retriever", **config: Any) -> NVIDIAInferenceAdapter:
        config = {"url": nims[which].url, "max_retries": 0, "api_key": KEY, **config}
        adapters.append(NVIDIAInferenceAdapter(NVIDIAConfig(**config)))
        return adapters[-1]

    yield made
    for adapter in adapters:
        await adapter.shutdown()


@pytest.fixture
def nim(nims: dict[str, EmulatorServer]) -> EmulatorServer:
    return nims["retriever"]


def posts(nim: EmulatorServer) -> list[Any]:
    return [one for one in nim.requests if one.method == "POST"]


def scored(answer: Any) -> list[tuple[int, float]]:
    return [(one.index, one.relevance_score) for one in answer.data]


@pytest.mark.parametrize("dialect", ["retriever", "vllm", "hosted"])
@pytest.mark.parametrize("model", [RERANKER, NEMOTRON])
async def test_items_come_by_relevance(make: Make, dialect: str, model: str) -> None:
    answer = scored(await make(dialect).rerank(model, QUERY, ITEMS))
    assert answer[0][0] == 1
    assert sorted(index for index, _ in answer) == [0, 1, 2, 3]
    assert [score for _, score in answer] == sorted((s for _, s in answer), reverse=True)


@pytest.mark.parametrize(
    ("dialect", "model", "path"),
    [
        ("retriever", RERANKER, "/v1/ranking"),
        ("vllm", RERANKER, "/v1/rerank"),
        ("hosted", RERANKER, "/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking"),
        ("hosted", LEGACY, "/v1/retrieval/nvidia/reranking"),
    ],
)
async def test_each_kind_of_nim_is_asked_where_it_answers(
    make: Make, nims: dict[str, EmulatorServer], dialect: str, model: str, path: str
) -> None:
    await make(dialect).rerank(model, QUERY, ITEMS)
    (asked,) = posts(nims[dialect])
    assert asked.path == path
    assert asked.body["model"] == model
    assert not {"truncate", "top_n", "top_k"} & asked.body.keys()


async def test_items_are_cut_here_and_not_by_the_nim(make: Make, nim: EmulatorServer) -> None:
    whole = scored(await make().rerank(RERANKER, QUERY, ITEMS))
    for most in (1, 3, 4, 99):
        assert scored(await make().rerank(RERANKER, QUERY, ITEMS, most)) == whole[:most]
    assert all(len(one.body["passages"]) == 4 for one in posts(nim))


async def test_many_items_are_sent_in_portions_and_merged(make: Make, nim: EmulatorServer) -> None:
    items = [f"{ITEMS[n % 4]} {n}" for n in range(50)]
    whole = scored(await make().rerank(RERANKER, QUERY, items, 9))
    nim.clear()
    assert scored(await make(rerank_batch_size=7).rerank(RERANKER, QUERY, items, 9)) == whole
    assert sorted(len(one.body["passages"]) for one in posts(nim)) == [6, 6, 6, 6, 6, 6, 7, 7]


async def test_more_items_than_a_nim_takes_are_no_problem(make: Make, nim: EmulatorServer) -> None:
    items = [f"{ITEMS[n % 4]} {n}" for n in range(600)]
    answer = await make().rerank(RERANKER, QUERY, items)
    assert sorted(one.index for one in answer.data) == list(range(600))
    assert len(posts(nim)) == 2


# Which route


async def test_route_that_answers_is_remembered(
    make: Make, nims: dict[str, EmulatorServer]
) -> None:
    adapter = make("vllm", dialect="generic")
    for _ in range(2):
        await adapter.rerank(RERANKER, QUERY, ITEMS)
    assert [one.path for one in posts(nims["vllm"])] == ["/v1/ranking", "/v1/rerank", "/v1/rerank"]


async def test_portions_ask_for_the_route_once(make: Make, nims: dict[str, EmulatorServer]) -> None:
    await make("vllm", dialect="generic", rerank_batch_size=1).rerank(RERANKER, QUERY, ITEMS)
    assert [one.path for one in posts(nims["vllm"])].count("/v1/ranking") == 1


async def test_nim_without_rerank_is_an_error_that_says_what_was_tried(make: Make) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="rerank_model_to_url") as caught:
        await make("generic").rerank(RERANKER, QUERY, ITEMS)
    assert "/ranking and /rerank" in str(caught.value)


@pytest.mark.parametrize("dialect", ["retriever", "vllm"])
async def test_model_that_is_not_there_is_named(make: Make, dialect: str) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="no/such-reranker"):
        await make(dialect).rerank("no/such-reranker", QUERY, ITEMS)


async def test_other_refusals_are_not_taken_for_a_missing_route(
    make: Make, nim: EmulatorServer
) -> None:
    nim.script([{"status": 400, "body": {"message": "no"}}])
    with pytest.raises(errors.InvalidRequestError, match="answered 400: no"):
        await make().rerank(RERANKER, QUERY, ITEMS)
    assert len(posts(nim)) == 1


@pytest.mark.parametrize(
    ("dialect", "url"),
    [
        ("retriever", "{nim}/v1/ranking"),
        ("vllm", "{nim}/v1/rerank"),
        ("vllm", "{nim}"),
        ("retriever", "{nim}/v1"),
        ("hosted", "{nim}/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking"),
    ],
)
async def test_model_with_an_url_of_its_own_is_asked_there(
    make: Make, nims: dict[str, EmulatorServer], dialect: str, url: str
) -> None:
    # The NIM at `url` serves no reranker at all.
    urls = {RERANKER: url.format(nim=nims[dialect].url)}
    answer = await make("nim1", rerank_model_to_url=urls).rerank(RERANKER, QUERY, ITEMS)
    assert scored(answer)[0][0] == 1
    assert posts(nims["nim1"]) == []
    assert posts(nims[dialect])[-1].key == fingerprint(KEY)


async def test_url_at_the_host_of_a_nim_gets_that_nims_key(
    make: Make, nims: dict[str, EmulatorServer]
) -> None:
    other = {"url": nims["retriever"].url, "api_key": "nvapi-other"}
    urls = {RERANKER: f"{other['url']}/v1/ranking"}
    adapter = make("nim1", endpoints=[other], rerank_model_to_url=urls)
    await adapter.rerank(RERANKER, QUERY, ITEMS)
    assert posts(nims["retriever"])[-1].key == fingerprint("nvapi-other")


async def test_error_names_the_url_that_was_asked(
    make: Make, nims: dict[str, EmulatorServer]
) -> None:
    url = f"{nims['nim1'].url}/v1/ranking"
    with pytest.raises(errors.ModelNotFoundError) as caught:
        await make(rerank_model_to_url={RERANKER: url}).rerank(RERANKER, QUERY, ITEMS)
    assert caught.value.endpoint == url


@pytest.mark.parametrize(
    "model",
    ["http://127.0.0.1:{port}/v1/ranking", "//127.0.0.1:{port}/ranking", "@127.0.0.1:{port}/x"],
)
@pytest.mark.parametrize("dialect", ["retriever", "vllm", "hosted"])
async def test_no_model_of_a_request_leads_the_key_elsewhere(
    make: Make, nims: dict[str, EmulatorServer], dialect: str, model: str
) -> None:
    elsewhere = nims["generic"]
    name = model.format(port=elsewhere.url.rpartition(":")[2])
    with pytest.raises(errors.InvalidRequestError):
        await make(dialect).rerank(name, QUERY, ITEMS)
    assert elsewhere.requests == []


async def test_query_and_items_lead_nowhere(make: Make, nims: dict[str, EmulatorServer]) -> None:
    elsewhere = nims["generic"]
    await make().rerank(RERANKER, elsewhere.url, [f"{elsewhere.url}/v1/ranking", "b"])
    assert elsewhere.requests == []


# What is asked for


@pytest.mark.parametrize(
    ("dialect", "truncate", "sent"),
    [
        ("retriever", "end", {"truncate": "END"}),
        ("retriever", "NONE", {"truncate": "NONE"}),
        ("vllm", "END", {"truncate_prompt_tokens": -1, "truncation_side": "right"}),
        ("vllm", "NONE", {}),
    ],
)
async def test_truncation_is_the_users(
    make: Make, nims: dict[str, EmulatorServer], dialect: str, truncate: str, sent: Any
) -> None:
    await make(dialect, rerank_truncate=truncate).rerank(RERANKER, QUERY, ITEMS)
    body = posts(nims[dialect])[0].body
    fields = ("truncate", "truncate_prompt_tokens", "truncation_side")
    assert {name: body[name] for name in fields if name in body} == sent


def image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(("status", "body"), [(503, {"message": "loading"}), (404, "")])
async def test_a_url_of_its_own_beside_dynamo_is_not_dynamo(status: int, body: Any) -> None:
    with EmulatorServer("dynamo") as dynamo, EmulatorServer("nim1") as ranker:
        settings = {"url": dynamo.url, "max_retries": 0, "api_key": "none"}
        url = f"{ranker.url}/v1/ranking"
        settings["rerank_model_to_url"] = {RERANKER: url}
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig.model_validate(settings))
        await adapter.endpoint.finding()
        dynamo.clear()
        ranker.script([{"path": "/v1/ranking", "status": status, "body": body}])
        with pytest.raises(errors.NIMError) as caught:
            await adapter.rerank(RERANKER, QUERY, ITEMS)
        assert caught.value.code != "no_worker"
        assert caught.value.status_code == status
        assert dynamo.requests == []
        await adapter.shutdown()


async def test_images_are_ranked_by_models_that_can(make: Make, nim: EmulatorServer) -> None:
    image = image_part(IMAGE)
    text = {"type": "text", "text": "mars has two moons"}
    ranked = {"rankings": [{"index": n, "logit": n} for n in range(3)]}
    nim.script([{"body": ranked}])
    answer = await make().rerank(VL, QUERY, [image, text, "the sea"])
    assert len(answer.data) == 3
    assert posts(nim)[0].body["passages"] == [
        {"image": IMAGE},
        {"text": "mars has two moons"},
        {"text": "the sea"},
    ]
    with pytest.raises(errors.InvalidRequestError, match="NIM answered 4") as caught:
        await make().rerank(RERANKER, QUERY, ["a", image])
    assert "ranks only text, and `items[1]` is an image" in str(caught.value)
    with pytest.raises(errors.InvalidRequestError, match="by text"):
        await make().rerank(VL, image, ["a"])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((RERANKER, QUERY, []), "items"),
        ((RERANKER, QUERY, "text"), "items"),
        ((RERANKER, QUERY, None), "items"),
        ((RERANKER, QUERY, ["a", 5]), "items[1]"),
        ((RERANKER, QUERY, ["a", None]), "items[1]"),
        ((RERANKER, QUERY, ["a", {"type": "text"}]), "items[1]"),
        ((RERANKER, QUERY, ["a", ""]), "items[1]"),
        ((RERANKER, QUERY, ["a"], 0), "max_num_results"),
        ((RERANKER, QUERY, ["a"], "2"), "max_num_results"),
        ((RERANKER, "", ["a"]), "query"),
        ((RERANKER, 5, ["a"]), "query"),
        ((RERANKER, image_part("data:text/html,zz"), ["a"]), "query"),
        ((RERANKER, image_part("http://169.254.169.254/a.png"), ["a"]), "query"),
        ((RERANKER, QUERY, ["a", image_part("data:text/html,zz")]), "items[1]"),
        ((None, QUERY, ["a"]), "model"),
        (("", QUERY, ["a"]), "model_id"),
    ],
)
async def test_what_cannot_be_ranked_is_refused_unsent(
    make: Make, nim: EmulatorServer, arguments: Any, field: str
) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        await make().rerank(*arguments)
    assert caught.value.field == field
    assert posts(nim) == []


async def test_each_way_that_stacks_call_it(make: Make) -> None:
    adapter = make()
    request = SimpleNamespace(model=RERANKER, query=QUERY, items=ITEMS, max_num_results=2)
    named = {"model": RERANKER, "query": QUERY, "items": ITEMS, "max_num_results": 2}
    answers = [
        await adapter.rerank(RERANKER, QUERY, ITEMS, 2),
        await adapter.rerank(**named),
        await adapter.rerank(request),
        await adapter.rerank(request=request),
    ]
    assert len({str(scored(answer)) for answer in answers}) == 1
    assert isinstance(answers[0], stack.RerankResponse)


def test_signature_is_the_protocols_where_it_has_one() -> None:
    ours = inspect.signature(NVIDIAInferenceAdapter.rerank)
    protocols = getattr(stack.Protocol, "rerank", None)
    assert protocols is None or ours == inspect.signature(protocols)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"rankings": [{"index": 0, "logit": 1}]}, "each of 4 passages"),
        ({"hello": 1}, "without a ranking"),
        ("<html>", "cannot be read"),
    ],
)
async def test_answer_that_is_none_is_an_error(
    make: Make, nim: EmulatorServer, body: Any, problem: str
) -> None:
    nim.script([{"body": body}])
    with pytest.raises(errors.ServerError, match=problem):
        await make().rerank(RERANKER, QUERY, ITEMS)


async def test_hosted_answer_that_is_not_ready_is_waited_for(
    make: Make, nims: dict[str, EmulatorServer]
) -> None:
    ranked = {"rankings": [{"index": n, "logit": n} for n in range(4)]}
    nims["hosted"].script(
        [
            {"status": 202, "headers": {"NVCF-REQID": "abc"}},
            {"path": "/v2/nvcf/pexec/status/abc", "body": ranked},
        ]
    )
    answer = await make("hosted", dialect="hosted").rerank(RERANKER, QUERY, ITEMS)
    assert [index for index, _ in scored(answer)] == [3, 2, 1, 0]
