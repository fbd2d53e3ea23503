"""Reranker: sends rerank requests to a NIM in batches and merges the rankings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import errors
from ..completions import recorded
from ..endpoint import Endpoint
from ..transport.batch import bounded_map
from .content import resolve_images
from .rerank_request import (
    RankedPassage,
    RerankRequest,
    Route,
    decode_ranking,
    explain_rerank_refusal,
    merge_rankings,
    rerank_batches,
    rerank_body,
    routes,
    validate,
)


@dataclass(frozen=True)
class RerankSettings:
    """Settings for rerank requests that do not say.

    Attributes:
        urls: Full URL per model, or its server's address.
        truncate: For a query and passage that are too long together.
        batch_size: Most passages in one request to a NIM.
        concurrency: Most requests to a NIM under way for one call.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    truncate: str | None = None
    batch_size: int | None = None
    concurrency: int = 8


class Reranker:
    """Reranks with any NIM, in batches that it takes."""

    def __init__(self, settings: RerankSettings) -> None:
        self._settings = settings
        self._serving: dict[tuple[str, str], Route] = {}

    async def rank(
        self, endpoint: Endpoint, request: RerankRequest, *, key: str | None
    ) -> list[RankedPassage]:
        """Rank the passages of a request.

        Args:
            endpoint: The NIM; its connections and keys serve a model's own URL as well.
            request: Where it leaves the truncation open, the settings decide.
            key: The request's own key, if it brought one.

        Returns:
            By score, the highest first.

        Raises:
            NIMError: See ``nim.errors``; what is wrong in itself is not sent.
        """
        if request.truncate is None:
            request = request._replace(truncate=self._settings.truncate)
        query, *passages = await resolve_images(
            [request.query, *request.passages],
            lambda n: f"items[{n - 1}]" if n else "query",
            download=endpoint.settings.download_images,
        )
        request = request._replace(query=query, passages=passages)
        validate(request)
        known = endpoint.settings.facts.rerank_model(request.model)
        batches = rerank_batches(request, known, self._settings.batch_size)

        async def send(batch: slice) -> tuple[int, list[RankedPassage]]:
            return batch.start, await self._rank(endpoint, request, batch, key)

        # The first one finds out which route answers.
        ranked = [await send(batches[0])]
        ranked += await bounded_map(send, batches[1:], self._settings.concurrency)
        return merge_rankings(ranked, request.top)

    async def _rank(
        self, endpoint: Endpoint, request: RerankRequest, batch: slice, key: str | None
    ) -> list[RankedPassage]:
        override = self._settings.urls.get(request.model)
        where = (endpoint.url, request.model)
        serving = self._serving.get(where)
        if serving is not None:
            attempted = [serving]
        else:
            dialect = (await endpoint.finding()).dialect
            known = endpoint.settings.facts.rerank_model(request.model)
            attempted = routes(request.model, endpoint.url, dialect, override, known)
        failures: list[errors.InvalidRequestError] = []
        for route in attempted:
            try:
                ranked = await self._send(endpoint, route, request, batch, key)
            except errors.ModelWithdrawnError:
                raise
            except errors.InvalidRequestError as error:
                if error.status_code not in (404, 405):
                    raise self._explained(error, endpoint, request) from None
                failures.append(error)
                self._serving.pop(where, None)
            else:
                self._serving[where] = route
                return ranked
        # A server that has the route names the model that it does not have.
        for failure in failures:
            if request.model in failure.message:
                raise failure
        raise _not_served(attempted, request.model, failures[-1].endpoint)

    def _explained(
        self, error: errors.InvalidRequestError, endpoint: Endpoint, request: RerankRequest
    ) -> errors.InvalidRequestError:
        known = endpoint.settings.facts.rerank_model(request.model)
        if explanation := explain_rerank_refusal(request, known):
            error.message += f" {explanation}"
        return error

    async def _send(
        self,
        endpoint: Endpoint,
        route: Route,
        request: RerankRequest,
        batch: slice,
        key: str | None,
    ) -> list[RankedPassage]:
        body = rerank_body(request, batch, route.protocol)
        url = route.url if "://" in route.url else f"{endpoint.url}{route.url}"
        try:
            response = await endpoint.post(route.url, body, key=key)
            with recorded(request.model, url, response) as record:
                ranked = decode_ranking(response.content, len(request.passages[batch]))
                record.set_result(data=response.content)
            return ranked
        except errors.NIMError as error:
            error.endpoint = url
            raise


def _not_served(attempted: list[Route], model: str, endpoint: str | None) -> errors.NIMError:
    return errors.make(
        "model_not_served",
        f"No route for reranking: attempted {' and '.join(route.url for route in attempted)}.",
        model=model,
        endpoint=endpoint,
    )
