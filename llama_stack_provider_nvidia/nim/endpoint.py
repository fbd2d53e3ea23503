"""One NIM: its requests, its answers, its models and its health."""

import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import httpx

from . import errors
from .answers import stream
from .answers.decode import Chunk, decode_chunk
from .answers.shape import check_whole, expected
from .answers.shaper import AnswerShaper, Call, shaped, wire_call, wire_chunk
from .answers.validation import Constraint, checked, checked_stream, constraint_of
from .answers.whole import reading
from .answers.wire import ChatChunk, CompletionChunk
from .dialect import Dialect, is_hosted
from .discovery.catalogue import Catalogue
from .discovery.detect import Answer, Finding
from .discovery.health import HealthCheck
from .discovery.probe import Prober, ask_quickly
from .requests.prepare import Settings, prepare
from .requests.profiles import profile_of
from .transport.client import Transport
from .transport.reader import fetched
from .transport.sender import Sender

_PATHS: dict[type, str] = {ChatChunk: "/chat/completions", CompletionChunk: "/completions"}

_LIST_SECONDS = 5.0
_ASK_SECONDS = 2.0


class Endpoint:
    """A NIM behind one address, for any number of keys.

    Attributes:
        url: Its address.
        name: What people call it.
        is_hosted: Whether it is NVIDIA's API catalogue.
        checks_certificates: Whether a certificate proves who answers.
        settings: How requests are written and answers read.
        catalogue: The models it serves.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        key: str | None,
        dialect: str = "auto",
        settings: Settings | None = None,
        name: str | None = None,
        models: Sequence[str] | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            transport: How to reach it.
            key: The server's own key, used where a request brings none.
            dialect: From the configuration.
            settings: How requests are to be written and answers read.
            name: What people call it; its address unless given.
            models: The ids of the models to use of it; None means all that it lists.
        """
        self.settings = settings or Settings()
        self.url = transport.endpoint
        self.name = name or transport.endpoint
        self.is_hosted = is_hosted(transport.endpoint)
        self._sender = Sender(transport, key=key, is_hosted=self.is_hosted)
        self.checks_certificates = transport.network.tls.verify is not False
        self.catalogue = Catalogue(self.url, self._list_models, only=models)
        self._health = HealthCheck(self.url, is_hosted=self.is_hosted, get=self._sender.get)
        self.health = self._health.health
        self._prober = Prober(transport.endpoint, dialect, self._answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sender.aclose()

    @property
    def has_key(self) -> bool:
        """Whether the server has a key of its own."""
        return self._sender.has_key

    async def finding(self) -> Finding:
        """Give what this NIM is; never fails, and asks again where it could not be told."""
        return await self._prober.finding()

    async def prepare(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write a request the way this NIM takes it.

        Raises:
            InvalidRequestError: It cannot carry what the request asks for.
        """
        return await prepare(body, await self.finding(), self.settings)

    def shaper(
        self, body: dict[str, Any], make_call: Callable[[Call], Any] = wire_call
    ) -> AnswerShaper | None:
        """Give what sets thinking and tool calls apart in the text, None where there is none.

        Args:
            body: The chat request.
            make_call: Makes an element of ``tool_calls``.
        """
        shaper = AnswerShaper(
            body,
            profile_of(body["model"]),
            recover_calls=self.settings.recover_tool_calls,
            make_call=make_call,
        )
        return shaper if shaper.is_needed else None

    async def constraint(self, body: dict[str, Any]) -> Constraint | None:
        """Give what the answer to a request is to be checked against, None for nothing.

        A NIM that is known to enforce constraints is trusted, unless the user says otherwise.

        Raises:
            InvalidRequestError: It is nothing that can be checked against.
        """
        finding = await self.finding()
        trusted = finding.dialect not in (Dialect.GENERIC, Dialect.HOSTED)
        return None if trusted and not self.settings.validate else constraint_of(body)

    async def send(
        self, path: str, body: dict[str, Any], *, key: str | None, stream: bool
    ) -> httpx.Response:
        """Send a request the way this NIM takes it.

        Args:
            path: Below the endpoint, such as ``/chat/completions``.
            body: The request as ``place`` takes it.
            key: The request's own key, if it brought one.
            stream: Return when the NIM has begun to answer, with the body yet to be read.

        Raises:
            NIMError: See ``nim.errors``.
        """
        with errors.translated(body.get("model"), self.url):
            prepared = await self.prepare(body)
        return await fetched(self._post(path, prepared, key, stream=stream))

    async def post(self, path: str, body: dict[str, Any], *, key: str | None) -> httpx.Response:
        """Send a request that is written already, and get the whole answer.

        Args:
            path: Below the endpoint, or a full URL. The key goes to its host: it must come from
                the configuration, never from a request.
            body: As the NIM takes it.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``.
        """
        return await fetched(self._post(path, body, key, stream=False))

    async def ask(self, body: dict[str, Any], kind: type[Chunk], *, key: str | None) -> Chunk:
        """Get a whole answer.

        Args:
            body: The request as ``place`` takes it, with ``stream`` false.
            kind: ``ChatChunk`` or ``CompletionChunk``: decides the path as well.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``.
        """
        constraint = await self.constraint(body)
        response = await self.send(_PATHS[kind], body, key=key, stream=False)
        with reading(body["model"], self.url, response) as exchange:
            answer = decode_chunk(response.content, kind)
            check_whole(answer.choices or (), expected(body))
            exchange.answered(
                usage=answer.usage,
                finish_reasons=[choice.finish_reason for choice in answer.choices or ()],
                data=response.content,
            )
            if isinstance(answer, ChatChunk) and (shaper := self.shaper(body)):
                shaper.shape(answer)
            if constraint:
                checked(answer, constraint)
        return answer

    async def stream(
        self, body: dict[str, Any], kind: type[Chunk], *, key: str | None, joins: bool = True
    ) -> tuple[AsyncGenerator[Chunk, None], httpx.Response]:
        """Get an answer as a stream: returns when the NIM has begun to answer.

        Args:
            body: The request as ``place`` takes it, with ``stream`` true.
            kind: ``ChatChunk`` or ``CompletionChunk``: decides the path as well.
            key: The request's own key, if it brought one.
            joins: Make one chunk of those that have piled up.

        Returns:
            The chunks, and the response to be closed if they are never asked for.
        """
        constraint = await self.constraint(body)
        response = await self.send(_PATHS[kind], body, key=key, stream=True)
        decode = functools.partial(decode_chunk, kind=kind)
        chunks = stream.chunks(
            response,
            decode,
            model=body["model"],
            endpoint=self.url,
            answers=expected(body),
            joins=joins,
        )
        if kind is ChatChunk and (shaper := self.shaper(body)):
            chunks = shaped(chunks, shaper, wire_chunk)
        if constraint:
            chunks = checked_stream(chunks, constraint)
        return chunks, response

    async def _post(
        self, path: str, body: dict[str, Any], key: str | None, *, stream: bool
    ) -> httpx.Response:
        try:
            dialect = self._prober.dialect
            return await self._sender.post(path, body, key=key, stream=stream, dialect=dialect)
        except errors.NIMConnectionError:
            self._prober.doubt()
            raise
        except errors.ModelWithdrawnError:
            self.catalogue.withdraw(body["model"], key)
            raise

    async def _list_models(self, key: str | None) -> bytes:
        return (await self._sender.get("/models", _LIST_SECONDS, key)).content

    async def _answer(self, path: str) -> Answer | None:
        """Ask for a path below the root, for the prober."""
        question = self._sender.question(self.url.removesuffix("/v1") + path)
        return await ask_quickly(question, _ASK_SECONDS)
