"""Rerank requests: the two protocols, where each is served, and the order of the answers."""

import math
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from .. import errors
from ..answers.instead import UNREADABLE, reported, unreadable
from ..dialect import Dialect
from ..errors import invalid
from .contents import Content
from .embedders import reranker_of
from .embeddings import portions

TRUNCATIONS = ("NONE", "END")

_MOST = 512
"""Passages in one request; NVIDIA's API takes no more."""

_HOSTED_RERANK = "https://ai.api.nvidia.com/v1"
# It becomes part of a URL that the key is sent to.
_NAME = re.compile(r"([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)")


class Protocol(StrEnum):
    """How a rerank request looks."""

    RANKING = "ranking"
    """NVIDIA's: ``query.text`` and ``passages``, answered by ``rankings`` with logits."""
    RERANK = "rerank"
    """Cohere's, as vLLM, SGLang and gateways have it: ``documents``, answered by ``results``."""


class Route(NamedTuple):
    """Where and how to ask.

    Attributes:
        url: A path below the endpoint, or a full URL.
        protocol: How the request looks there.
    """

    url: str
    protocol: Protocol


class Ranked(NamedTuple):
    """One passage's place.

    Attributes:
        passage: Its index in the request.
        score: The higher, the more relevant; without bounds where the NIM gives logits.
    """

    passage: int
    score: float


class RerankRequest(NamedTuple):
    """What a caller asks for.

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


def checked(request: RerankRequest) -> RerankRequest:
    """Find what a NIM would refuse before it is sent.

    Raises:
        InvalidRequestError: Its ``field`` says which.
    """
    if not (request.query.text or request.query.image):
        raise invalid("query", "is empty: there is nothing to rank by")
    if not request.passages:
        raise invalid("items", "is empty: there must be at least one")
    if request.top is not None and request.top < 1:
        raise invalid("max_num_results", f"is {request.top}: it must be at least 1")
    known = reranker_of(request.model)
    for n, passage in enumerate(request.passages):
        if not (passage.text or passage.image):
            raise invalid(f"items[{n}]", "is empty: there is nothing to rank")
        if passage.image and known and not known.images:
            raise invalid(f"items[{n}]", f"is an image, and {request.model} ranks only text")
    return request


def routes(model: str, endpoint: str, dialect: Dialect, override: str | None) -> list[Route]:
    """Give where a model may be served, the likeliest first.

    The hosts are those of the configuration, and NVIDIA's own for its catalogue. Only the path
    depends on the model.

    Args:
        model: The NIM's id.
        endpoint: Address of the NIM.
        dialect: What it speaks.
        override: The model's own URL from the configuration.

    Raises:
        InvalidRequestError: The catalogue can have no model of that name.
    """
    if override is not None:
        return _at(override)
    if dialect is Dialect.HOSTED:
        return [Route(_hosted_url(model, endpoint), Protocol.RANKING)]
    own = [Route("/ranking", Protocol.RANKING), Route("/rerank", Protocol.RERANK)]
    engines = (Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG, Dialect.DYNAMO)
    return own[::-1] if dialect in engines else own


def _at(url: str) -> list[Route]:
    """Tell the protocol from a URL's path; an address without one gets both paths tried."""
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


def _hosted_url(model: str, endpoint: str) -> str:
    """Give a model's URL in the catalogue: its name with underscores for dots is in it."""
    base = _HOSTED_RERANK if _is_nvidias(endpoint) else endpoint
    if (known := reranker_of(model)) and known.hosted:
        return f"{base}/retrieval/{known.hosted}"
    name = _NAME.fullmatch(model)
    if name is None:
        raise invalid("model", f"{model!r} is no name of a model of NVIDIA's hosted catalogue")
    return f"{base}/retrieval/{name[1]}/{name[2].replace('.', '_')}/reranking"


def _is_nvidias(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "").endswith(".api.nvidia.com")


def parts_of(request: RerankRequest, configured: int | None) -> list[slice]:
    """Split the passages into as many as go into one request."""
    known = reranker_of(request.model)
    return portions(len(request.passages), configured or (known.passages if known else _MOST))


def body_of(request: RerankRequest, part: slice, protocol: Protocol) -> dict[str, Any]:
    """Make the body of a rerank request for a portion of the passages.

    Raises:
        InvalidRequestError: The protocol cannot carry it.
    """
    passages = request.passages[part]
    if protocol is Protocol.RERANK:
        documents = [_document(passage) for passage in passages]
        query = _document(request.query)
        body: dict[str, Any] = {"model": request.model, "query": query, "documents": documents}
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


def _document(content: Content) -> str | dict[str, Any]:
    if not content.image:
        return content.text or ""
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": content.image}}]
    if content.text:
        parts.append({"type": "text", "text": content.text})
    return {"content": parts}


class _Place(msgspec.Struct, gc=False):
    index: int
    logit: float | None = None
    relevance_score: float | None = None
    score: float | None = None


class _Answer(msgspec.Struct, gc=False):
    rankings: list[_Place] | None = None
    results: list[_Place] | None = None
    error: object = None


_decoder = msgspec.json.Decoder(_Answer | list[_Place], strict=False)


def decode_ranking(data: bytes, count: int) -> list[Ranked]:
    """Decode the answer of either protocol, for ``count`` passages.

    Raises:
        NIMError: The NIM reports an error in place of an answer.
        ServerError: It is no ranking of that many passages.
    """
    try:
        answer = _decoder.decode(data)
    except UNREADABLE as error:
        raise unreadable(data, error) from None
    if isinstance(answer, _Answer):
        places = answer.results if answer.rankings is None else answer.rankings
        if answer.error or places is None:
            raise reported(data, "a ranking")
    else:
        places = answer  # SGLang's bare list
    if sorted(place.index for place in places) != list(range(count)):
        raise errors.malformed(f"The NIM did not rank each of {count} passages once.")
    return [Ranked(place.index, _score(place)) for place in places]


def _score(place: _Place) -> float:
    given = (place.logit, place.relevance_score, place.score)
    score = next((one for one in given if one is not None), None)
    if score is None or not math.isfinite(score):
        raise errors.malformed(f"The NIM gave passage {place.index} no score.")
    return score


def in_order(parts: Iterable[tuple[int, Iterable[Ranked]]], top: int | None) -> list[Ranked]:
    """Merge the rankings of portions: one model's scores can be compared between requests.

    Args:
        parts: Of each portion, the index of its first passage and its ranking.
        top: How many to keep; None for all.

    Returns:
        By score, the highest first; of equal ones the first passage first.
    """
    ranked = [Ranked(first + one.passage, one.score) for first, part in parts for one in part]
    ranked.sort(key=lambda one: (-one.score, one.passage))
    return ranked[:top]
