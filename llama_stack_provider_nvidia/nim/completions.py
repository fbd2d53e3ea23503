"""The pipeline that reads chat and text completions, whole and streamed, with either codec."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import httpx

from . import errors
from .plan import RequestPlan
from .responses.chunk_merger import merge_chunks
from .responses.content_parser import ToolCallMaker
from .responses.misplaced_answer import MisplacedAnswer
from .responses.normalize import StreamProgress
from .responses.output_guard import OutputGuard
from .responses.sse import SSEDecoder
from .responses.tool_names import ToolNameCleaner
from .responses.usage import UsagePlacer
from .transport.body_reader import MAX_STREAM_BYTES, BodyReader, close_soon
from .transport.request_record import RequestRecord, record_of

_DONE = b"[DONE]"
_DRAIN_SECONDS = 0.5

Response = TypeVar("Response", covariant=True)


class Codec(ToolCallMaker, Protocol[Response]):
    """Decodes one response. What it builds has ``choices`` and ``usage``.

    Attributes:
        places_usage: Its callers read the counts of tokens where a request asks for them.
    """

    places_usage: bool

    def decode_response(self, data: bytes, choices: int) -> Response:
        """Decode a whole response, and check its choices."""

    def decode_chunk(self, data: bytes) -> Any:
        """Decode one event of a stream to what ``chunk_merger`` takes: a struct, or a dict."""

    @property
    def build(self) -> Callable[[Any], Response] | None:
        """Makes of a decoded and merged chunk what is handed on; None where that is the same."""

    @property
    def make_ending(self) -> Callable[[Sequence[int]], Any] | None:
        """Makes the chunk that ends choices, by index, which a stream has left without a reason.

        None where readers do without.
        """

    @property
    def check_end(self) -> Callable[[], None] | None:
        """Checks the response when its stream has ended; None where that is done elsewhere."""


class Stage(Protocol):
    """One step in the making of a stream's items. It holds no resource."""

    def feed(self, chunk: Any) -> list[Any]:
        """Take what the stage before it made, and return what can go on."""

    def close(self) -> list[Any]:
        """Return what was held back, at the end of a complete stream."""


class Converter:
    """The stage that makes one item of each chunk by a function."""

    def __init__(self, convert: Any) -> None:
        self._convert = convert

    def feed(self, chunk: Any) -> list[Any]:
        """Convert a chunk."""
        return [self._convert(chunk)]

    def close(self) -> list[Any]:
        """Return nothing: nothing is held back."""
        return []


@contextlib.contextmanager
def recorded(model: str | None, endpoint: str, response: httpx.Response) -> Iterator[RequestRecord]:
    """Read a whole response inside; its record ends with the block, by its error or without.

    Args:
        model: The NIM's id of the model.
        endpoint: Address of the NIM.
        response: With its body.

    Yields:
        The record, to be told what has been read.
    """
    record = record_of(response)
    try:
        with errors.translated(model, endpoint, response):
            yield record
    except BaseException as error:
        record.finish(error)
        raise
    record.finish()


async def read_completion(
    response: httpx.Response, plan: RequestPlan, codec: Codec[Response], *, endpoint: str
) -> Response:
    """Read a whole response: a stream of one chunk.

    Args:
        response: With its body.
        plan: Of its request.
        codec: Made for this response.
        endpoint: Address of the NIM.

    Raises:
        NIMError: See ``nim.errors``.
    """
    with recorded(plan.model, endpoint, response) as record:
        completion: Any = codec.decode_response(response.content, plan.choices)
        record.set_result(
            usage=completion.usage,
            finish_reasons=[choice.finish_reason for choice in completion.choices or ()],
            data=response.content,
        )
        stages, guard = _response_stages(plan, codec)
        for stage in stages:
            stage.feed(completion)
        if guard is not None:
            await guard.check()
    return completion  # type: ignore[no-any-return]


