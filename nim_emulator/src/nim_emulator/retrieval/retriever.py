"""Embedding and ranking routes of the NeMo Retriever NIMs and the hosted catalogue.

The fields and their ranges follow the API references 1.5 to 2.4 and the schemas that NVIDIA
publishes for its hosted models; the texts of the errors are those that users reported, where
there are any.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from typing import Any

from starlette.exceptions import HTTPException

from .. import tokenizer
from ..errors import RefusalError, validation_refusal
from ..retrieval_models import LEGACY_RERANKER, Embedder, Truncate, embedder, reranker
from . import vectors
from .request_models import EmbeddingRequest, Passage, RankingRequest
from .retrieval_request import RetrievalRequest, cut, usage

_IMAGE = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/=]*)")
_SUFFIXES = ("query", "passage")
_RANKING_FIELDS = frozenset(RankingRequest.model_fields)


def embeddings(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond to ``POST /v1/embeddings``.

    Raises:
        RefusalError: The NIM would answer with an error.
        HTTPException: The model is no embedding model.
    """
    retrieval.require_kind("embedding")
    request = retrieval.read(EmbeddingRequest, retrieval.dialect.embedding_fields)
    asked, purpose = _purpose(retrieval, request)
    model = retrieval.resolve_model(asked, "embedding")
    facts = embedder(retrieval.models.base_model(model))
    texts = [request.input] if isinstance(request.input, str) else request.input
    _check_embedding(retrieval, request, facts, model, len(texts))
    if facts.asymmetric and purpose is None:
        raise RefusalError("'input_type' parameter is required for asymmetric models")
    data, total = [], 0
    for index, (text, modality) in enumerate(zip(texts, _modalities(request, texts), strict=True)):
        images = _images(text, modality, facts, purpose)
        # A real model reads pixels; here an image only takes room and tells itself from others.
        room = retrieval.models.context_length(model) - tokenizer.IMAGE_TOKENS * len(images)
        words = _fitted(_IMAGE.sub(" ", text) if images else text, room, request.truncate)
        weights = vectors.features(words) if words.strip() or not images else {}
        for image in images:
            weights[f"!{hashlib.sha256(image.encode()).hexdigest()}"] = 1.0
        total += tokenizer.count(words) + tokenizer.IMAGE_TOKENS * len(images)
        values = vectors.vector(
            model,
            weights,
            facts.dimension,
            purpose=purpose if facts.asymmetric else None,
            keep=request.dimensions,
        )
        data.append({"object": "embedding", "index": index, "embedding": _written(request, values)})
    return {"object": "list", "data": data, "model": model, "usage": usage(total)}


