"""Embedding with any NIM: what requests leave open, portions, and their answers."""

import logging
import re
from dataclasses import dataclass, replace

from .. import errors
from ..answers.whole import reading
from ..dialect import Dialect
from ..endpoint import Endpoint
from ..transport.batch import bounded_map
from .contents import Content, with_images
from .embedders import embedder_of
from .embeddings import (
    ENGINES,
    EmbeddingRequest,
    as_text,
    batch_size,
    body_of,
    checked,
    located,
    portions,
    takes_base64,
)
from .vectors import Embedded, decode_vectors, merged

logger = logging.getLogger(__name__)

_WANTS_INPUT_TYPE = re.compile(r"input_type.{0,40}required", re.IGNORECASE)


@dataclass(frozen=True)
class EmbeddingSettings:
    """What a user wants where requests do not say.

    Attributes:
        input_type: For models that tell queries from passages.
        truncate: For texts that are too long.
        batch_size: Most inputs in one request to a NIM.
        concurrency: Most requests to a NIM under way for one call.
    """

    input_type: str | None = None
    truncate: str | None = None
    batch_size: int | None = None
    concurrency: int = 8


class EmbeddingCaller:
    """Embeds with any NIM, in portions that it takes."""

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._asymmetric: set[tuple[str, str]] = set()
        self._said: set[str] = set()

    async def embed(
        self, endpoint: Endpoint, request: EmbeddingRequest, *, key: str | None
    ) -> Embedded:
        """Embed what a request asks for.

        Args:
            endpoint: The NIM.
            request: Where it leaves something open, the settings decide, and then what is known
                of the model.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``; what can be seen to be wrong is refused unsent.
        """
        if request.truncate is None:
            request = replace(request, truncate=self._settings.truncate)
        dialect = (await endpoint.finding()).dialect
        if dialect in ENGINES and request.input_type is not None:
            self._note(
                f"{endpoint.url} may pass over input_type: if its engine does, and "
                f"{request.model} wants a prefix for queries or passages, put it into the texts."
            )
        if any(isinstance(one, Content) for one in request.inputs):
            request = await _with_images(endpoint, request)
        complete = checked(self._with_input_type(endpoint, request))
        try:
            return await self._embed(endpoint, complete, dialect, key)
        except errors.InvalidRequestError as error:
            if complete.input_type is not None or not _WANTS_INPUT_TYPE.search(error.message):
                raise
        self._asymmetric.add((endpoint.url, request.model))
        complete = checked(self._with_input_type(endpoint, request))
        return await self._embed(endpoint, complete, dialect, key)

    def _with_input_type(self, endpoint: Endpoint, request: EmbeddingRequest) -> EmbeddingRequest:
        """Decide whether the inputs are queries or passages; log once what nobody said."""
        known = embedder_of(request.model)
        if known and not known.asymmetric:
            # It makes no difference to the vectors, and such a model may refuse the field.
            return replace(checked(request), input_type=None)
        asymmetric = known is not None or (endpoint.url, request.model) in self._asymmetric
        if request.input_type is not None:
            return request
        chosen = self._settings.input_type or ("passage" if asymmetric else None)
        if chosen is not None:
            why = "embedding_input_type" if self._settings.input_type else "the default"
            self._note(
                f"{request.model}: inputs that are not said to be queries or passages are "
                f"embedded as {chosen}, by {why}."
            )
        return replace(request, input_type=chosen)

    def _note(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.info(text)

    async def _embed(
        self, endpoint: Endpoint, request: EmbeddingRequest, dialect: Dialect, key: str | None
    ) -> Embedded:
        base64 = takes_base64(request, dialect)
        parts = portions(len(request.inputs), batch_size(request.model, self._settings.batch_size))
        bodies = [body_of(request, part, dialect, base64=base64) for part in parts]

        async def one(number: int) -> Embedded:
            body = bodies[number]
            try:
                response = await endpoint.post("/embeddings", body, key=key)
            except errors.ModelNotFoundError:
                raise
            except errors.InvalidRequestError as error:
                raise located(error, request, parts[number]) from None
            with reading(request.model, endpoint.url, response) as exchange:
                vectors = decode_vectors(response.content, len(body["input"]))
                exchange.answered(usage={"prompt_tokens": vectors.tokens or None})
            return vectors

        return merged(await bounded_map(one, range(len(parts)), self._settings.concurrency))


async def _with_images(endpoint: Endpoint, request: EmbeddingRequest) -> EmbeddingRequest:
    contents = [one if isinstance(one, Content) else Content() for one in request.inputs]
    had = await with_images(contents, endpoint.settings, request.name("inputs"))
    inputs = [
        as_text(made) if isinstance(one, Content) else one
        for one, made in zip(request.inputs, had, strict=True)
    ]
    return replace(request, inputs=inputs)
