"""The registry of embedding and ranking services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import retriever, vllm
from .retrieval_request import RetrievalRequest

Service = Callable[[RetrievalRequest], dict[str, Any]]

SERVICES: dict[str, Service] = {
    "embeddings": retriever.embeddings,
    "ranking": retriever.ranking,
    "hosted_ranking": retriever.hosted_ranking,
    "legacy_ranking": retriever.legacy_ranking,
    "engine_embeddings": vllm.embeddings,
    "dynamo_embeddings": vllm.dynamo_embeddings,
    "engine_rerank": vllm.rerank,
}