def stream_completion(
    response: httpx.Response,
    plan: RequestPlan,
    codec: Codec[Any],
    *,
    endpoint: str,
    merge: bool = True,
    opening: Sequence[Any] = (),
    output: Stage | None = None,
) -> AsyncGenerator[Any, None]:
    """Read a streamed response, and close it at the end, however that comes.

    Args:
        response: Its headers have come, nothing of its body has been read.
        plan: Of its request.
        codec: Made for this response.
        endpoint: Address of the NIM.
        merge: Make one chunk of those that have arrived since the last was asked for; see
            ``nim.responses.chunk_merger``.
        opening: Items that come before the first chunk.
        output: Makes the items of the codec's chunks; without it they are the chunks.

    Raises:
        NIMError: The NIM reported an error, the connection broke, or the stream ended before the
            answer did, or before there was one. What came before it is given first.
    """
    stages: list[Stage] = [Converter(codec.build)] if codec.build else []
    checked, guard = _response_stages(plan, codec)
    stages += checked
    if output is not None:
        stages.append(output)
    stream = _Stream(response, plan, codec, endpoint, merge).items(opening, stages, guard)
    close_when_dropped(stream, response)
    return stream


def _response_stages(
    plan: RequestPlan, codec: ToolCallMaker
) -> tuple[list[Stage], OutputGuard | None]:
    """Return the stages that a plan asks for, and the guard among them."""
    stages: list[Stage] = []
    if plan.make_content_parser is not None:
        stages.append(plan.make_content_parser(codec))
    if plan.is_reasoning_off:
        stages.append(MisplacedAnswer(codec))
    if plan.tool_names:
        stages.append(ToolNameCleaner(plan.tool_names))
    if plan.constraint is None:
        return stages, None
    guard = OutputGuard(plan.constraint)
    return [*stages, guard], guard


class _Stream:
    """A streamed response: owned, read, recorded and closed by the generator of its items."""

    def __init__(
        self,
        response: httpx.Response,
        plan: RequestPlan,
        codec: Codec[Any],
        endpoint: str,
        merge: bool,
    ) -> None:
        self._response = response
        self._plan = plan
        self._codec = codec
        self._endpoint = endpoint
        self._merge = merge
        self._record = record_of(response)
        self._progress = StreamProgress(plan.choices)
        self._placer: UsagePlacer | None = None
        if codec.places_usage and (plan.counts_tokens or not plan.wants_usage):
            self._placer = UsagePlacer(asked=plan.wants_usage, at_the_end=plan.counts_tokens)
        self._held: list[Any] = []
        self._started = self._done = self._over = False
        self._failure: Exception | None = None

    async def items(
        self, opening: Sequence[Any], stages: Sequence[Stage], guard: OutputGuard | None
    ) -> AsyncGenerator[Any, None]:
        """Read the response, and pass what it brings through the stages."""
        record, progress = self._record, self._progress
        record.has_reader = True
        reader = BodyReader(self._response, paced=self._merge)
        try:
            with errors.translated(self._plan.model, self._endpoint, self._response):
                for item in opening:
                    yield item
                batches = record.within_deadlines(_batches(reader))
                while not self._over:
                    for chunk in await self._read(batches):
                        items = _through(stages, chunk)
                        if guard is not None:
                            await guard.check()
                        for item in items:
                            yield item
                if self._failure is not None:
                    raise self._failure
                if self._done:
                    reader.paced = False
                    await _drain(batches)
                items = _close(stages)
                if guard is not None:
                    await guard.check()
                for item in items:
                    yield item
        except BaseException as error:
            record.set_error(error)
            raise
        finally:
            record.set_result(
                usage=progress.usage,
                finish_reasons=progress.finish_reasons,
                is_complete=progress.is_complete,
            )
            reader.stop()
            record.finish()
            self._failure = None  # its traceback holds this frame

    async def _read(self, batches: AsyncIterator[list[bytes]]) -> list[Any]:
        """Return the next chunks, merged; the last ones when the stream is over or has failed."""
        try:
            events = await anext(batches, None)
        except Exception as error:
            events, self._failure = [], error
        chunks = self._decoded(events) if events else []
        if self._failure is None and (events is None or self._done):
            self._check_end()
            self._over = True
        self._over = self._over or self._failure is not None
        chunks = self._with_ending(chunks)
        if self._placer is None:
            return chunks
        placed = [one for chunk in chunks for one in self._placer.feed(chunk)]
        return placed + self._placer.close() if self._over else placed

    def _decoded(self, events: list[bytes]) -> list[Any]:
        """Decode events up to the end of the stream, or to the one that reports an error."""
        if not self._started:
            self._started = True
            self._record.first_event(events[0])
        chunks: list[Any] = []
        checked = 0
        decode, see = self._codec.decode_chunk, self._progress.see
        try:
            for data in events:
                if data == _DONE:
                    self._done = True
                    break
                chunks.append(decode(data))
        except errors.NIMError as error:
            self._failure = error
        try:
            for chunk in chunks:
                see(chunk)
                checked += 1
        except errors.NIMError as error:
            self._failure, chunks = error, chunks[:checked]
        if self._merge and len(chunks) > 1:
            return merge_chunks(chunks, [len(event) for event in events[: len(chunks)]])
        return chunks

    def _with_ending(self, chunks: list[Any]) -> list[Any]:
        """End the choices that the NIM has not, before the counts of tokens, which end a stream."""
        make_ending = self._codec.make_ending
        if make_ending is None:
            return chunks
        chunks, self._held = self._held + chunks, []
        if not self._over:
            if chunks and not chunks[-1]["choices"] and not self._progress.is_complete:
                self._held = [chunks.pop()]
        elif self._failure is None and (left := self._progress.open_choices):
            ending = make_ending(left)
            for choice in ending["choices"]:
                self._progress.set_finish_reason(choice["index"], choice["finish_reason"])
            at = len(chunks)
            while at and not chunks[at - 1]["choices"]:
                at -= 1
            chunks.insert(at, ending)
        return chunks

    def _check_end(self) -> None:
        """Note the error of a stream that must not end here."""
        try:
            self._progress.end(done=self._done)
            if check_end := self._codec.check_end:
                check_end()
        except errors.NIMError as error:
            self._failure = error


