"""Rerank requests: the two protocols, their routes, bodies and responses."""

import math
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from .. import errors
from ..dialect import Dialect
from ..errors import invalid
from ..json_types import UNREADABLE, JSONObject
from ..model_facts.retrieval_models import RerankModel
from ..responses.error_bodies import reported, unreadable
from .content import Content
from .embedding_request import split_batches

_DEFAULT_BATCH_SIZE = 512
"""Passages in one request; NVIDIA's API takes no more."""

_HOSTED_RERANK = "https://ai.api.nvidia.com/v1"
# It becomes part of a URL that the key is sent to.
_NAME = re.compile(r"([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)")


class Protocol(StrEnum):
    """The form of a rerank request."""

    RANKING = "ranking"
    """NVIDIA's: ``query.text`` and ``passages``, answered by ``rankings`` with logits."""
    RERANK = "rerank"
    """Cohere's, as vLLM, SGLang and gateways have it: ``documents``, answered by ``results``."""


class Route(NamedTuple):
    """Where a rerank model is served, and by which protocol.

    Attributes:
        url: A path below the endpoint, or a full URL.
        protocol: The form of the request there.
    """

    url: str
    protocol: Protocol


class RankedPassage(NamedTuple):
    """One passage's rank.

    Attributes:
        passage: Its index in the request.
        score: The higher, the more relevant; without bounds where the NIM gives logits.
    """

    passage: int
    score: float


class RerankRequest(NamedTuple):
    """A request to rank passages.

    Attributes:
        model: The NIM's id.
        query: What to rank by.
        passages: What to rank.
        top: How many to give back; None for all.
        truncate: ``NONE`` or ``END``; None for what the NIM does by itself.
    """

    model: str
    query: Content
    passages: Sequence[Content]
    top: int | None = None
    truncate: str | None = None


def validate(request: RerankRequest) -> None:
    """Validate a request.

    Raises:
        InvalidRequestError: A value is wrong in itself; ``field`` says which.
    """
    if not (request.query.text or request.query.image):
        raise invalid("query", "is empty: there is nothing to rank by")
    if not request.passages:
        raise invalid("items", "is empty: there must be at least one")
    if request.top is not None and (not isinstance(request.top, int) or request.top < 1):
        raise invalid("max_num_results", f"is {request.top!r}: it must be at least 1")
    for n, passage in enumerate(request.passages):
        if not (passage.text or passage.image):
            raise invalid(f"items[{n}]", "is empty: there is nothing to rank")


def explain_rerank_refusal(request: RerankRequest, known: RerankModel | None) -> str | None:
    """Return what is known of the model that a refused request does not fit."""
    if known is None or known.images:
        return None
    images = [f"items[{n}]" for n, passage in enumerate(request.passages) if passage.image]
    if request.query.image:
        images.insert(0, "query")
    if not images:
        return None
    return (
        f"By what was published by {known.date}, {request.model} ranks only text, and "
        f"`{images[0]}` is an image: choose a model that ranks images. If that has changed, "
        "correct it under `model_overrides` in run.yaml."
    )


def routes(
    model: str,
    endpoint: str,
    dialect: Dialect,
    override: str | None,
    known: RerankModel | None = None,
) -> list[Route]:
    """Return where a model may be served, the likeliest first.

    The hosts are those of the configuration, and NVIDIA's own for its catalogue. Only the path
    depends on the model.

    Args:
        model: The NIM's id.
        endpoint: Address of the NIM.
        dialect: Its dialect.
        override: The model's own URL from the configuration.
        known: What is known of the model.

    Raises:
        InvalidRequestError: The name cannot be part of a URL of the catalogue.
    """
    if override is not None:
        return _routes_at(override)
    if dialect is Dialect.HOSTED:
        return [Route(_hosted_url(model, endpoint, known), Protocol.RANKING)]
    own = [Route("/ranking", Protocol.RANKING), Route("/rerank", Protocol.RERANK)]
    engines = (Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG, Dialect.DYNAMO)
    return own[::-1] if dialect in engines else own


def _routes_at(url: str) -> list[Route]:
    """Return the routes of a URL: its path decides the protocol; without one, both."""
    path = urlsplit(url).path.rstrip("/")
    if path.endswith("/rerank"):
        return [Route(url, Protocol.RERANK)]
    if path in ("", "/v1"):
        base = url.rstrip("/") + ("/v1" if not path else "")
        return [
            Route(f"{base}/ranking", Protocol.RANKING),
            Route(f"{base}/rerank", Protocol.RERANK),
        ]
    return [Route(url, Protocol.RANKING)]


