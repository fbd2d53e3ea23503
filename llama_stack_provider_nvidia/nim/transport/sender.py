"""Sends requests to one NIM, within its rate limits, with retries and deadlines."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

import httpx
import openai

from .. import errors
from ..dialect import Dialect
from ..errors.redact import printable
from ..json_types import JSONObject
from . import nvcf_polling
from .body_reader import close_soon, read_whole
from .client_pool import ClientPool, Lease, TransportSettings
from .rate_limiter import RateLimiter
from .request_body import require_flat, unsendable
from .request_record import Observe, RequestRecord, operation_of
from .retry import may_retry, wait_before
from .sdk_request import SDKRequests

logger = logging.getLogger(__name__)

# Llama Stack gives a provider five seconds to shut down.
_DRAIN_SECONDS = 4.0


class Sender:
    """Sends requests to one endpoint, for any number of keys."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        key: str | None,
        is_hosted: bool,
        observe: Observe | None = None,
    ) -> None:
        """Make a client pool and a rate limiter for the endpoint.

        Args:
            settings: How to reach it.
            key: The server's own key, used where a request brings none.
            is_hosted: NVIDIA's catalogue wants a key.
            observe: Is called with each request for inference before it is sent.
        """
        self._settings = settings
        self._endpoint = settings.endpoint
        self._key = key
        self._is_hosted = is_hosted
        self._observe = observe
        self._pool = ClientPool(settings)
        self._requests = SDKRequests()
        self._limiter = RateLimiter(
            concurrent=settings.max_concurrent_requests,
            per_minute=settings.requests_per_minute,
        )

    @property
    def has_key(self) -> bool:
        """True if the server has a key of its own."""
        return self._key is not None

    async def aclose(self) -> None:
        """Let the requests under way come to their end for a moment; close the connections."""
        if not await self._limiter.drained(_DRAIN_SECONDS):
            logger.warning("Requests to %s are cut off: the server stops.", self._endpoint)
        await self._pool.aclose()

    async def get(self, path: str, seconds: float, key: str | None = None) -> httpx.Response:
        """Send a GET request, once.

        Args:
            path: Below the endpoint, or a full URL.
            seconds: Longest time for connecting, and between two parts of the response.
            key: The request's own key, if it brought one.

        Raises:
            NIMError: See ``nim.errors``.
        """
        with self._pool.lease(key or self._key) as lease, self._translated(None):
            response: httpx.Response = await lease.client.get(
                path, cast_to=httpx.Response, options={"timeout": seconds}
            )
        return response

    async def probe(self, url: str) -> httpx.Response:
        """Send a GET request, once, whose error status is a response like any other.

        Args:
            url: Full address of the route.

        Raises:
            NIMError: There was no response.
        """
        with self._pool.lease(self._key) as lease, errors.translated(None, url):
            try:
                response: Any = await lease.client.get(url, cast_to=httpx.Response)
            except openai.APIStatusError as error:
                response = error.response
        assert isinstance(response, httpx.Response)
        return response

    async def post(
        self,
        path: str,
        body: JSONObject,
        *,
        key: str | None,
        stream: bool,
        dialect: Dialect | None = None,
    ) -> httpx.Response:
        """Send a request for inference; retry if it failed before any of the response had come.

        A caller that is cancelled leaves no open connection behind: a response that comes after
        all is closed.

        Args:
            path: Below the endpoint, or a full URL from the configuration.
            body: As the NIM takes it.
            key: The request's own key, if it brought one.
            stream: Return when the NIM has begun to answer, with the body yet to be read. The
                request is over when the response is closed.
            dialect: How the body is written, for observers.

        Returns:
            The response. Its reader closes the record: see
            ``request_record.record_of``.

        Raises:
            NIMError: See ``nim.errors``.
        """
        task = asyncio.create_task(self._post(path, body, key, stream=stream, dialect=dialect))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_close_unwanted)
            task.cancel()
            raise

    async def _post(
        self,
        path: str,
        body: JSONObject,
        key: str | None,
        *,
        stream: bool,
        dialect: Dialect | None,
    ) -> httpx.Response:
        self._check_key(key)
        require_flat(body)
        record = RequestRecord(
            operation_of(path),
            model=body.get("model"),
            endpoint=path if "://" in path else self._endpoint,
            dialect=dialect,
            streamed=stream,
            limits=self._settings.limits,
        )
        if self._observe is not None:
            self._observe(record, body)
        try:
            with record.sending or nullcontext():
                if record.deadlines is None:
                    return await self._send(path, body, key, record)
                try:
                    async with (
                        record.deadlines.first_event() if stream else record.deadlines.total()
                    ):
                        return await self._send(path, body, key, record)
                except errors.NIMError:
                    with self._translated(record.model):
                        raise
        except BaseException as error:
            record.finish(error)
            raise

    async def _send(
        self, path: str, body: JSONObject, key: str | None, record: RequestRecord
    ) -> httpx.Response:
        try:
            await self._limiter.acquire(key, self._settings.timeout, self._endpoint)
            try:
                lease = self._pool.lease(key or self._key)
                try:
                    response = await self._attempt(lease.client, path, body, record)
                    if response.status_code == 202:
                        response = await nvcf_polling.poll_until_ready(
                            lease.client,
                            response,
                            endpoint=self._endpoint,
                            limit=self._settings.timeout,
                        )
                    if not record.streamed:
                        with errors.translated(record.model, self._endpoint, response):
                            await read_whole(response)
                except BaseException:
                    lease.close()
                    raise
            except BaseException:
                self._limiter.release()
                raise
        except Exception:
            with self._translated(record.model):
                raise
        record.set_final_response(response)
        if record.streamed:
            response.stream = _LeasedBody(response.stream, lambda: self._release(lease, record))
        else:
            self._release(lease)
        return response

    def _release(self, lease: Lease, record: RequestRecord | None = None) -> None:
        lease.close()
        self._limiter.release()
        if record is not None:
            record.on_close()

    async def _attempt(
        self, client: openai.AsyncOpenAI, path: str, body: JSONObject, record: RequestRecord
    ) -> httpx.Response:
        """Send a request until there is a response, or no retry is left."""
        policy = self._settings.retry
        started = time.monotonic()
        while True:
            try:
                request = self._requests.copy(client, path, body, record.headers)
                if request is not None:
                    response = await _send_copy(client, request)
                else:
                    response = await _post(client, path, body, record.headers)
                    self._requests.learn(client, path, response.request, record.headers)
            except openai.APIError as error:
                refusal: httpx.Response | None = getattr(error, "response", None)
                record.add_attempt(refusal)
                attempts = record.attempts
                if attempts > policy.retries or not may_retry(error):
                    self._give_up(error, record)
                status = None if refusal is None else refusal.status_code
                wait = wait_before(attempts, status, {} if refusal is None else refusal.headers)
                left = policy.seconds - (time.monotonic() - started) - wait
                if left < 0:
                    self._give_up(error, record)
                logger.warning(
                    "%s: %s for model %s; attempt %d of %d follows in %.1f s",
                    self._endpoint,
                    f"status {status}" if status else type(error.__cause__ or error).__name__,
                    printable(str(record.model)),
                    attempts + 1,
                    policy.retries + 1,
                    wait,
                )
                await asyncio.sleep(wait)
                try:
                    await self._limiter.acquire_attempt(left, self._endpoint)
                except errors.RateLimitError:
                    self._give_up(error, record)
            except (ValueError, RecursionError) as error:
                raise unsendable(body, error) from None
            else:
                record.add_attempt(response)
                return response

    def _give_up(self, error: openai.APIError, record: RequestRecord) -> NoReturn:
        try:
            with self._translated(record.model):
                raise error
        except errors.NIMError as failure:
            if record.attempts > 1:
                failure.message += f" It was attempted {record.attempts} times."
            raise

    def _translated(self, model: str | None) -> AbstractContextManager[None]:
        return errors.translated(model, self._endpoint)

    def _check_key(self, key: str | None) -> None:
        if (key or self._key) is None and self._is_hosted:
            raise errors.make(
                "api_key_missing",
                "There is no API key for NVIDIA's hosted catalogue.",
                endpoint=self._endpoint,
            )