def _through(stages: Sequence[Stage], chunk: Any) -> list[Any]:
    """Pass a chunk through the stages."""
    items = [chunk]
    for stage in stages:
        items = [made for item in items for made in stage.feed(item)]
    return items


def _close(stages: Sequence[Stage]) -> list[Any]:
    """Close each stage, and pass what it held back through those after it."""
    items: list[Any] = []
    for stage in stages:
        items = [made for item in items for made in stage.feed(item)]
        items += stage.close()
    return items


async def _batches(reader: BodyReader) -> AsyncIterator[list[bytes]]:
    """Yield the data of all events that have come since the last time, never none."""
    decoder = SSEDecoder()
    size = 0
    async for received in reader:
        size += len(received)
        if size > MAX_STREAM_BYTES:
            raise errors.malformed(
                f"The NIM sent a stream of more than {MAX_STREAM_BYTES} bytes.",
                code="response_too_large",
            )
        if events := decoder.feed(received):
            yield events
    if events := decoder.close():
        yield events


async def _drain(batches: AsyncIterator[list[bytes]]) -> None:
    """Read to the end of the body, so that the connection can serve the next request."""
    # The answer is complete: what breaks now does not matter.
    with contextlib.suppress(TimeoutError, httpx.RequestError, errors.NIMError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in batches:
                pass


def close_when_dropped(stream: object, response: httpx.Response) -> None:
    """Have a response closed even if its stream is dropped before the first item.

    Python runs no ``finally`` of an async generator that was never started, and a server may
    lose its client before it asks for the first event.
    """
    finalizer = weakref.finalize(stream, _close_soon, asyncio.get_running_loop(), response)
    finalizer.atexit = False


def _close_soon(loop: asyncio.AbstractEventLoop, response: httpx.Response) -> None:
    if response.is_closed or loop.is_closed():
        return
    with contextlib.suppress(RuntimeError):  # the loop was closed just now, its sockets with it
        loop.call_soon_threadsafe(close_soon, response)