def _hosted_url(model: str, endpoint: str, known: RerankModel | None) -> str:
    """Return a model's URL in the catalogue: its name with underscores for dots is in it.

    A name without an owner is taken for one of NVIDIA's.
    """
    base = _HOSTED_RERANK if _is_nvidias(endpoint) else endpoint
    if known and known.hosted:
        return f"{base}/retrieval/{known.hosted}"
    name = _NAME.fullmatch(model if "/" in model else f"nvidia/{model}")
    if name is None:
        raise invalid("model", f"{model!r} is no name of a model of NVIDIA's hosted catalogue")
    return f"{base}/retrieval/{name[1]}/{name[2].replace('.', '_')}/reranking"


def _is_nvidias(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "").endswith(".api.nvidia.com")


def rerank_batches(
    request: RerankRequest, known: RerankModel | None, configured: int | None
) -> list[slice]:
    """Return slices of the passages, each for one request."""
    size = configured or (known.passages if known else _DEFAULT_BATCH_SIZE)
    return split_batches(len(request.passages), size)


def rerank_body(request: RerankRequest, batch: slice, protocol: Protocol) -> JSONObject:
    """Return the body of a rerank request for one batch of the passages.

    Raises:
        InvalidRequestError: The protocol has no such query.
    """
    passages = request.passages[batch]
    if protocol is Protocol.RERANK:
        documents = [_document(passage) for passage in passages]
        query = _document(request.query)
        body: JSONObject = {"model": request.model, "query": query, "documents": documents}
        if request.truncate == "END":
            body |= {"truncate_prompt_tokens": -1, "truncation_side": "right"}
        return body
    if request.query.image:
        raise invalid("query", "is an image: this NIM ranks by text")
    body = {
        "model": request.model,
        "query": {"text": request.query.text},
        "passages": [
            {name: value for name, value in passage._asdict().items() if value}
            for passage in passages
        ],
    }
    if request.truncate is not None:
        body["truncate"] = request.truncate
    return body


def _document(content: Content) -> str | JSONObject:
    if not content.image:
        return content.text or ""
    parts: list[JSONObject] = [{"type": "image_url", "image_url": {"url": content.image}}]
    if content.text:
        parts.append({"type": "text", "text": content.text})
    return {"content": parts}


class _Entry(msgspec.Struct, gc=False):
    index: int
    logit: float | None = None
    relevance_score: float | None = None
    score: float | None = None


class _Response(msgspec.Struct, gc=False):
    rankings: list[_Entry] | None = None
    results: list[_Entry] | None = None
    error: object = None


_decoder = msgspec.json.Decoder(_Response | list[_Entry], strict=False)


def decode_ranking(data: bytes, count: int) -> list[RankedPassage]:
    """Decode the response of either protocol, for ``count`` passages.

    Raises:
        NIMError: The body reports an error.
        ServerError: It is no ranking of that many passages.
    """
    try:
        response = _decoder.decode(data)
    except UNREADABLE as error:
        raise unreadable(data, error) from None
    if isinstance(response, _Response):
        entries = response.results if response.rankings is None else response.rankings
        if response.error or entries is None:
            raise reported(data, "a ranking")
    else:
        entries = response  # SGLang's bare list
    if sorted(entry.index for entry in entries) != list(range(count)):
        raise errors.malformed(f"The NIM did not rank each of {count} passages once.")
    return [RankedPassage(entry.index, _score(entry)) for entry in entries]


def _score(entry: _Entry) -> float:
    given = (entry.logit, entry.relevance_score, entry.score)
    score = next((one for one in given if one is not None), None)
    if score is None or not math.isfinite(score):
        raise errors.malformed(f"The NIM gave passage {entry.index} no score.")
    return score


def merge_rankings(
    batches: Iterable[tuple[int, Iterable[RankedPassage]]], top: int | None
) -> list[RankedPassage]:
    """Merge the rankings of batches: one model's scores can be compared between requests.

    Args:
        batches: Of each batch, the index of its first passage and its ranking.
        top: How many to keep; None for all.

    Returns:
        By score, the highest first; of equal ones the first passage first.
    """
    ranked = [
        RankedPassage(first + one.passage, one.score) for first, batch in batches for one in batch
    ]
    ranked.sort(key=lambda one: (-one.score, one.passage))
    return ranked[:top]
