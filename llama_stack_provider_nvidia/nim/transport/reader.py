"""Getting and reading a response in tasks of their own, so that it can always be closed.

A web server whose client has gone may cancel the task that answers it again at every ``await``,
clean-up included. The HTTP library cannot close a connection that way: it would stay open, and
the NIM would go on generating for nobody. Here such a cancellation meets only the waiting,
never the library.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import anyio
import httpx

from .http_chunks import take_together

_MOST_BYTES = 64 * 1024
"""What is read ahead of a slow reader where the HTTP library hands on chunks one by one."""


async def fetched(request: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Wait for a response, and close it if it comes when nobody waits any more."""
    task = asyncio.create_task(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_close_unwanted)
        task.cancel()
        raise


def _close_unwanted(task: "asyncio.Task[httpx.Response]") -> None:
    if not task.cancelled() and task.exception() is None:
        close(task.result())


def close(response: httpx.Response) -> None:
    """Start closing a response; for code that cannot wait. The loop must be running."""
    task = asyncio.get_running_loop().create_task(response.aclose())
    _kept.add(task)
    task.add_done_callback(_kept.discard)


# The loop keeps only weak references to its tasks.
_kept: set["asyncio.Task[None]"] = set()


_APART = 0.004
"""Seconds from one read of a fast stream to the next. Each event costs a server about a
millisecond, and nobody sees that 250 a second bring the same as 2,000."""
_AT_ONCE = 8
"""So many reads come first, as fast as they can: the first token is never held back."""
_MUCH = 16 * 1024
"""After a read of so many bytes there is more waiting: no reason to pause."""


class Reader:
    """Reads the body of a streamed response, and closes it at the end, however that comes.

    The socket is read when somebody asks for news, not before: what the NIM sends meanwhile
    waits in the kernel, and one read takes all of it. A read for each token would cost more than
    everything else that is done with the token.

    Attributes:
        paced: Leave some milliseconds between the reads of a fast stream, so that more comes at a
            time. What comes later than that after its forerunner does not wait.
    """

    def __init__(self, response: httpx.Response, *, paced: bool = False) -> None:
        self.paced = paced
        self._ahead = 0 if take_together(response) else _MOST_BYTES
        self._response = response
        self._received: list[bytes] = []
        self._held = 0
        self._stopping = anyio.CancelScope()
        self._stopped = False
        self._news = asyncio.Event()
        self._asked = asyncio.Event()
        self._task = asyncio.create_task(self._read())
        _kept.add(self._task)
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Have the response closed, without waiting for it. Does nothing at the end of the body."""
        # Somebody else may have closed the response while the reading waits to be asked.
        self._stopped = True
        self._asked.set()
        # A cancellation that hits the closing would leave the connection open. The HTTP library
        # protects its closing after an error from a scope, and not from a task's cancellation; of
        # the other closings httpx tells by this field.
        if not self._response.is_closed:
            self._stopping.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give what has come since the last time.

        Raises:
            httpx.RequestError: The connection broke.
        """
        reader: asyncio.Task[Any] | None = None
        now = asyncio.get_running_loop().time
        reads, size, next_read = 0, 0, 0.0
        while True:
            if (task := asyncio.current_task()) is not reader and task is not None:
                reader = task
                task.add_done_callback(self._reader_ended)
            if self.paced and reads > _AT_ONCE and size < _MUCH and (wait := next_read - now()) > 0:
                await asyncio.sleep(wait)
            self._asked.set()
            await self._news.wait()
            self._news.clear()
            if self._received:
                reads, size, next_read = reads + 1, self._held, now() + _APART
                received, self._received, self._held = self._received, [], 0
                yield received[0] if len(received) == 1 else b"".join(received)
            if self._task.done() and not self._received:
                if not self._task.cancelled():
                    self._task.result()
                return

    async def _read(self) -> None:
        try:
            with self._stopping:
                async for received in self._response.aiter_bytes():
                    self._received.append(received)
                    self._held += len(received)
                    self._news.set()
                    if self._held > self._ahead and not self._stopped:
                        self._asked.clear()
                        await self._asked.wait()
                    if self._stopped:
                        break
        finally:
            await self._response.aclose()

    def _reader_ended(self, task: "asyncio.Task[Any]") -> None:
        """Stop when a task that read from here has failed: it will not read on.

        A server whose own clean-up fails when its client has gone may leave the stream behind
        unclosed, held by the traceback.
        """
        if task.cancelled() or task.exception() is not None:
            self.stop()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        _kept.discard(task)
        if not task.cancelled():
            task.exception()  # asyncio complains of one that nobody looked at
        self._news.set()
