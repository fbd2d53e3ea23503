"""How many requests a NIM gets at a time and per minute, with a fair queue for the rest."""

import asyncio
import time
import weakref
from collections import OrderedDict, deque

from .. import errors

_MINUTE = 60.0


class Gate:
    """Lets requests through to one endpoint.

    Each key waits in a line of its own, and the lines take turns, so that one tenant's many
    requests do not keep out the few of another.
    """

    def __init__(self, *, concurrent: int | None = None, per_minute: int | None = None) -> None:
        """Nobody is inside.

        Args:
            concurrent: The most requests at the same time; None for any number.
            per_minute: The most requests that start within 60 seconds; None for any number.
        """
        self._concurrent = concurrent
        self._per_minute = per_minute
        # Futures belong to a loop, and the library client of Llama Stack uses several in turn.
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = (
            weakref.WeakKeyDictionary()
        )

    async def enter(self, key: str | None, seconds: float, endpoint: str) -> None:
        """Wait for one's turn; ``leave`` must follow.

        Args:
            key: Whose line to stand in.
            seconds: Longest wait.
            endpoint: For the error.

        Raises:
            RateLimitError: The turn did not come in that time.
        """
        queue = self._queue()
        if not queue.enter_now():
            turn = queue.line_up(key)
            try:
                async with asyncio.timeout(seconds):
                    await turn
            except TimeoutError:
                queue.give_up(key, turn)
                raise errors.RateLimitError(
                    f"The request waited {seconds:g} seconds for its turn: this server's limits "
                    "(max_concurrent_requests, requests_per_minute) let no more through. Try again "
                    "later, or raise them in run.yaml.",
                    endpoint=endpoint,
                ) from None
            except asyncio.CancelledError:
                queue.give_up(key, turn)
                raise

    def leave(self) -> None:
        """Make room for the next."""
        self._queue().leave()

    async def drained(self, seconds: float) -> bool:
        """Wait until nobody is inside, and tell whether it came to that in time."""
        queue = self._queue()
        try:
            async with asyncio.timeout(seconds):
                await queue.empty.wait()
        except TimeoutError:
            return False
        return True

    def _queue(self) -> "_Queue":
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(loop, self._concurrent, self._per_minute)
        return queue


class _Queue:
    """The lines of one event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, concurrent: int | None, per_minute: int | None
    ) -> None:
        self.empty = asyncio.Event()
        self.empty.set()
        # Not the loop itself: it is the key of a dictionary that is to forget it.
        self._loop = weakref.ref(loop)
        self._concurrent = concurrent
        self._per_minute = per_minute
        self._inside = 0
        self._started: deque[float] = deque()
        self._lines: OrderedDict[str | None, deque[asyncio.Future[None]]] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None

    def enter_now(self) -> bool:
        if self._lines or self._wait() is not None:
            return False
        self._let_in()
        return True

    def line_up(self, key: str | None) -> "asyncio.Future[None]":
        loop = self._loop()
        assert loop is not None, "it is running"
        turn: asyncio.Future[None] = loop.create_future()
        self._lines.setdefault(key, deque()).append(turn)
        self._call()
        return turn

    def give_up(self, key: str | None, turn: "asyncio.Future[None]") -> None:
        """Leave the line, or the place that was given in the very moment of giving up."""
        if turn.done() and not turn.cancelled():
            self.leave()
            return
        line = self._lines.get(key)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._lines[key]

    def leave(self) -> None:
        self._inside -= 1
        if not self._inside:
            self.empty.set()
        self._call()

    def _let_in(self) -> None:
        self._inside += 1
        self.empty.clear()
        if self._per_minute is not None:
            self._started.append(time.monotonic())

    def _wait(self) -> float | None:
        """Seconds until the next may enter: 0 if somebody must leave first, None for now."""
        if self._concurrent is not None and self._inside >= self._concurrent:
            return 0.0
        if self._per_minute is not None:
            now = time.monotonic()
            while self._started and now - self._started[0] >= _MINUTE:
                self._started.popleft()
            if len(self._started) >= self._per_minute:
                return max(self._started[0] + _MINUTE - now, 0.001)
        return None

    def _call(self) -> None:
        """Call in as many as there is room for, a line at a time."""
        while self._lines:
            wait = self._wait()
            if wait is not None:
                if wait and self._alarm is None and (loop := self._loop()) is not None:
                    self._alarm = loop.call_later(wait, self._ring)
                return
            key, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[key] = line  # to the end: the other lines come first
            if not turn.done():
                self._let_in()
                turn.set_result(None)

    def _ring(self) -> None:
        self._alarm = None
        self._call()