def ranking(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond to ``POST /v1/ranking``; errors as :func:`embeddings`."""
    retrieval.require_kind("rerank")
    return _ranked(retrieval, retrieval.read(RankingRequest, _RANKING_FIELDS))


def hosted_ranking(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond to the hosted path that holds the model's name, with underscores for dots."""
    retrieval.require_kind("rerank")
    request = retrieval.read(RankingRequest, _RANKING_FIELDS)
    owner, _, name = request.model.partition("/")
    if owner != "nvidia" or name.replace(".", "_") != retrieval.path_params["name"]:
        raise HTTPException(404)
    return _ranked(retrieval, request)


def legacy_ranking(retrieval: RetrievalRequest) -> dict[str, Any]:
    """Respond to the hosted path of the one rerank model that has none of its own."""
    retrieval.require_kind("rerank")
    request = retrieval.read(RankingRequest, _RANKING_FIELDS)
    if request.model != LEGACY_RERANKER:
        raise HTTPException(404)
    return _ranked(retrieval, request)


def _ranked(retrieval: RetrievalRequest, request: RankingRequest) -> dict[str, Any]:
    model = retrieval.resolve_model(request.model, "rerank")
    facts = reranker(retrieval.models.base_model(model))
    if len(request.passages) > facts.passages:
        message = f"List should have at most {facts.passages} items after validation, not "
        raise _wrong("passages", kind="too_long", said=f"{message}{len(request.passages)}")
    truncate = request.truncate or facts.truncate
    total, scores = 0, []
    asked = tokenizer.count(request.query.text)
    for index, passage in enumerate(request.passages):
        pictures = tokenizer.IMAGE_TOKENS * _pictures(passage, index, images=facts.images)
        room = retrieval.models.context_length(model) - asked - pictures
        text = _fitted(passage.text, room, truncate, retrieval.models.context_length(model) - room)
        total += asked + pictures + tokenizer.count(text)
        scores.append((vectors.logit(model, request.query.text, text), index))
    scores.sort(key=lambda score: (-score[0], score[1]))
    return {
        "rankings": [{"index": index, "logit": logit} for logit, index in scores],
        "usage": usage(total),
    }


def _purpose(retrieval: RetrievalRequest, request: EmbeddingRequest) -> tuple[str, str | None]:
    """Return the model's id and the input type, which a suffix of the id may hold."""
    name, _, suffix = request.model.rpartition("-")
    if (
        retrieval.dialect.type_suffixes
        and suffix in _SUFFIXES
        and request.model not in retrieval.models.ids
    ):
        return name, request.input_type or suffix
    return request.model, request.input_type


def _check_embedding(
    retrieval: RetrievalRequest, request: EmbeddingRequest, facts: Embedder, model: str, texts: int
) -> None:
    if texts > retrieval.max_batch:
        raise RefusalError(
            f"Batch size {texts} exceeds maximum allowed batch size {retrieval.max_batch}"
        )
    wanted = request.dimensions
    if wanted is not None and not facts.takes(wanted):
        choice = f"it supports {list(facts.steps) or f'1 to {facts.dimension}'}"
        if not facts.dynamic:
            choice = "it does not support dynamic embedding sizes"
        raise RefusalError(f"Invalid 'dimensions' {wanted} for model '{model}': {choice}")
    if request.encoding_format == "base64" and not facts.base64:
        raise RefusalError(f"'encoding_format' base64 is not supported by model '{model}'")
    if request.embedding_type not in facts.types:
        kinds = ", ".join(facts.types)
        raise RefusalError(
            f"'embedding_type' {request.embedding_type} is not supported by model '{model}': "
            f"it supports {kinds}"
        )


def _modalities(request: EmbeddingRequest, texts: list[str]) -> list[str | None]:
    """Return the modality of each text; None to tell it from the text."""
    given = request.modality
    if not isinstance(given, list):
        return [given] * len(texts)
    if len(given) not in (1, len(texts)):
        raise RefusalError(
            f"'modality' has {len(given)} values for {len(texts)} inputs: give one, or one each"
        )
    return [*given] if len(given) == len(texts) else [given[0]] * len(texts)


def _images(text: str, modality: str | None, facts: Embedder, purpose: str | None) -> list[str]:
    if modality == "text" or (modality is None and not facts.images):
        return []
    images = _IMAGE.findall(text)
    if modality is not None and not facts.images:
        raise RefusalError(f"'modality' {modality} is not supported: the model embeds text only")
    if modality is not None and not images:
        raise RefusalError(f"'modality' {modality} needs an image data URL in 'input'")
    if images and purpose == "query":
        raise RefusalError("images are supported with 'input_type' passage only")
    return images


def _fitted(text: str, room: int, truncate: Truncate, taken: int = 0) -> str:
    """Return a text with the tokens that fit.

    Raises:
        RefusalError: Not all of them fit, and they may not be cut off.
    """
    count = tokenizer.count(text)
    if count > room and truncate == "NONE":
        raise RefusalError(
            f"Input length {count + taken} exceeds maximum allowed token size {room + taken}"
        )
    return cut(text, max(room, 0), start=truncate == "START")


def _written(request: EmbeddingRequest, values: list[float]) -> list[float] | list[int] | str:
    kind = request.embedding_type
    numbers = values if kind == "float" else vectors.quantized(values, kind)
    if request.encoding_format == "float":
        return numbers
    form = {"float": "f", "int8": "b", "binary": "b"}.get(kind, "B")
    return base64.b64encode(struct.pack(f"<{len(numbers)}{form}", *numbers)).decode()


def _pictures(passage: Passage, index: int, *, images: bool) -> int:
    if passage.image is None:
        return 0
    place = ("passages", index, "image")
    if not images:
        raise _wrong(*place, kind="extra_forbidden", said="Extra inputs are not permitted")
    if not _IMAGE.fullmatch(passage.image):
        raise _wrong(*place, kind="value_error", said="Input should be an image data URL")
    return 1


def _wrong(*place: str | int, kind: str, said: str) -> RefusalError:
    return validation_refusal([{"type": kind, "loc": ("body", *place), "msg": said}])