async def _post(
    client: openai.AsyncOpenAI, path: str, body: JSONObject, headers: dict[str, str]
) -> httpx.Response:
    """Send a request through the SDK: of it this uses no parsing and no retries."""
    response: Any = await client.post(
        path,
        cast_to=httpx.Response,
        body=body,
        options={"headers": headers} if headers else {},
        stream=True,
        stream_cls=openai.AsyncStream[Any],
    )
    assert isinstance(response, httpx.Response)
    return response


async def _send_copy(client: openai.AsyncOpenAI, request: httpx.Request) -> httpx.Response:
    """Send a copy of the SDK's request over its connections, and raise the SDK's errors."""
    http: Any = client._client
    told: Any = request
    try:
        response: Any = await http.send(request, stream=True)
    except httpx.TimeoutException as error:
        raise openai.APITimeoutError(request=told) from error
    except httpx.RequestError as error:
        raise openai.APIConnectionError(request=told) from error
    if not response.is_success:
        await response.aread()
        raise openai.APIStatusError("an error status", response=response, body=None)
    assert isinstance(response, httpx.Response)
    return response


def _close_unwanted(task: "asyncio.Task[httpx.Response]") -> None:
    if not task.cancelled() and task.exception() is None:
        close_soon(task.result())


class _LeasedBody(httpx.AsyncByteStream):
    """A response's body, which gives back its client and its slot when it is closed."""

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
