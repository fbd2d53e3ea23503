"""From a response's bytes to chunks, always letting go of the connection."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

import httpx

from .. import errors
from ..transport.bounds import MAX_STREAM_BYTES
from ..transport.exchange import exchange_of
from ..transport.reader import Reader, close
from .coalesce import coalesce
from .shape import Progress
from .sse import SSEDecoder

_DONE = b"[DONE]"
_DRAIN_SECONDS = 0.5


Chunk = TypeVar("Chunk")


async def chunks(
    response: httpx.Response,
    decode: Callable[[bytes], Chunk],
    *,
    model: str,
    endpoint: str,
    answers: int = 1,
    joins: bool = True,
    check_end: Callable[[], None] | None = None,
) -> AsyncGenerator[Chunk, None]:
    """Read a streamed response chunk by chunk, and close it at the end, however that comes.

    Args:
        response: Its headers have come, nothing of its body has been read.
        decode: Makes a chunk of the data of one event: a struct of ``nim.answers.wire``, or a dict.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        answers: How many choices were asked for.
        joins: Make one chunk of those that have arrived since the last was asked for; see
            ``nim.answers.coalesce``.
        check_end: Raises a ``NIMError`` if the answer cannot end as it did.

    Raises:
        NIMError: The NIM reported an error, the connection broke, or the stream ended before
            the answer did, or before there was one. What came before it is given first.
    """
    reader = Reader(response, paced=joins)
    progress = Progress(answers)
    exchange = exchange_of(response)
    begun = done = False
    try:
        with errors.translated(model, endpoint, response):
            batches = exchange.clock.in_time(_batches(reader))
            async for events in batches:
                if not begun:
                    begun = True
                    exchange.begun(events[0])
                decoded, failure = _decoded(events, decode, progress)
                if joins:
                    decoded = coalesce(decoded, [len(event) for event in events[: len(decoded)]])
                for chunk in decoded:
                    yield chunk
                if failure is not None:
                    raise failure
                if _DONE in events:
                    done = True
                    reader.paced = False
                    await _drain(batches)
                    break
            progress.end(done=done)
            if check_end is not None:
                check_end()
    finally:
        exchange.answered(
            usage=progress.usage,
            finish_reasons=progress.finish_reasons,
            is_complete=progress.is_complete,
        )
        reader.stop()


async def named(
    stream: AsyncGenerator[Chunk, None], response: httpx.Response, *, model: str, endpoint: str
) -> AsyncGenerator[Chunk, None]:
    """Hand on what has been made of a stream's chunks; an error in the making has a place, too.

    This is the last that a stream goes through, and so its end is the exchange's.

    Args:
        stream: What has been made of ``chunks``.
        response: That it comes from.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
    """
    exchange = exchange_of(response)
    exchange.is_read = True
    try:
        with errors.translated(model, endpoint, response):
            async for item in stream:
                yield item
    except BaseException as error:
        exchange.note(error)
        raise
    finally:
        try:
            await stream.aclose()
        finally:
            exchange.finish()


def _decoded(
    events: list[bytes], decode: Callable[[bytes], Chunk], progress: Progress
) -> tuple[list[Chunk], errors.NIMError | None]:
    """Decode events up to the end of the stream, or to the one that reports an error."""
    made: list[Chunk] = []
    for data in events:
        if data == _DONE:
            break
        try:
            chunk = decode(data)
            progress.see(chunk)
            made.append(chunk)
        except errors.NIMError as error:
            return made, error
    return made, None


async def _drain(batches: AsyncIterator[list[bytes]]) -> None:
    """Read to the end of the body, so that the connection can serve the next request."""
    # The answer is complete: what breaks now is nobody's concern.
    with contextlib.suppress(TimeoutError, httpx.RequestError, errors.NIMError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in batches:
                pass


async def _batches(reader: Reader) -> AsyncIterator[list[bytes]]:
    """Give the data of all events that have come since the last time, never none."""
    decoder = SSEDecoder()
    size = 0
    async for received in reader:
        size += len(received)
        if size > MAX_STREAM_BYTES:
            raise errors.malformed(f"The NIM sent a stream of more than {MAX_STREAM_BYTES} bytes.")
        if events := decoder.feed(received):
            yield events
    if events := decoder.close():
        yield events


def close_when_dropped(stream: object, response: httpx.Response) -> None:
    """See to it that a response is closed even if its stream is dropped before the first item.

    Python runs no ``finally`` of an async generator that was never started, and a server may
    lose its client before it asks for the first event.
    """
    finalizer = weakref.finalize(stream, _close_soon, asyncio.get_running_loop(), response)
    finalizer.atexit = False


def _close_soon(loop: asyncio.AbstractEventLoop, response: httpx.Response) -> None:
    if response.is_closed or loop.is_closed():
        return
    with contextlib.suppress(RuntimeError):  # the loop was closed just now, its sockets with it
        loop.call_soon_threadsafe(close, response)
