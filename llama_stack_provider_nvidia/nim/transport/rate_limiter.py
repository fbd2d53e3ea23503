"""Limits of concurrency and of requests per minute, shared fairly between keys."""

import asyncio
import time
import weakref
from collections import OrderedDict, deque

from .. import errors

_MINUTE = 60.0


class RateLimiter:
    """Limits the requests to one endpoint.

    Each key has a queue of its own, and the queues are served in turn, so that one tenant's many
    requests do not keep out the few of another.
    """

    def __init__(self, *, concurrent: int | None = None, per_minute: int | None = None) -> None:
        """Set the limits.

        Args:
            concurrent: The most requests at the same time; None for any number.
            per_minute: The most attempts that start within 60 seconds; None for any number.
        """
        self._concurrent = concurrent
        self._per_minute = per_minute
        # Futures belong to a loop, and the library client of Llama Stack uses several in turn.
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Queues] = (
            weakref.WeakKeyDictionary()
        )

    async def acquire(self, key: str | None, seconds: float, endpoint: str) -> None:
        """Wait for a slot, and for the first attempt's turn; ``release`` must follow.

        Args:
            key: Whose queue to wait in.
            seconds: Longest wait.
            endpoint: For the error.

        Raises:
            RateLimitError: There was no slot in that time.
        """
        queues = self._of_loop()
        if not queues.start_now():
            await _granted(queues, queues.join(key), seconds, endpoint)

    async def acquire_attempt(self, seconds: float, endpoint: str) -> None:
        """Wait for the turn of a further attempt, which keeps the slot of the first.

        Further attempts count in requests per minute as first ones do, and go before them.

        Args:
            seconds: Longest wait.
            endpoint: For the error.

        Raises:
            RateLimitError: The turn did not come in that time.
        """
        queues = self._of_loop()
        if not queues.start_attempt_now():
            await _granted(queues, queues.join_attempts(), seconds, endpoint)

    def release(self) -> None:
        """Return the slot."""
        self._of_loop().release()

    async def drained(self, seconds: float) -> bool:
        """Return whether all slots are given back within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._of_loop().empty.wait()
        except TimeoutError:
            return False
        return True

    def _of_loop(self) -> "_Queues":
        loop = asyncio.get_running_loop()
        queues = self._queues.get(loop)
        if queues is None:
            queues = self._queues[loop] = _Queues(loop, self._concurrent, self._per_minute)
        return queues


async def _granted(queues: "_Queues", turn: "_Turn", seconds: float, endpoint: str) -> None:
    """Wait for a turn that was queued for."""
    try:
        async with asyncio.timeout(seconds):
            await turn.granted
    except TimeoutError:
        queues.give_up(turn)
        raise errors.make(
            "server_limit_exceeded",
            f"The request waited {seconds:g} seconds for its turn: this server's limits "
            "(max_concurrent_requests, requests_per_minute) let no more through.",
            endpoint=endpoint,
        ) from None
    except asyncio.CancelledError:
        queues.give_up(turn)
        raise


class _Turn:
    """A request, or a further attempt of one, that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, key: str | None, *, has_slot: bool) -> None:
        self.granted: asyncio.Future[None] = loop.create_future()
        self.key = key
        self.has_slot = has_slot


class _Queues:
    """The slots and queues of one event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, concurrent: int | None, per_minute: int | None
    ) -> None:
        self.empty = asyncio.Event()
        self.empty.set()
        # Not the loop itself: it is the key of a dictionary that is to forget it.
        self._loop = weakref.ref(loop)
        self._concurrent = concurrent
        self._per_minute = per_minute
        self._in_use = 0
        self._started: deque[float] = deque()
        self._attempts: deque[_Turn] = deque()
        self._by_key: OrderedDict[str | None, deque[_Turn]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def start_now(self) -> bool:
        if self._by_key or self._attempts or self._is_full() or self._wait() is not None:
            return False
        self._take_slot()
        self._count_attempt()
        return True

    def start_attempt_now(self) -> bool:
        if self._attempts or self._wait() is not None:
            return False
        self._count_attempt()
        return True

    def join(self, key: str | None) -> _Turn:
        turn = self._turn(key, has_slot=False)
        self._by_key.setdefault(key, deque()).append(turn)
        self._serve()
        return turn

    def join_attempts(self) -> _Turn:
        turn = self._turn(None, has_slot=True)
        self._attempts.append(turn)
        self._serve()
        return turn

    def _turn(self, key: str | None, *, has_slot: bool) -> _Turn:
        loop = self._loop()
        assert loop is not None, "it is running"
        return _Turn(loop, key, has_slot=has_slot)

    def give_up(self, turn: _Turn) -> None:
        """Leave the queue, or give back a slot that was granted in the moment of giving up."""
        if turn.granted.done() and not turn.granted.cancelled():
            if not turn.has_slot:
                self.release()
            return
        queue = self._attempts if turn.has_slot else self._by_key.get(turn.key)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue and not turn.has_slot:
                del self._by_key[turn.key]

    def release(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self.empty.set()
        self._serve()

    def _take_slot(self) -> None:
        self._in_use += 1
        self.empty.clear()

    def _count_attempt(self) -> None:
        if self._per_minute is not None:
            self._started.append(time.monotonic())

    def _is_full(self) -> bool:
        return self._concurrent is not None and self._in_use >= self._concurrent

    def _wait(self) -> float | None:
        """Seconds until a further attempt may start, None for now."""
        if self._per_minute is None:
            return None
        now = time.monotonic()
        while self._started and now - self._started[0] >= _MINUTE:
            self._started.popleft()
        if len(self._started) < self._per_minute:
            return None
        return max(self._started[0] + _MINUTE - now, 0.001)

    def _serve(self) -> None:
        """Grant as many turns as the limits allow, one key after the other."""
        while self._attempts or (self._by_key and not self._is_full()):
            wait = self._wait()
            if wait is not None:
                if self._timer is None and (loop := self._loop()) is not None:
                    self._timer = loop.call_later(wait, self._on_timer)
                return
            turn = self._next()
            if not turn.granted.done():
                if not turn.has_slot:
                    self._take_slot()
                self._count_attempt()
                turn.granted.set_result(None)

    def _next(self) -> _Turn:
        if self._attempts:
            return self._attempts.popleft()
        key, queue = self._by_key.popitem(last=False)
        turn = queue.popleft()
        if queue:
            self._by_key[key] = queue  # to the end: the other keys come first
        return turn

    def _on_timer(self) -> None:
        self._timer = None
        self._serve()
