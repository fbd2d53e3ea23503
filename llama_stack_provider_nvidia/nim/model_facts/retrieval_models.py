"""Facts about embedding and rerank models that no NIM reports and that an index needs.

From NVIDIA's support matrices, API references and model cards (2026-10).
"""

from typing import NamedTuple


class EmbeddingModel(NamedTuple):
    """Facts about one embedding model.

    Attributes:
        dimension: Length of its vectors, where the caller does not choose another.
        max_tokens: Longest text, in tokens.
        dimensions: The lengths that a caller may choose; empty for none, None if not known.
        asymmetric: It embeds queries and passages differently, and NIM refuses a request that
            does not say which of them its texts are.
        images: It embeds images too.
        base64: Its NIM is known to send vectors as base64.
        batch_size: Most texts in one request. NVIDIA states no limit: this keeps responses small
            and lets several requests run at the same time.
        date: When this was so, as year and month.
    """

    dimension: int
    max_tokens: int
    dimensions: tuple[int, ...] | None = ()
    asymmetric: bool = True
    images: bool = False
    base64: bool = False
    batch_size: int = 256
    date: str = "2026-10"


_STEPS = (384, 512, 768, 1024, 2048)

EMBEDDING_MODELS: dict[str, EmbeddingModel] = {
    "baai/bge-large-zh-v1.5": EmbeddingModel(1024, 512, asymmetric=False),
    "baai/bge-m3": EmbeddingModel(1024, 8192, asymmetric=False),
    "nvidia/llama-3.2-nemoretriever-1b-vlm-embed-v1": EmbeddingModel(2048, 4096, None, images=True),
    "nvidia/llama-3.2-nemoretriever-300m-embed-v1": EmbeddingModel(2048, 8192),
    "nvidia/llama-3.2-nemoretriever-300m-embed-v2": EmbeddingModel(2048, 8192, None),
    "nvidia/llama-3.2-nv-embedqa-1b-v2": EmbeddingModel(2048, 8192, _STEPS),
    "nvidia/llama-nemotron-embed-1b-v2": EmbeddingModel(2048, 8192, _STEPS, base64=True),
    "nvidia/llama-nemotron-embed-300m-v2": EmbeddingModel(2048, 8192, _STEPS, base64=True),
    "nvidia/llama-nemotron-embed-vl-1b-v2": EmbeddingModel(
        2048, 2048, None, images=True, base64=True
    ),
    "nvidia/nemotron-3-embed-1b": EmbeddingModel(2048, 4096, base64=True),
    "nvidia/nv-embed-v1": EmbeddingModel(4096, 32768),
    "nvidia/nv-embedcode-7b-v1": EmbeddingModel(4096, 32768),
    "nvidia/nv-embedqa-e5-v5": EmbeddingModel(1024, 512),
    "nvidia/nv-embedqa-mistral-7b-v2": EmbeddingModel(4096, 512),
    "snowflake/arctic-embed-l": EmbeddingModel(1024, 512),
}


class RerankModel(NamedTuple):
    """Facts about one rerank model.

    Attributes:
        images: It ranks images too.
        passages: Most passages in one request.
        hosted: Path of its URL in the hosted catalogue, where it is not made of its name.
        date: When this was so, as year and month.
    """

    images: bool = False
    passages: int = 512
    hosted: str | None = None
    date: str = "2026-10"


RERANK_MODELS: dict[str, RerankModel] = {
    "nv-rerank-qa-mistral-4b:1": RerankModel(hosted="nvidia/reranking"),
    "nvidia/llama-3.2-nemoretriever-500m-rerank-v2": RerankModel(),
    "nvidia/llama-3.2-nv-rerankqa-1b-v1": RerankModel(),
    "nvidia/llama-3.2-nv-rerankqa-1b-v2": RerankModel(),
    "nvidia/llama-nemotron-rerank-1b-v2": RerankModel(),
    "nvidia/llama-nemotron-rerank-500m-v2": RerankModel(),
    "nvidia/llama-nemotron-rerank-vl-1b-v2": RerankModel(images=True),
}


def find_embedding_model(model: str) -> EmbeddingModel | None:
    """Return what is known of an embedding model; None for nothing."""
    return EMBEDDING_MODELS.get(model.lower())


def find_rerank_model(model: str) -> RerankModel | None:
    """Return what is known of a rerank model; None for nothing."""
    return RERANK_MODELS.get(model.lower())
