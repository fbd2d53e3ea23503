"""The services that a dialect may have on its paths, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import engine, nim
from .call import Call

Service = Callable[[Call], dict[str, Any]]

SERVICES: dict[str, Service] = {
    "embeddings": nim.embeddings,
    "ranking": nim.ranking,
    "hosted_ranking": nim.hosted_ranking,
    "legacy_ranking": nim.legacy_ranking,
    "engine_embeddings": engine.embeddings,
    "engine_rerank": engine.rerank,
}
