"""Embedder: sends embedding requests to a NIM in batches and merges the vectors."""

import logging
import re
from dataclasses import dataclass, replace

from .. import errors
from ..completions import recorded
from ..dialect import Dialect
from ..endpoint import Endpoint
from ..model_facts.retrieval_models import EmbeddingModel
from ..requests.field_table import EMBEDDING_FIELD_TABLE, Unsupported
from ..transport.batch import bounded_map
from .content import Content, resolve_images
from .embedding_request import (
    ENGINES,
    EmbeddingRequest,
    batch_size,
    embedding_body,
    locate_error,
    split_batches,
    takes_base64,
    to_wire,
    validate,
)
from .vectors import EmbeddingResult, decode_vectors, merge

logger = logging.getLogger(__name__)

_WANTS_INPUT_TYPE = re.compile(r"input_type.{0,40}required", re.IGNORECASE)
_IGNORES_INPUT_TYPE = frozenset(
    dialect
    for feature in EMBEDDING_FIELD_TABLE
    for dialect, mapping in feature.mappings.items()
    if feature.field == "input_type" and isinstance(mapping, Unsupported)
)


@dataclass(frozen=True)
class EmbeddingSettings:
    """Settings for embedding requests that do not say.

    Attributes:
        input_type: For models that embed queries and passages differently.
        truncate: For texts that are too long.
        batch_size: Most inputs in one request to a NIM.
        concurrency: Most requests to a NIM under way for one call.
    """

    input_type: str | None = None
    truncate: str | None = None
    batch_size: int | None = None
    concurrency: int = 8


class Embedder:
    """Embeds with any NIM, in batches that it takes."""

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._asymmetric: set[tuple[str, str]] = set()
        self._logged: set[str] = set()

    async def embed(
        self, endpoint: Endpoint, request: EmbeddingRequest, *, key: str | None
    ) -> EmbeddingResult:
        """Embed the inputs of a request.

        Args:
            endpoint: The NIM.
            request: Where it leaves something open, the settings decide, and then what is known
                of the model.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``; what is wrong in itself, or would be ignored, is not
                sent.
        """
        if request.truncate is None:
            request = replace(request, truncate=self._settings.truncate)
        dialect = (await endpoint.finding()).dialect
        known = endpoint.settings.facts.embedding_model(request.model)
        if dialect in ENGINES and request.input_type is not None:
            self._log_once(
                f"{endpoint.url} may ignore input_type: if its engine does, and "
                f"{request.model} wants a prefix for queries or passages, put it into the texts."
            )
        if any(isinstance(one, Content) for one in request.inputs):
            request = await _resolve_images(endpoint, request)
        complete = validate(self._with_input_type(endpoint, request, known, dialect), known)
        try:
            return await self._embed(endpoint, complete, known, dialect, key)
        except errors.InvalidRequestError as error:
            if complete.input_type is not None or not _WANTS_INPUT_TYPE.search(error.message):
                raise
        self._asymmetric.add((endpoint.url, request.model))
        complete = validate(self._with_input_type(endpoint, request, known, dialect), known)
        return await self._embed(endpoint, complete, known, dialect, key)

    def _with_input_type(
        self,
        endpoint: Endpoint,
        request: EmbeddingRequest,
        known: EmbeddingModel | None,
        dialect: Dialect,
    ) -> EmbeddingRequest:
        """Set the input type that the request leaves open; log once where it is a default."""
        if known and not known.asymmetric:
            # It makes no difference to the vectors, and such a model may refuse the field.
            return replace(validate(request, known), input_type=None)
        if request.input_type is not None:
            return request
        asymmetric = known is not None or (endpoint.url, request.model) in self._asymmetric
        chosen = self._settings.input_type or ("passage" if asymmetric else None)
        if chosen is None:
            return request
        if dialect in _IGNORES_INPUT_TYPE:
            self._log_once(
                f"{endpoint.url} ignores input_type: if {request.model} wants a prefix for "
                "queries or passages, put it into the texts."
            )
            return request
        why = "embedding_input_type" if self._settings.input_type else "the default"
        self._log_once(
            f"{request.model}: inputs that are not said to be queries or passages are "
            f"embedded as {chosen}, by {why}."
        )
        return replace(request, input_type=chosen)

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            logger.info(text)

    async def _embed(
        self,
        endpoint: Endpoint,
        request: EmbeddingRequest,
        known: EmbeddingModel | None,
        dialect: Dialect,
        key: str | None,
    ) -> EmbeddingResult:
        base64 = takes_base64(request, known, dialect)
        size = batch_size(known, self._settings.batch_size)
        batches = split_batches(len(request.inputs), size)
        bodies = [embedding_body(request, batch, dialect, base64=base64) for batch in batches]

        async def send(number: int) -> EmbeddingResult:
            body = bodies[number]
            try:
                response = await endpoint.post("/embeddings", body, key=key)
            except errors.ModelNotFoundError:
                raise
            except errors.InvalidRequestError as error:
                raise locate_error(error, request, batches[number], known) from None
            with recorded(request.model, endpoint.url, response) as record:
                result = decode_vectors(response.content, len(body["input"]))
                record.set_result(usage={"prompt_tokens": result.tokens or None})
            return result

        return merge(await bounded_map(send, range(len(batches)), self._settings.concurrency))


async def _resolve_images(endpoint: Endpoint, request: EmbeddingRequest) -> EmbeddingRequest:
    contents = [one if isinstance(one, Content) else Content() for one in request.inputs]
    name = request.name("inputs")
    resolved = await resolve_images(
        contents,
        lambda n: f"{name}[{n}]",
        download=endpoint.settings.download_images,
    )
    inputs = [
        to_wire(content) if isinstance(one, Content) else one
        for one, content in zip(request.inputs, resolved, strict=True)
    ]
    return replace(request, inputs=inputs)
