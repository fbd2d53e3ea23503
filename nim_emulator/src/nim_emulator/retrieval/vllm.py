"""vLLM's embedding and rerank routes, after its request models and errors (0.31)."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import tokenizer
from ..errors import RefusalError, literal_error
from ..retrieval_models import Embedder, embedder, kind_of
from . import vectors
from .request_models import EngineEmbeddingRequest, EngineRerankRequest
from .retrieval_request import RetrievalRequest, cut, usage

_RERANK_FIELDS = frozenset(EngineRerankRequest.model_fields)


def embeddings(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond to ``POST /v1/embeddings``.

    Raises:
        RefusalError: The engine would answer with an error.
        HTTPException: The model is no embedding model.
    """
    retrieval.require_kind("embedding")
    request = _read(retrieval)
    model = retrieval.resolve_model(request.model, "embedding")
    facts = embedder(retrieval.models.base_model(model))
    _check_dimensions(request.dimensions, facts, model)
    room = retrieval.models.context_length(model)
    data, total = [], 0
    for index, item in enumerate(_items(request.input)):
        text = _fitted(
            retrieval, item, room, request.truncate_prompt_tokens, request.truncation_side
        )
        total += _count(text)
        values = vectors.vector(
            model, vectors.features(text), facts.dimension, keep=request.dimensions
        )
        written: list[float] | str = values
        if request.encoding_format == "base64":
            written = base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
        data.append({"index": index, "object": "embedding", "embedding": written})
    return {
        "id": f"embd-{retrieval.id}",
        "object": "list",
        "created": retrieval.created,
        "model": model,
        "data": data,
        "usage": {**usage(total), "completion_tokens": 0, "prompt_tokens_details": None},
    }


def dynamo_embeddings(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond as Dynamo's front end: fields that it does not know never reach the engine.

    Raises:
        RefusalError: The model is no embedding model, or the engine would answer with an error.
    """
    model = retrieval.body.get("model") if isinstance(retrieval.body, dict) else None
    served = model in retrieval.models.ids and retrieval.models.kind(model) == "embedding"
    if isinstance(model, str) and not served:
        raise RefusalError(str(retrieval.dialect.unknown_model), status=404)
    dialect = replace(retrieval.dialect, refuses_unknown=False)
    made = embeddings(replace(retrieval, dialect=dialect))
    counts = {name: made["usage"][name] for name in ("prompt_tokens", "total_tokens")}
    return {"object": "list", "data": made["data"], "model": made["model"], "usage": counts}


def rerank(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond to ``POST /rerank``; an embedding model scores by the angle between two vectors.

    Errors as :func:`embeddings`.
    """
    retrieval.require_kind("rerank", "embedding")
    request = retrieval.read(EngineRerankRequest, _RERANK_FIELDS)
    model = retrieval.resolve_model(request.model, "rerank", "embedding")
    documents = request.documents
    documents = [documents] if isinstance(documents, str) else documents
    if not documents:
        raise RefusalError("At least one text_pair element must be given")
    query = request.query
    if request.max_tokens_per_query:
        query = cut(query, request.max_tokens_per_query)
    total, results = 0, []
    for index, document in enumerate(documents):
        text = document
        if request.max_tokens_per_doc:
            text = cut(text, request.max_tokens_per_doc)
        room = retrieval.models.context_length(model)
        pair = _fitted(
            retrieval,
            f"{query} {text}",
            room,
            request.truncate_prompt_tokens,
            request.truncation_side,
        )
        total += tokenizer.count(pair)
        results.append(
            {
                "index": index,
                "document": {"text": document, "multi_modal": None},
                "relevance_score": _score(retrieval, model, query, _document(query, pair)),
            }
        )
    results.sort(key=lambda result: -float(str(result["relevance_score"])))
    return {
        "id": f"score-{retrieval.id}",
        "model": model,
        "usage": usage(total),
        "results": results[: request.top_n or None],
    }


def _read(retrieval: RetrievalRequest) -> EngineEmbeddingRequest:
    body = retrieval.body
    if isinstance(body, dict):
        if "normalize" in body:
            raise RefusalError(
                "Parameter `normalize` was removed; use `use_activation` instead.",
                param="normalize",
            )
        for name, emulated in (("embed_dtype", "float32"), ("endianness", "native")):
            if body.get(name, emulated) != emulated and name in retrieval.dialect.embedding_fields:
                raise literal_error(name, [emulated], body[name])
    return retrieval.read(EngineEmbeddingRequest, retrieval.dialect.embedding_fields)


def _check_dimensions(wanted: int | None, facts: Embedder, model: str) -> None:
    if wanted is None:
        return
    if not facts.dynamic:
        raise RefusalError(
            f"Model {model!r} does not support Matryoshka embeddings; dimensions must be unset "
            f"(received dimensions={wanted})."
        )
    if not 1 <= wanted <= facts.dimension:
        raise RefusalError(
            f"Model {model!r} only supports dimensions in range [1, {facts.dimension}], "
            f"got {wanted}."
        )
    if not facts.takes(wanted):
        raise RefusalError(
            f"Model {model!r} only supports Matryoshka dimensions {list(facts.steps)}, "
            f"got {wanted}."
        )


def _items(given: Sequence[Any] | str) -> Sequence[str | Sequence[int]]:
    if not given:
        if given == "":
            return [""]
        raise RefusalError("You must pass at least one prompt")
    if isinstance(given, str):
        return [given]
    return [given] if isinstance(given[0], int) else given


def _fitted(
    retrieval: RetrievalRequest,
    item: str | Sequence[int],
    room: int,
    truncate: int | None,
    side: str | None,
) -> str:
    # The emulator has no vocabulary to turn ids back into words.
    text = item if isinstance(item, str) else "".join(f" <{number % 1000}>" for number in item)
    if truncate is not None:
        if truncate > room:
            raise RefusalError(
                f"truncate_prompt_tokens={truncate} cannot be greater than max_model_len - "
                f"max_output_tokens = {room}. Please request a smaller truncation size.",
                param="truncate_prompt_tokens",
                value=truncate,
            )
        return cut(text, room if truncate < 0 else truncate, start=side == "left")
    count = _count(text)
    if count > room:
        # The engine stops to count when the prompt cannot fit any more.
        message = retrieval.dialect.too_many_tokens.format(
            context=room,
            prompt=count,
            completion=0,
            total=count,
            least=room + 1,
            least_total=room + 1,
        )
        raise RefusalError(message, param="input_tokens", value=room + 1)
    return text


def _count(text: str) -> int:
    return max(1, tokenizer.count(text))


def _document(query: str, pair: str) -> str:
    """Return what a truncation left of the document."""
    return pair[len(query) :] if pair.startswith(query) else pair


def _score(retrieval: RetrievalRequest, model: str, query: str, document: str) -> float:
    base = retrieval.models.base_model(model)
    if kind_of(base) == "rerank":
        return 1 / (1 + math.exp(-vectors.logit(model, query, document)))
    dimension = embedder(base).dimension
    first, second = (
        vectors.vector(model, vectors.features(text), dimension) for text in (query, document)
    )
    return vectors.cosine(first, second)
