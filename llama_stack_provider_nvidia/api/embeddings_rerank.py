"""The embedding and rerank methods of the stack's inference protocol."""

from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from openai.types import CreateEmbeddingResponse, Embedding
from openai.types.create_embedding_response import Usage
from pydantic import BaseModel

from .. import stack
from ..config.endpoint import origin
from ..nim.errors import invalid
from ..nim.json_types import JSONObject
from ..nim.retrieval.content import Content
from ..nim.retrieval.embedder import Embedder, EmbeddingSettings
from ..nim.retrieval.embedding_request import EmbeddingRequest, split_suffix
from ..nim.retrieval.rerank_request import RerankRequest
from ..nim.retrieval.reranker import Reranker, RerankSettings
from ..nim.retrieval.vectors import EmbeddingResult, as_base64, as_numbers
from ..nim.routing import Target, find_target, listed_ids, refresh
from .base import NIMProvider
from .fields import plain_fields

Model = TypeVar("Model", bound=BaseModel)

_NAMES = {"inputs": "input"}
_OWN_FIELDS = {"model", "input", "encoding_format", "input_type", "truncate", "dimensions"}
_ENCODINGS = {"float": as_numbers, "base64": as_base64}


class _Base64Embedding(Embedding):
    embedding: str  # type: ignore[assignment]


class _Base64Response(CreateEmbeddingResponse):
    """The SDK's class with base64: its own is for numbers, and servers warn of text there."""

    data: list[_Base64Embedding]  # type: ignore[assignment]


class EmbeddingsRerankMixin(NIMProvider):
    """OpenAI-style embeddings, and reranking."""

    @cached_property
    def _embedder(self) -> Embedder:
        config = self.config
        return Embedder(
            EmbeddingSettings(
                input_type=config.embedding_input_type,
                truncate=config.embedding_truncate,
                batch_size=config.embedding_batch_size,
                concurrency=config.batch_concurrency,
            )
        )

    @cached_property
    def _reranker(self) -> Reranker:
        config = self.config
        return Reranker(
            RerankSettings(
                urls=config.rerank_model_to_url,
                truncate=config.rerank_truncate,
                batch_size=config.rerank_batch_size,
                concurrency=config.batch_concurrency,
            )
        )

    @stack.with_protocol_signature
    async def openai_embeddings(self, params: Any = None, **fields: Any) -> Any:
        """Embed texts, and images with the models that can.

        Beside OpenAI's fields it takes NIM's: ``input_type``, ``truncate``, ``modality`` and
        ``embedding_type``, from stacks that let them through (0.3 and later).

        Returns:
            A ``CreateEmbeddingResponse``.

        Raises:
            NIMError: See ``nim.errors``; what is wrong in itself, or would be ignored, is not sent.
        """
        given = plain_fields(params, fields)
        encoding = given.get("encoding_format", "float")
        if not isinstance(encoding, str) or encoding not in _ENCODINGS:
            raise invalid("encoding_format", f"{encoding!r} does not exist: it is float or base64")
        extra = {name: value for name, value in given.items() if name not in _OWN_FIELDS}
        model: Any = given.get("model")
        embedded = await self.embed(
            EmbeddingRequest(
                model,
                _inputs(given.get("input")),
                input_type=given.get("input_type"),
                truncate=given.get("truncate"),
                dimensions=given.get("dimensions"),
                modality=extra.pop("modality", None),
                extra=extra,
                names=_NAMES,
            )
        )
        return _response(embedded, model, encoding)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResult:
        """Embed what a request asks for.

        Args:
            request: With the stack's name of the model.

        Raises:
            NIMError: See ``nim.errors``; what is wrong in itself, or would be ignored, is not sent.
        """
        target, by_name = await self._embedding_target(request.model)
        chosen: JSONObject = {"model": target.model}
        if request.input_type is None:
            by_registration = by_name or await self._registered_input_type(request.model)
            chosen["input_type"] = by_registration
        return await self._embedder.embed(
            target.endpoint, replace(request, **chosen), key=self.request_key()
        )

    async def _embedding_target(self, asked: str) -> tuple[Target, str | None]:
        """Return the NIM, and the input type that the model's name ends with (``-query``)."""
        known = await self.provider_model_id(asked)
        key = self.request_key()
        model, input_type = split_suffix(known)
        if input_type is not None and await self._is_listed(known, key):
            model, input_type = known, None
        target = await find_target(self.endpoints, model, key)
        return target, input_type or (split_suffix(asked)[1] if known != asked else None)

    async def _is_listed(self, model: str, key: str | None) -> bool:
        await refresh(self.endpoints, key)
        return any(model in (listed_ids(one, key) or ()) for one in self.endpoints)

    async def _registered_input_type(self, asked: str) -> str | None:
        """Return ``input_type`` of the metadata that the model was registered with."""
        if self.model_store is None:
            return None
        # Later stacks know a model by its provider's name and its own, and hand over the latter.
        name = asked if stack.NATIVE else f"{getattr(self, '__provider_id__', 'nvidia')}/{asked}"
        model = await stack.registered_model(self.model_store, name)
        return model.metadata.get("input_type") if model else None

    @stack.with_protocol_signature
    async def rerank(
        self,
        request: Any = None,
        query: Any = None,
        items: list[Any] | None = None,
        max_num_results: int | None = None,
        *,
        model: str | None = None,
    ) -> Any:
        """Order items by their relevance to a query.

        Releases up to 0.5 hand over a model's name, a query, items and a number; later ones an
        object with these attributes.

        Returns:
            A ``RerankResponse``, the most relevant first; where the release has no such class,
            an object with the same attributes.

        Raises:
            NIMError: See ``nim.errors``; what is wrong in itself, or would be ignored, is not sent.
        """
        asked = model if request is None else request
        if asked is not None and not isinstance(asked, str):
            asked, query, items = request.model, request.query, request.items
            max_num_results = request.max_num_results
        if asked is None:
            raise invalid("model", "is missing")
        if not isinstance(items, list):
            raise invalid("items", "must be a list")
        contents = [_content(item, f"items[{n}]") for n, item in enumerate(items)]
        target = await self._rerank_target(asked)
        ranked = await self._reranker.rank(
            target.endpoint,
            RerankRequest(target.model, _content(query, "query"), contents, max_num_results),
            key=self.request_key(),
        )
        data = [stack.RerankData(index=one.passage, relevance_score=one.score) for one in ranked]
        return stack.RerankResponse(data=data)

    async def _rerank_target(self, asked: str) -> Target:
        known = await self.provider_model_id(asked)
        url = self.config.rerank_model_to_url.get(known)
        if url is not None:  # no NIM need list it; one at the same host has the key for it
            there = (one for one in self.endpoints if origin(one.url) == origin(url))
            return Target(next(there, self.endpoint), known)
        return await find_target(self.endpoints, known, self.request_key())


