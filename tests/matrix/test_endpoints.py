"""Two NIMs behind one provider: one that chats, and one of NeMo Retriever that embeds and ranks."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from nim_emulator.retrieval.vectors import cosine

from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer

from . import release
from .servers import model, stack_server

pytestmark = pytest.mark.server

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/llama-3.2-nv-embedqa-1b-v2"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
PASSAGES = [
    "The harbour of Rotterdam handles more cargo than any other in Europe.",
    "A lighthouse keeper once lived on the island and lit the lamp at dusk.",
    "Sourdough bread rises slowly because wild yeast works slowly.",
    "The cargo ship waited outside the harbour until the tide had risen.",
]
QUESTION = "Why does sourdough bread rise slowly?"
ANSWER = 2


@pytest.fixture(scope="module")
def chat_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer("nim1", models=[LLM]) as nim:
        yield nim


@pytest.fixture(scope="module")
def retriever_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer("retriever", models=[EMBEDDER, RERANKER]) as nim:
        yield nim


@pytest.fixture(scope="module")
def settings(chat_nim: EmulatorServer, retriever_nim: EmulatorServer) -> dict[str, Any]:
    return {
        "endpoints": [
            {"name": "chat", "url": chat_nim.url},
            {"name": "retriever", "url": retriever_nim.url},
        ]
    }


@pytest.fixture(scope="module")
def joined_server(
    settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackServer]:
    models = [
        model("nvidia", LLM),
        model("nvidia", EMBEDDER, "embedding", embedding_dimension=2048),
        model("nvidia", f"{EMBEDDER}-query", "embedding", embedding_dimension=2048),
    ]
    if "rerank" in stack.KINDS:
        models.append(model("nvidia", RERANKER, "rerank"))
    with stack_server(tmp_path_factory.mktemp("endpoints"), {"nvidia": settings}, models) as server:
        yield server


@pytest.fixture
def caller(
    joined_server: StackServer, chat_nim: EmulatorServer, retriever_nim: EmulatorServer
) -> Iterator[openai.OpenAI]:
    chat_nim.clear()
    retriever_nim.clear()
    url = joined_server.url
    with openai.OpenAI(
        base_url=f"{url}{release.openai_path(url)}", api_key="none", timeout=30, max_retries=0
    ) as made:
        yield made


def posted(nim: EmulatorServer) -> list[tuple[str, str]]:
    return [(one.path, one.body["model"]) for one in nim.requests if one.method == "POST"]


def vectors(caller: openai.OpenAI, name: str, texts: list[str]) -> list[list[float]]:
    answer = caller.embeddings.create(model=f"nvidia/{name}", input=texts, encoding_format="float")
    return [entry.embedding for entry in answer.data]


async def ranked(server: StackServer, settings: dict[str, Any], texts: list[str]) -> list[int]:
    """Order texts by the question: through the server, or in this process where it has no way."""
    if release.RANKS:
        request = {"model": f"nvidia/{RERANKER}", "query": QUESTION, "items": texts}
        route = f"{server.url}/v1alpha/inference/rerank"
        async with httpx.AsyncClient(timeout=30) as http:
            answer = (await http.post(route, json=request)).raise_for_status().json()
        return [entry["index"] for entry in answer["data"]]
    adapter = await get_adapter_impl(NVIDIAConfig(**settings), {})
    try:
        return [entry.index for entry in (await adapter.rerank(RERANKER, QUESTION, texts)).data]
    finally:
        await adapter.shutdown()


@pytest.mark.parametrize("streaming", [False, True])
def test_chats_go_to_the_nim_that_chats(
    caller: openai.OpenAI,
    chat_nim: EmulatorServer,
    retriever_nim: EmulatorServer,
    streaming: bool,
) -> None:
    said: Any = [{"role": "user", "content": "Say hello to the world."}]
    ask: Any = caller.chat.completions.create
    answer = ask(model=f"nvidia/{LLM}", messages=said, stream=streaming)
    if streaming:
        text = "".join(part.choices[0].delta.content or "" for part in answer if part.choices)
    else:
        text = answer.choices[0].message.content
    assert "hello to the world" in text
    assert posted(chat_nim) == [("/v1/chat/completions", LLM)]
    assert posted(retriever_nim) == []


def test_embeddings_go_to_the_nim_that_embeds(
    caller: openai.OpenAI, chat_nim: EmulatorServer, retriever_nim: EmulatorServer
) -> None:
    assert [len(one) for one in vectors(caller, EMBEDDER, PASSAGES)] == [2048] * len(PASSAGES)
    assert posted(retriever_nim) == [("/v1/embeddings", EMBEDDER)]
    assert posted(chat_nim) == []


def test_the_models_of_both_are_listed(caller: openai.OpenAI) -> None:
    listed = {entry.id for entry in caller.models.list()}
    expected = {f"nvidia/{LLM}", f"nvidia/{EMBEDDER}"}
    if "rerank" in stack.KINDS:
        expected.add(f"nvidia/{RERANKER}")
    assert expected <= listed


def test_health_names_both(joined_server: StackServer) -> None:
    providers = httpx.get(f"{joined_server.url}/v1/providers", timeout=10).json()["data"]
    (ours,) = [one for one in providers if one["api"] == "inference"]
    if not release.TELLS_HEALTH:
        assert ours["health"]["status"] == "Not Implemented"
        return
    assert ours["health"]["status"] == "OK"
    told = {one["name"]: (one["live"], one["ready"]) for one in ours["health"]["endpoints"]}
    assert told == {"chat": (True, True), "retriever": (True, True)}


async def test_a_question_is_answered_from_the_passage_that_fits(
    caller: openai.OpenAI,
    joined_server: StackServer,
    settings: dict[str, Any],
    chat_nim: EmulatorServer,
    retriever_nim: EmulatorServer,
) -> None:
    """Embed, find, rank, answer.

    The vectors are kept here: the stores of the servers load a tokenizer from the internet.
    """
    stored = vectors(caller, EMBEDDER, PASSAGES)
    (asked,) = vectors(caller, f"{EMBEDDER}-query", [QUESTION])
    near = sorted(range(len(PASSAGES)), key=lambda n: -cosine(asked, stored[n]))[:3]
    assert near[0] == ANSWER
    order = await ranked(joined_server, settings, [PASSAGES[n] for n in near])
    assert near[order[0]] == ANSWER
    found = PASSAGES[near[order[0]]]
    said: Any = [
        {"role": "system", "content": "Answer from the text that is given."},
        {"role": "user", "content": f"{found} {QUESTION}"},
    ]
    answer = caller.chat.completions.create(model=f"nvidia/{LLM}", messages=said)
    assert found in str(answer.choices[0].message.content)
    purposes = [one.body.get("input_type") for one in retriever_nim.requests if one.body]
    assert purposes[:2] == ["passage", "query"]
    assert [path for path, _ in posted(retriever_nim)][2:] == ["/v1/ranking"]
    assert [path for path, _ in posted(chat_nim)] == ["/v1/chat/completions"]
