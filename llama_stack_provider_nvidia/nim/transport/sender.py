"""Sends requests to one NIM: whose turn it is, how often it is tried, how long it may take."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import httpx
import msgspec
import openai

from .. import errors, observe
from ..dialect import Dialect
from ..discovery.detect import Answer
from ..error_bodies import printable
from . import nvcf
from .bounds import read_whole
from .client import ClientPool, Lease, Transport, post
from .exchange import Exchange, operation_of
from .gate import Gate
from .retry import may_retry, wait_before

logger = logging.getLogger(__name__)

# Llama Stack gives a provider five seconds to shut down.
_DRAIN_SECONDS = 4.0


class Sender:
    """The road to one endpoint, for any number of keys."""

    def __init__(self, transport: Transport, *, key: str | None, is_hosted: bool) -> None:
        """Nothing is sent yet.

        Args:
            transport: How to reach it.
            key: The server's own key, used where a request brings none.
            is_hosted: NVIDIA's catalogue wants a key.
        """
        self._transport = transport
        self._key = key
        self._is_hosted = is_hosted
        self._pool = ClientPool(transport)
        self._gate = Gate(
            concurrent=transport.max_concurrent_requests,
            per_minute=transport.requests_per_minute,
        )

    @property
    def has_key(self) -> bool:
        """Whether the server has a key of its own."""
        return self._key is not None

    async def aclose(self) -> None:
        """Let the requests under way come to their end for a moment; close the connections."""
        if not await self._gate.drained(_DRAIN_SECONDS):
            logger.warning(
                "Requests to %s are cut off: the server stops.", self._transport.endpoint
            )
        await self._pool.aclose()

    async def get(self, path: str, seconds: float, key: str | None = None) -> httpx.Response:
        """Ask a question, once: a path below the endpoint, or a full URL.

        Raises:
            NIMError: See ``nim.errors``.
        """
        with self._pool.lease(key or self._key) as lease, self._translated(None):
            response: httpx.Response = await lease.client.get(
                path, cast_to=httpx.Response, options={"timeout": seconds}
            )
        return response

    async def question(self, url: str) -> Answer:
        """Ask a question that a NIM may or may not know, once.

        Args:
            url: Full address of the route.

        Raises:
            NIMError: There was no answer; one with an error status is an answer.
        """
        with self._pool.lease(self._key) as lease, errors.translated(None, url):
            try:
                response: Any = await lease.client.get(url, cast_to=httpx.Response)
            except openai.APIStatusError as error:
                return Answer(error.status_code)
        try:
            return Answer(response.status_code, msgspec.json.decode(response.content))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Answer(response.status_code)

    async def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        key: str | None,
        stream: bool,
        dialect: Dialect | None = None,
    ) -> httpx.Response:
        """Send a request for inference, again if it failed before any of the answer had come.

        Args:
            path: Below the endpoint, or a full URL from the configuration.
            body: As the NIM takes it.
            key: The request's own key, if it brought one.
            stream: Return when the NIM has begun to answer, with the body yet to be read. The
                request is over when the response is closed.
            dialect: How the body is written, for those who observe.

        Returns:
            The response. Who reads it tells its ``Exchange`` of the end: see
            ``nim.answers.stream.named`` and ``nim.answers.whole.reading``.

        Raises:
            NIMError: See ``nim.errors``.
        """
        self._check_key(key)
        exchange = Exchange(
            operation_of(path),
            model=body.get("model"),
            endpoint=path if "://" in path else self._transport.endpoint,
            dialect=dialect,
            streamed=stream,
            limits=self._transport.limits,
        )
        observe.begin(exchange, body)
        try:
            with exchange.sending:
                return await self._sent(path, body, key, exchange)
        except BaseException as error:
            exchange.finish(error)
            raise

    async def _sent(
        self, path: str, body: dict[str, Any], key: str | None, exchange: Exchange
    ) -> httpx.Response:
        clock, stream = exchange.clock, exchange.streamed
        with self._translated(exchange.model):
            async with clock.first() if stream else clock.whole():
                await self._gate.enter(key, self._transport.timeout, self._transport.endpoint)
                try:
                    lease = self._pool.lease(key or self._key)
                    try:
                        response = await self._answer(lease.client, path, body, exchange)
                    except BaseException:
                        lease.close()
                        raise
                except BaseException:
                    self._gate.leave()
                    raise
        exchange.settled(response)
        if stream:
            response.stream = _Held(response.stream, lambda: self._release(lease, exchange))
        else:
            self._release(lease)
        return response

    async def _answer(
        self, client: openai.AsyncOpenAI, path: str, body: dict[str, Any], exchange: Exchange
    ) -> httpx.Response:
        response = await self._tried(client, path, body, exchange)
        if response.status_code == 202:
            response = await nvcf.settled(
                client, response, endpoint=self._transport.endpoint, limit=self._transport.timeout
            )
        if not exchange.streamed:
            with errors.translated(body.get("model"), self._transport.endpoint, response):
                response = await read_whole(response)
        return response

    def _release(self, lease: Lease, exchange: Exchange | None = None) -> None:
        lease.close()
        self._gate.leave()
        if exchange is not None:
            exchange.let_go()

    async def _tried(
        self, client: openai.AsyncOpenAI, path: str, body: dict[str, Any], exchange: Exchange
    ) -> httpx.Response:
        policy = self._transport.retry
        started = time.monotonic()
        while True:
            try:
                response = await post(client, path, body, exchange.headers)
                exchange.tried(response)
                return response
            except openai.APIError as error:
                refusal = getattr(error, "response", None)
                exchange.tried(refusal)
                tries = exchange.tries
                if tries > policy.tries or not may_retry(error):
                    self._give_up(error, body.get("model"), tries)
                status = None if refusal is None else refusal.status_code
                wait = wait_before(tries, status, {} if refusal is None else refusal.headers)
                if time.monotonic() - started + wait > policy.seconds:
                    self._give_up(error, body.get("model"), tries)
                logger.warning(
                    "%s: %s for model %s; try %d of %d follows in %.1f s",
                    self._transport.endpoint,
                    f"status {status}" if status else type(error.__cause__ or error).__name__,
                    printable(str(body.get("model"))),
                    tries + 1,
                    policy.tries + 1,
                    wait,
                )
                await asyncio.sleep(wait)

    def _give_up(self, error: openai.APIError, model: str | None, tries: int) -> NoReturn:
        try:
            with self._translated(model):
                raise error
        except errors.NIMError as failure:
            if tries > 1:
                failure.message += f" It was tried {tries} times."
            raise

    def _translated(self, model: str | None) -> AbstractContextManager[None]:
        return errors.translated(model, self._transport.endpoint)

    def _check_key(self, key: str | None) -> None:
        if (key or self._key) is None and self._is_hosted:
            raise errors.AuthenticationError(
                "NVIDIA's hosted catalogue wants an API key and there is none: set api_key in "
                "run.yaml or NVIDIA_API_KEY, or send nvidia_api_key in the provider data.",
                endpoint=self._transport.endpoint,
            )


class _Held(httpx.AsyncByteStream):
    """A response's body, which gives its place to the next request when it is closed."""

    def __init__(self, body: Any, release: Callable[[], None]) -> None:
        self._body = body
        self._release: Callable[[], None] | None = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        parts: AsyncIterator[bytes] = self._body.__aiter__()
        return parts

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            release, self._release = self._release, None
            if release is not None:
                release()
