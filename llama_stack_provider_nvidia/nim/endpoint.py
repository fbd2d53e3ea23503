"""One NIM: its completions, other requests, models and health."""

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from . import errors, telemetry
from .completions import Codec, Stage, read_completion, stream_completion
from .dialect import Dialect, is_hosted
from .discovery.dialect_prober import DialectProber
from .discovery.finding import Finding
from .discovery.health import HealthCheck
from .discovery.model_catalog import Catalogue
from .plan import RequestPlan, download_images, plan_request
from .requests.refusals import explanation_of
from .responses.output_guard import constraint_of
from .settings import Settings
from .transport.body_reader import close_soon
from .transport.client_pool import TransportSettings
from .transport.request_record import record_of
from .transport.sender import Sender

Response = TypeVar("Response")

_LIST_SECONDS = 5.0
# Whether the NIM could not be asked if a constraint was written for it.
_UNCONFIRMED = "llama_stack_provider_nvidia.unconfirmed"


class Endpoint:
    """A NIM behind one address, for any number of keys.

    Attributes:
        url: Its address.
        name: What people call it.
        is_hosted: Whether it is NVIDIA's API catalogue.
        checks_certificates: Whether a certificate proves who answers.
        settings: How requests are written and responses read.
        catalogue: The models it serves.
    """

    def __init__(
        self,
        transport: TransportSettings,
        *,
        key: str | None,
        dialect: str = "auto",
        settings: Settings | None = None,
        name: str | None = None,
        models: Sequence[str] | None = None,
    ) -> None:
        """Initialize without sending anything.

        Args:
            transport: How to reach it.
            key: The server's own key, used where a request brings none.
            dialect: From the configuration.
            settings: How requests are to be written and responses read.
            name: What people call it; its address unless given.
            models: The ids of the models to use of it; None means all that it lists.
        """
        self.settings = settings or Settings()
        self.url = transport.endpoint
        self.name = name or transport.endpoint
        self.is_hosted = is_hosted(transport.endpoint)
        self._sender = Sender(
            transport, key=key, is_hosted=self.is_hosted, observe=telemetry.observe
        )
        self.checks_certificates = transport.network.tls.verify is not False
        self.catalogue = Catalogue(self.url, self._list_models, only=models)
        self._health = HealthCheck(self.url, is_hosted=self.is_hosted, get=self._sender.get)
        self.health = self._health.health
        self._prober = DialectProber(transport.endpoint, dialect, self._probe)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sender.aclose()

    @property
    def has_key(self) -> bool:
        """True if the server has a key of its own."""
        return self._sender.has_key

    async def finding(self) -> Finding:
        """Return the kind of this NIM; never raises, and probes again where it is unknown."""
        return await self._prober.finding()

    async def plan(self, body: dict[str, Any], *, counts_tokens: bool = False) -> RequestPlan:
        """Work out what to send for a chat or text completion, and how to read its response.

        Args:
            body: OpenAI's fields, and beside them those of any generation of NIM.
            counts_tokens: Llama Stack counts the tokens of this stream.

        Raises:
            InvalidRequestError: The NIM cannot carry what the request asks for.
        """
        finding = await self.finding()
        base = self.catalogue.bases.get(str(body.get("model")))
        try:
            if self.settings.download_images:
                body = await download_images(body)
            try:
                plan = plan_request(
                    body, finding, self.settings, base=base, counts_tokens=counts_tokens
                )
            except errors.InvalidRequestError as error:
                if finding.is_certain or error.code != "unsupported_field":
                    raise
                plan = await self._plan_anew(body, error, base=base, counts_tokens=counts_tokens)
            if plan.constraint is not None:
                await plan.constraint.validate()
        except errors.NIMError as error:
            with errors.translated(body.get("model"), self.url):
                raise error
        return plan

    async def _plan_anew(
        self,
        body: dict[str, Any],
        refusal: errors.InvalidRequestError,
        *,
        base: str | None,
        counts_tokens: bool,
    ) -> RequestPlan:
        """Plan a request that only a guess refuses, when the NIM has been asked again.

        Raises:
            InvalidRequestError: The NIM is known by now, and cannot carry it.
            ServerError: The NIM still does not say what it is.
        """
        finding = await self._prober.certain_finding()
        try:
            return plan_request(
                body, finding, self.settings, base=base, counts_tokens=counts_tokens
            )
        except errors.InvalidRequestError:
            if finding.is_certain:
                raise
            raise errors.make(
                "nim_not_ready",
                f"It is not known how this NIM takes {refusal.field}: it was asked what it is, and "
                f"{finding.reason}. `dialect` in run.yaml can say it.",
                field=refusal.field,
            ) from None

    async def send(self, plan: RequestPlan, *, key: str | None) -> httpx.Response:
        """Send what was planned. The response to a streamed request has its body yet to be read.

        Args:
            plan: Of the request.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``.
        """
        if plan.dialect is Dialect.NIM2_SGLANG:
            await self._require_listed(plan.body["model"], key)
        return await self._post(plan.path, plan.body, key, stream=plan.stream, dialect=plan.dialect)

    async def _require_listed(self, model: str, key: str | None) -> None:
        """Check that the NIM serves a model: SGLang 0.5.23 answers any name with the one it has.

        Raises:
            ModelNotFoundError: The NIM lists its models, and this is none of them.
        """
        if not self.catalogue.lists(model, key) and await self.catalogue.no_longer_lists(
            model, key, unseen=True
        ):
            raise errors.make(
                "model_not_served",
                f"This NIM does not list {model!r}, and would answer with another model.",
                model=model,
                endpoint=self.url,
            )

    async def post(self, path: str, body: dict[str, Any], *, key: str | None) -> httpx.Response:
        """Send a request that is written already, and get the whole response.

        Args:
            path: Below the endpoint, or a full URL. The key goes to its host: it must come from
                the configuration, never from a request.
            body: As the NIM takes it.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``.
        """
        known = self._prober.known
        dialect = known.dialect if known is not None else None
        return await self._post(path, body, key, stream=False, dialect=dialect)

    async def complete(
        self, body: dict[str, Any], codec: Codec[Response], *, key: str | None
    ) -> Response:
        """Get a whole chat or text completion.

        Args:
            body: As ``plan`` takes it, with ``stream`` false.
            codec: Made for this response.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``.
        """
        plan = await self.plan(body)
        response = await self.send(plan, key=key)
        plan = self._checking_unconfirmed(plan, body, response)
        return await read_completion(response, plan, codec, endpoint=self.url)

    async def stream(
        self,
        body: dict[str, Any],
        codec: Codec[Any],
        *,
        key: str | None,
        merge: bool = True,
        counts_tokens: bool = False,
        opening: Sequence[Any] = (),
        output: Stage | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Get a chat or text completion as a stream: returns when the NIM has begun to answer.

        Args:
            body: As ``plan`` takes it, with ``stream`` true.
            codec: Made for this response.
            key: The request's own key, if it brought one.
            merge: Make one chunk of those that have piled up.
            counts_tokens: Llama Stack counts the tokens of this stream.
            opening: Items that come before the first chunk.
            output: Makes the items of the codec's chunks; without it they are the chunks.

        Raises:
            NIMError: See ``nim.errors``.
        """
        plan = await self.plan(body, counts_tokens=counts_tokens)
        response = await self.send(plan, key=key)
        plan = self._checking_unconfirmed(plan, body, response)
        return stream_completion(
            response, plan, codec, endpoint=self.url, merge=merge, opening=opening, output=output
        )

    async def _post(
        self,
        path: str,
        body: dict[str, Any],
        key: str | None,
        *,
        stream: bool,
        dialect: Dialect | None,
    ) -> httpx.Response:
        # A rerank model may have a URL of its own.
        is_own = "://" not in path or urlsplit(path).netloc == urlsplit(self.url).netloc
        try:
            response = await self._sender.post(path, body, key=key, stream=stream, dialect=dialect)
        except errors.NIMError as error:
            if is_own:
                self._prober.see_error(error)
            if is_own and await self._lacks_worker(error, key):
                raise errors.make(
                    "no_worker",
                    "No worker serves the model: the NIM no longer lists it.",
                    model=error.model,
                    endpoint=self.url,
                    request_id=error.request_id,
                ) from None
            if is_own and isinstance(error, errors.ModelNotFoundError):
                self.catalogue.doubt(str(body.get("model")), key)
            if isinstance(error, errors.ModelWithdrawnError):
                self.catalogue.withdraw(body["model"], key)
            elif isinstance(error, errors.InvalidRequestError) and (finding := self._prober.known):
                model = str(body.get("model"))
                profile = self.settings.facts.profile(model, self.catalogue.bases.get(model))
                known = explanation_of(
                    body, profile, finding.dialect, finding.release, said=error.message
                )
                if known is not None:
                    error.message += f" {known.text}"
                    error.field = error.field or known.field
            raise
        if is_own:
            self._prober.see_response(response)
        if dialect is not None:
            await self._confirm(response, body, dialect)
        return response

    async def _lacks_worker(self, error: errors.NIMError, key: str | None) -> bool:
        """Return whether a refusal means that the model's workers are gone.

        Without any worker, Dynamo 1.6 answers 503 for ten seconds, then 404 with an empty body,
        and its /health 200 all the time. With workers for other models, it says that it does not
        know this one.
        """
        finding = self._prober.known
        if (
            error.code not in ("model_not_found", "nim_not_ready")
            or finding is None
            or finding.dialect is not Dialect.DYNAMO
        ):
            return False
        unseen = error.code == "nim_not_ready" or not error.gave_reason
        return await self.catalogue.no_longer_lists(str(error.model), key, unseen=unseen)

    async def _confirm(
        self, response: httpx.Response, body: dict[str, Any], dialect: Dialect
    ) -> None:
        """Make sure that a constraint was written for the NIM that answers.

        Raises:
            ServerError: Another NIM is there by now, which may have ignored the constraint.
        """
        try:
            confirmed = await self._prober.confirms(response, body, dialect)
            found = (await self.finding()).dialect if confirmed is False else dialect
        except BaseException as error:
            _give_up(response, error)
            raise
        response.extensions[_UNCONFIRMED] = confirmed is None
        if confirmed is False:
            raise self._changed(
                response,
                body,
                f"The NIM is no longer what it was: {found} in the place of {dialect}. It may have "
                "ignored the constraint of this request.",
            )

    def _checking_unconfirmed(
        self, plan: RequestPlan, body: dict[str, Any], response: httpx.Response
    ) -> RequestPlan:
        """Have a response checked here if it is not known that the NIM obeys its constraint.

        Raises:
            ServerError: There is no check for such a constraint.
        """
        if plan.constraint is not None or not response.extensions.get(_UNCONFIRMED):
            return plan
        constraint = constraint_of(body)
        if constraint is None:
            raise self._changed(
                response,
                body,
                "The NIM did not say whether it is still what it was, and may have ignored the "
                "constraint of this request.",
            )
        return dataclasses.replace(plan, constraint=constraint)

    def _changed(
        self, response: httpx.Response, body: dict[str, Any], said: str
    ) -> errors.NIMError:
        """Return the error for a response that may come from another NIM; it is given up."""
        error = errors.make("nim_changed", said, model=body.get("model"), endpoint=self.url)
        _give_up(response, error)
        return error

    async def _list_models(self, key: str | None) -> bytes:
        return (await self._sender.get("/models", _LIST_SECONDS, key)).content

    async def _probe(self, path: str) -> httpx.Response:
        """Ask for a path below the root, for the prober."""
        return await self._sender.probe(self.url.removesuffix("/v1") + path)


def _give_up(response: httpx.Response, error: BaseException) -> None:
    """End a request whose response nobody will read."""
    record_of(response).finish(error)
    close_soon(response)
