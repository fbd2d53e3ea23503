"""Reranking with any NIM: which route answers, portions, and their answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import errors
from ..answers.whole import reading
from ..endpoint import Endpoint
from ..transport.batch import bounded_map
from .contents import with_images
from .rerank import (
    Ranked,
    RerankRequest,
    Route,
    body_of,
    checked,
    decode_ranking,
    in_order,
    parts_of,
    routes,
)


@dataclass(frozen=True)
class RerankSettings:
    """What a user wants where requests do not say.

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


class Ranker:
    """Reranks with any NIM."""

    def __init__(self, settings: RerankSettings) -> None:
        self._settings = settings
        self._answering: dict[tuple[str, str], Route] = {}

    async def rank(
        self, endpoint: Endpoint, request: RerankRequest, *, key: str | None
    ) -> list[Ranked]:
        """Rank the passages of a request.

        Args:
            endpoint: The NIM; its connections and keys serve a model's own URL as well.
            request: Where it says nothing of truncation, the settings do.
            key: The request's own key, if it brought one.

        Returns:
            By score, the highest first.

        Raises:
            NIMError: See ``nim.errors``; what can be seen to be wrong is refused unsent.
        """
        if request.truncate is None:
            request = request._replace(truncate=self._settings.truncate)
        passages = await with_images(request.passages, endpoint.settings, "items")
        request = checked(request._replace(passages=passages))
        parts = parts_of(request, self._settings.batch_size)

        async def one(part: slice) -> tuple[int, list[Ranked]]:
            return part.start, await self._portion(endpoint, request, part, key)

        # The first one finds out which route answers.
        ranked = [await one(parts[0])]
        ranked += await bounded_map(one, parts[1:], self._settings.concurrency)
        return in_order(ranked, request.top)

    async def _portion(
        self, endpoint: Endpoint, request: RerankRequest, part: slice, key: str | None
    ) -> list[Ranked]:
        override = self._settings.urls.get(request.model)
        where = (endpoint.url, request.model)
        known = self._answering.get(where)
        if known is not None:
            tried = [known]
        else:
            dialect = (await endpoint.finding()).dialect
            tried = routes(request.model, endpoint.url, dialect, override)
        failures: list[errors.InvalidRequestError] = []
        for route in tried:
            try:
                ranked = await self._ask(endpoint, route, request, part, key)
            except errors.ModelWithdrawnError:
                raise
            except errors.InvalidRequestError as error:
                if error.status_code not in (404, 405):
                    raise
                failures.append(error)
                self._answering.pop(where, None)
            else:
                self._answering[where] = route
                return ranked
        # A server that has the route names the model that it does not have.
        for failure in failures:
            if request.model in failure.message:
                raise failure
        raise _unserved(tried, request.model, failures[-1].endpoint)

    async def _ask(
        self,
        endpoint: Endpoint,
        route: Route,
        request: RerankRequest,
        part: slice,
        key: str | None,
    ) -> list[Ranked]:
        body = body_of(request, part, route.protocol)
        url = route.url if "://" in route.url else f"{endpoint.url}{route.url}"
        try:
            response = await endpoint.post(route.url, body, key=key)
            with reading(request.model, url, response) as exchange:
                ranked = decode_ranking(response.content, len(request.passages[part]))
                exchange.answered(data=response.content)
            return ranked
        except errors.NIMError as error:
            error.endpoint = url
            raise


def _unserved(tried: list[Route], model: str, endpoint: str | None) -> errors.ModelNotFoundError:
    return errors.ModelNotFoundError(
        f"Nothing ranks there: tried {' and '.join(route.url for route in tried)}. Check that the "
        "NIM serves a rerank model, or name this one's URL under `rerank_model_to_url` in "
        "run.yaml.",
        model=model,
        endpoint=endpoint,
    )
