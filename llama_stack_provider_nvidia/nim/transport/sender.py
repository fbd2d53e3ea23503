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

from .. import errors
from ..discovery.detect import Answer
from . import nvcf
from .client import ClientPool, Lease, Transport, post
from .gate import Gate
from .retry import may_retry, wait_before
from .timing import Clock, keep_clock

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
        self, path: str, body: dict[str, Any], *, key: str | None, stream: bool
    ) -> httpx.Response:
        """Send a request for inference, again if it failed before any of the answer had come.

        Args:
            path: Below the endpoint, or a full URL from the configuration.
            body: As the NIM takes it.
            key: The request's own key, if it brought one.
            stream: Return when the NIM has begun to answer, with the body yet to be read. The
                request is over when the response is closed.

        Raises:
            NIMError: See ``nim.errors``.
        """
        self._check_key(key)
        clock = Clock(self._transport.limits)
        with self._translated(body.get("model")):
            async with clock.first() if stream else clock.whole():
                await self._gate.enter(key, self._transport.timeout, self._transport.endpoint)
                try:
                    lease = self._pool.lease(key or self._key)
                    try:
                        response = await self._answer(lease.client, path, body, stream=stream)
                    except BaseException:
                        lease.close()
                        raise
                except BaseException:
                    self._gate.leave()
                    raise
        if stream:
            keep_clock(response, clock)
            response.stream = _Held(response.stream, lambda: self._release(lease))
        else:
            self._release(lease)
        return response

    async def _answer(
        self, client: openai.AsyncOpenAI, path: str, body: dict[str, Any], *, stream: bool
    ) -> httpx.Response:
        response = await self._tried(client, path, body)
        if response.status_code == 202:
            response = await nvcf.settled(
                client, response, endpoint=self._transport.endpoint, limit=self._transport.timeout
            )
        if not stream:
            await response.aread()
        return response

    def _release(self, lease: Lease) -> None:
        lease.close()
        self._gate.leave()

    async def _tried(
        self, client: openai.AsyncOpenAI, path: str, body: dict[str, Any]
    ) -> httpx.Response:
        policy = self._transport.retry
        started = time.monotonic()
        tries = 0
        while True:
            try:
                return await post(client, path, body)
            except openai.APIError as error:
                tries += 1
                if tries > policy.tries or not may_retry(error):
                    self._give_up(error, body.get("model"), tries)
                response = getattr(error, "response", None)
                status = None if response is None else response.status_code
                wait = wait_before(tries, status, {} if response is None else response.headers)
                if time.monotonic() - started + wait > policy.seconds:
                    self._give_up(error, body.get("model"), tries)
                logger.warning(
                    "%s: %s for model %s; try %d of %d follows in %.1f s",
                    self._transport.endpoint,
                    f"status {status}" if status else type(error.__cause__ or error).__name__,
                    body.get("model"),
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