def _inputs(given: Any) -> list[Any]:
    if isinstance(given, str):
        return [given] if given else []
    if not isinstance(given, list):
        raise invalid("input", "must be a text, a list of texts, or token ids")
    if given and all(isinstance(one, int) for one in given):
        return [given]
    for n, one in enumerate(given):
        tokens = isinstance(one, list) and all(isinstance(token, int) for token in one)
        if not (isinstance(one, str) or tokens):
            raise invalid(f"input[{n}]", "is neither a text nor a list of token ids")
    return given


def _response(embedded: EmbeddingResult, model: str, encoding: str) -> CreateEmbeddingResponse:
    base64 = encoding == "base64"
    kind = _Base64Response if base64 else CreateEmbeddingResponse
    entry = _Base64Embedding if base64 else Embedding
    write = _ENCODINGS[encoding]
    data = [
        _construct(entry, object="embedding", index=index, embedding=write(vector))
        for index, vector in enumerate(embedded.vectors)
    ]
    usage = _construct(Usage, prompt_tokens=embedded.tokens, total_tokens=embedded.tokens)
    return _construct(kind, object="list", model=model, data=data, usage=usage)


def _construct(kind: type[Model], **fields: Any) -> Model:
    """Return an object of the SDK's class without validating its fields.

    The vectors are megabytes and known to be right. The SDK's own ``model_construct`` looks at
    each number, which takes longer than all the rest of a request.
    """
    make: Any = BaseModel.model_construct.__func__  # type: ignore[attr-defined]
    made: Model = make(kind, **fields)
    return made


def _content(item: Any, field: str) -> Content:
    """Return the content of a text, or of one of OpenAI's content parts."""
    if isinstance(item, str):
        return Content(text=item)
    part = dict(item) if isinstance(item, dict | BaseModel) else {}
    if isinstance(text := part.get("text"), str):
        return Content(text=text)
    image = part.get("image_url")
    url = dict(image).get("url") if isinstance(image, dict | BaseModel) else image
    if isinstance(url, str) and url:
        return Content(image=url)
    raise invalid(field, "is neither a text nor an image")
