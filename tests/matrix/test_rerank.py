"""Reranking: through the server where it has the route, and else by a call in this process."""

from typing import Any

import httpx
import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer

from . import release
from .conftest import RERANKER

pytestmark = pytest.mark.server

QUERY = "how many moons does mars have"
ITEMS = ["the sea is deep", "mars has two moons", "moons are round"]
ROUTE = "/v1alpha/inference/rerank"
REQUEST: dict[str, Any] = {"query": QUERY, "items": ITEMS, "max_num_results": 2}


if release.RANKS:

    def test_the_client_of_the_release_ranks(own_client: Any, nim: EmulatorServer) -> None:
        request = {"model": f"nvidia/{RERANKER}", **REQUEST}
        answer = own_client.alpha.inference.rerank(**request)
        ranked = getattr(answer, "data", answer)
        assert ranked[0].index == 1
        assert len(ranked) == 2
        assert ranked[0].relevance_score > ranked[1].relevance_score
        assert nim.requests[-1].path == "/v1/rerank"


def test_the_route_answers_where_the_release_has_it(
    server: StackServer, nim: EmulatorServer
) -> None:
    request = {"model": f"nvidia/{RERANKER}", **REQUEST}
    answer = httpx.post(f"{server.url}{ROUTE}", json=request, timeout=60)
    assert (answer.status_code == 200) == release.RANKS


async def test_a_call_in_this_process_ranks(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    answer = await adapter.rerank(RERANKER, QUERY, ITEMS, 2)
    first, second = answer.data
    assert first.index == 1
    assert first.relevance_score > second.relevance_score
