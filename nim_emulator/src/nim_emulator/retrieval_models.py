"""Facts about NVIDIA's embedding and rerank models.

From the support matrices of the NeMo Retriever NIMs (1.5 to 2.4), model cards, and the request
schemas that NVIDIA publishes for its hosted models (2026-10). Which models need an
``input_type`` is published for few: those made for retrieval are taken to need it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["llm", "embedding", "rerank"]
Truncate = Literal["NONE", "START", "END"]

EMBEDDING_TYPES = ("float", "int8", "uint8", "binary", "ubinary")


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """Facts about one embedding model.

    Attributes:
        dimension: Length of its vectors, unless the request chooses another.
        max_tokens: The longest text, in tokens.
        dynamic: Its vectors may be cut to a chosen length (Matryoshka embeddings).
        steps: The lengths to choose from; empty for any up to ``dimension``.
        asymmetric: Queries and passages are embedded differently: ``input_type`` is required.
        base64: ``encoding_format`` may be ``base64``.
        types: Values of ``embedding_type`` that it has.
        images: It embeds images too.
    """

    dimension: int
    max_tokens: int
    dynamic: bool = False
    steps: tuple[int, ...] = ()
    asymmetric: bool = True
    base64: bool = True
    types: tuple[str, ...] = ("float",)
    images: bool = False

    def takes(self, dimensions: int) -> bool:
        """Return whether its vectors may have this length."""
        if not self.dynamic:
            return False
        return dimensions in self.steps if self.steps else 1 <= dimensions <= self.dimension


@dataclass(frozen=True, kw_only=True)
class Reranker:
    """Facts about one rerank model.

    Attributes:
        max_tokens: The longest query and passage together, in tokens.
        passages: The most passages of one request.
        truncate: What happens to longer texts unless the request says.
        images: Passages may have an image.
    """

    max_tokens: int = 8192
    passages: int = 512
    truncate: Truncate = "NONE"
    images: bool = False


_STEPS = (384, 512, 768, 1024, 2048)
_NEMOTRON = Embedder(
    dimension=2048, max_tokens=8192, dynamic=True, steps=_STEPS, types=EMBEDDING_TYPES
)
_SHORT = Embedder(dimension=1024, max_tokens=512, base64=False)

EMBEDDERS: dict[str, Embedder] = {
    "nvidia/nemotron-3-embed-1b": Embedder(dimension=2048, max_tokens=4096, types=EMBEDDING_TYPES),
    "nvidia/llama-nemotron-embed-1b-v2": _NEMOTRON,
    "nvidia/llama-nemotron-embed-300m-v2": _NEMOTRON,
    "nvidia/llama-nemotron-embed-vl-1b-v2": Embedder(
        dimension=2048,
        max_tokens=2048,
        dynamic=True,
        steps=_STEPS,
        types=EMBEDDING_TYPES,
        images=True,
    ),
    "nvidia/llama-3.2-nv-embedqa-1b-v2": _NEMOTRON,
    "nvidia/llama-3.2-nemoretriever-300m-embed-v1": Embedder(dimension=2048, max_tokens=8192),
    "nvidia/llama-3.2-nemoretriever-300m-embed-v2": Embedder(dimension=2048, max_tokens=8192),
    "nvidia/llama-3.2-nemoretriever-1b-vlm-embed-v1": Embedder(
        dimension=2048, max_tokens=4096, dynamic=True, steps=_STEPS, images=True
    ),
    "nvidia/nv-embedqa-e5-v5": _SHORT,
    "nvidia/nv-embedqa-mistral-7b-v2": Embedder(dimension=4096, max_tokens=512, base64=False),
    "snowflake/arctic-embed-l": _SHORT,
    "baai/bge-m3": Embedder(dimension=1024, max_tokens=8192, asymmetric=False),
    "baai/bge-large-zh-v1.5": Embedder(dimension=1024, max_tokens=512, asymmetric=False),
    "nvidia/nv-embed-v1": Embedder(dimension=4096, max_tokens=32_768),
    "nvidia/nv-embedcode-7b-v1": Embedder(dimension=4096, max_tokens=32_768),
}
"""Embedding models by id."""

_NEMOTRON_RERANK = Reranker(passages=1000, truncate="END")

RERANKERS: dict[str, Reranker] = {
    "nvidia/llama-nemotron-rerank-1b-v2": _NEMOTRON_RERANK,
    "nvidia/llama-nemotron-rerank-500m-v2": _NEMOTRON_RERANK,
    "nvidia/llama-3.2-nemoretriever-500m-rerank-v2": _NEMOTRON_RERANK,
    "nvidia/llama-nemotron-rerank-vl-1b-v2": Reranker(
        max_tokens=10_240, passages=1000, truncate="END", images=True
    ),
    "nvidia/llama-3.2-nv-rerankqa-1b-v1": Reranker(max_tokens=512),
    "nvidia/llama-3.2-nv-rerankqa-1b-v2": Reranker(),
    "nv-rerank-qa-mistral-4b:1": Reranker(max_tokens=512),
}
"""Rerank models by id."""

LEGACY_RERANKER = "nv-rerank-qa-mistral-4b:1"
"""The hosted rerank model whose path does not hold its name."""

# Models that are not in the tables: the least that is common.
_OTHER_EMBEDDER = Embedder(dimension=1024, max_tokens=8192, asymmetric=False)
_OTHER_RERANKER = Reranker()

# "nv-rerankqa" before "embed": no rerank model is an embedder.
_RERANK = re.compile(r"rerank")
_EMBED = re.compile(r"embed|nvclip|(^|/)bge-")


def kind_of(model: str) -> Kind:
    """Return the kind of a model, from its id."""
    name = model.lower()
    if model in RERANKERS or _RERANK.search(name):
        return "rerank"
    return "embedding" if model in EMBEDDERS or _EMBED.search(name) else "llm"


def embedder(model: str) -> Embedder:
    """Return the facts about an embedding model; plain ones where nothing is known of it."""
    return EMBEDDERS.get(model, _OTHER_EMBEDDER)


def reranker(model: str) -> Reranker:
    """Return the facts about a rerank model; plain ones where nothing is known of it."""
    return RERANKERS.get(model, _OTHER_RERANKER)


def longest(model: str) -> int | None:
    """Return the most tokens a text may have for an embedding or rerank model, else None."""
    kind = kind_of(model)
    if kind == "llm":
        return None
    return embedder(model).max_tokens if kind == "embedding" else reranker(model).max_tokens
