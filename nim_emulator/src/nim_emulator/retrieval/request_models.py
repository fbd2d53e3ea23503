"""Pydantic models of embedding and rerank requests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Modality = Literal["text", "image", "text_image"]


class _Open(BaseModel):
    """Unknown fields were refused or dropped before, as the dialect does."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class EmbeddingRequest(_Open):
    """``POST /v1/embeddings`` of the NeMo Retriever NIMs and the hosted catalogue."""

    model: str
    input: Text | Annotated[list[Text], Field(min_length=1)]
    input_type: Literal["query", "passage"] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    embedding_type: Literal["float", "int8", "uint8", "binary", "ubinary"] = "float"
    truncate: Literal["NONE", "START", "END"] = "NONE"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    modality: Modality | list[Modality] | None = None
    user: str | None = None


class Query(BaseModel):
    """The query of a ranking; a closed object."""

    model_config = ConfigDict(extra="forbid")

    text: str


class Passage(BaseModel):
    """A passage of a ranking; a closed object."""

    model_config = ConfigDict(extra="forbid")

    text: str
    image: str | None = None


class RankingRequest(_Open):
    """``POST /v1/ranking`` of the NeMo Retriever NIMs, and the hosted rerank paths."""

    model: str
    query: Query
    passages: Annotated[list[Passage], Field(min_length=1)]
    truncate: Literal["NONE", "END"] | None = None


class EngineEmbeddingRequest(_Open):
    """``POST /v1/embeddings`` of vLLM."""

    model: str | None = None
    input: list[int] | list[list[int]] | str | list[str]
    user: str | None = None
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"
    truncate_prompt_tokens: Annotated[int, Field(ge=-1)] | None = None
    truncation_side: Literal["left", "right"] | None = None


class EngineRerankRequest(_Open):
    """``POST /rerank`` of vLLM."""

    model: str | None = None
    query: str
    documents: str | list[str]
    top_n: Annotated[int, Field(ge=0)] = 0
    truncate_prompt_tokens: Annotated[int, Field(ge=-1)] | None = None
    truncation_side: Literal["left", "right"] | None = None
    max_tokens_per_query: Annotated[int, Field(ge=0)] = 0
    max_tokens_per_doc: Annotated[int, Field(ge=0)] = 0
