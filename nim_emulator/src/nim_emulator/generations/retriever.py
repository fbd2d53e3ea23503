"""The NeMo Retriever NIMs for embeddings and ranking: API references 1.5 to 2.4.

The two forms of error text were both reported by users, without a release: here each belongs to
one generation. Unknown fields are refused because the published schemas are closed. That an id
may end in ``-query`` or ``-passage`` is documented for 1.x, and on some pages of 2.x only: a
caller should not rely on it there.
"""

from __future__ import annotations

from dataclasses import replace

from ..dialect import Dialect
from ..shapes import NIM2_SHAPES
from . import field_groups
from .shared import MANAGEMENT

RETRIEVER = Dialect(
    name="retriever",
    summary="NeMo Retriever NIM 2.x: text and image embeddings, ranking; no chats",
    chat_fields=None,
    completion_fields=None,
    embedding_fields=field_groups.RETRIEVER_EMBEDDING,
    services={"/v1/embeddings": "embeddings", "/v1/ranking": "ranking"},
    refuses_unknown=True,
    response_formats=frozenset(),
    errors="mixed",
    too_many_tokens="",
    routes={
        **MANAGEMENT,
        "/v1/health/ready": "retriever_ready",
        "/v1/health/live": "retriever_live",
    },
    shapes=NIM2_SHAPES,
    model_entry=("id",),
    owned_by="nvidia",
    release="2.2.0",
    metadata={"repository_override": "", "selectedModelProfileId": "emulated"},
    default_models=("nvidia/llama-nemotron-embed-1b-v2", "nvidia/llama-nemotron-rerank-1b-v2"),
)

RETRIEVER1 = replace(
    RETRIEVER,
    name="retriever1",
    summary="NeMo Retriever NIM 1.x: as retriever, and ids that end in -query or -passage",
    type_suffixes=True,
    errors="fastapi",
    routes={
        **MANAGEMENT,
        "/v1/health/ready": "retriever1_ready",
        "/v1/health/live": "retriever1_live",
    },
    release="1.10.0",
    metadata={},
    default_models=("nvidia/llama-3.2-nv-embedqa-1b-v2", "nvidia/llama-3.2-nv-rerankqa-1b-v2"),
)
