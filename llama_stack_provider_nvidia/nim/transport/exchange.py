"""One request to a NIM, from the moment it is made to its end, whoever ends it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import httpx
import msgspec

from .. import error_bodies, errors
from ..dialect import Dialect
from .timing import Clock, TimeLimits

logger = logging.getLogger(__name__)


class Operation(StrEnum):
    """What a NIM is asked to do."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    """With a whole answer, and one that can be used."""
    FAILED = "failed"
    LEFT = "left"
    """Whoever asked went away before the end."""


class Observer(Protocol):
    """Who is told that a request has ended."""

    def ended(self, exchange: "Exchange") -> None:
        """Take note of how it went. Whoever asked waits meanwhile."""


class _Head(msgspec.Struct, gc=False):
    """What stands around the choices of an answer, or of a chunk of one."""

    id: object = None
    model: object = None
    usage: object = None


_decoder = msgspec.json.Decoder(_Head)

# All that has a path of its own; reranking has several.
_OPERATIONS = {
    "/chat/completions": Operation.CHAT,
    "/completions": Operation.COMPLETION,
    "/embeddings": Operation.EMBEDDINGS,
}


def operation_of(path: str) -> Operation:
    """Tell what a path below the endpoint, or a full URL, is for."""
    return _OPERATIONS.get(path, Operation.RERANK)


class Exchange:
    """A request and what became of it. It travels with the response; see ``exchange_of``.

    Attributes:
        operation: What the NIM is asked to do.
        model: The NIM's id of the model.
        endpoint: Where it goes: the NIM's address, or the full URL of a model's own route.
        dialect: How the NIM wants its requests, None if that is not known.
        streamed: Whether the answer is to come as a stream.
        clock: Runs since the request was made.
        headers: To be sent along.
        sending: Entered while the request is sent.
        observers: Are told of the end.
        tries: How often it was sent.
        status: The HTTP status of the NIM's last answer, None if there was none.
        is_read: Somebody reads the streamed answer, and will call ``finish``.
        first_s: Seconds until the first event of a stream.
        duration_s: Seconds until the end, once that has come.
        finish_reasons: The NIM's own, in the order of the choices.
        outcome: How it ended, None before.
        error: Name of the class of the error that ended it.
    """

    def __init__(
        self,
        operation: Operation = Operation.CHAT,
        *,
        model: str | None = None,
        endpoint: str = "",
        dialect: Dialect | None = None,
        streamed: bool = False,
        limits: TimeLimits | None = None,
    ) -> None:
        """The request has just come.

        Args:
            operation: What the NIM is asked to do.
            model: The NIM's id of the model.
            endpoint: Where it goes.
            dialect: How the NIM wants its requests.
            streamed: Whether the answer is to come as a stream.
            limits: Of the time that the answer may take.
        """
        self.operation = operation
        self.model = model
        self.endpoint = endpoint
        self.dialect = dialect
        self.streamed = streamed
        self.clock = Clock(limits or TimeLimits())
        self.headers: dict[str, str] = {}
        self.sending: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self.observers: list[Observer] = []
        self.tries = 0
        self.status: int | None = None
        self.is_read = False
        self.first_s: float | None = None
        self.duration_s: float | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.outcome: Outcome | None = None
        self.error: str | None = None
        self._usage: object = None
        self._is_complete = False
        self._left = False
        self._headers: Mapping[str, str] = {}
        self._request_id: str | None = None
        self._data = b""
        self._head: _Head | None = None

    def tried(self, response: httpx.Response | None) -> None:
        """It was sent, and this came back, or nothing."""
        self.tries += 1
        self.status = None if response is None else response.status_code
        if response is not None:
            self._headers = response.headers

    def settled(self, response: httpx.Response) -> None:
        """This is the response to be read: the last that came, or one that was waited for."""
        if response.headers is not self._headers:
            # The id under which the NIM took it on goes before that of the question for it.
            self._request_id = error_bodies.request_id_of(self._headers)
            self.status, self._headers = response.status_code, response.headers
        response.extensions["exchange"] = self

    def begun(self, data: bytes) -> None:
        """The first event of the stream has come, with this data."""
        self.first_s = time.monotonic() - self.clock.started
        self._data = data

    def answered(
        self,
        *,
        usage: object = None,
        finish_reasons: Sequence[str | None] = (),
        is_complete: bool = True,
        data: bytes | None = None,
    ) -> None:
        """What has been read of the answer.

        Args:
            usage: Counts of tokens, as attributes or as entries.
            finish_reasons: In the order of the choices.
            is_complete: Each choice has come to its end.
            data: The whole answer, to look for what is around the choices.
        """
        self._usage = usage
        self.finish_reasons = tuple(reason for reason in finish_reasons if reason)
        self._is_complete = is_complete
        if data is not None:
            self._data = data

    def note(self, error: BaseException) -> None:
        """It will end by this error: keep what is to be told of it, and not the error."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._left = True
            return
        self.error = type(error).__name__
        if isinstance(error, errors.NIMError) and error.request_id:
            self._request_id = error.request_id

    def finish(self, error: BaseException | None = None) -> None:
        """It has ended. Only the first call counts."""
        if self.outcome is not None:
            return
        if error is not None:
            self.note(error)
        if self.error is not None:
            self.outcome = Outcome.FAILED
        else:
            # A reader need not ask again once it has the end of the answer.
            self.outcome = Outcome.LEFT if self._left and not self._is_complete else Outcome.OK
        self.duration_s = time.monotonic() - self.clock.started
        for observer in self.observers:
            try:
                observer.ended(self)
            except Exception:  # an exporter's failure is none of the request's
                logger.exception("A request could not be recorded.")

    def let_go(self) -> None:
        """The response is closed: that is the end if nobody has read it."""
        if not self.is_read:
            self._left = True
            self.finish()

    @property
    def request_id(self) -> str | None:
        """The NIM's own id of the request: of its headers, or else of the answer."""
        return (
            self._request_id or error_bodies.request_id_of(self._headers) or self.answer_id or None
        )

    @property
    def answer_id(self) -> str | None:
        """The ``id`` in the answer."""
        given = self._read_head().id
        return given if isinstance(given, str) else None

    @property
    def answer_model(self) -> str | None:
        """The ``model`` in the answer."""
        given = self._read_head().model
        return given if isinstance(given, str) else None

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Tokens that the NIM read and that it generated, None where it did not count them."""
        usage = self._usage
        if usage is None and not self.streamed:
            usage = self._read_head().usage
        read, written, both = (
            usage.get(name) if isinstance(usage, dict) else getattr(usage, name, None)
            for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        )
        if self.operation in (Operation.EMBEDDINGS, Operation.RERANK):
            return _count(read) or _count(both), None
        # Answers in the SDK's classes have zeros where the NIM sent no counts.
        return (_count(read), _count(written)) if read or written else (None, None)

    def _read_head(self) -> _Head:
        if self._head is None:
            self._head = _Head()
            if not self._data:
                return self._head
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._head = _decoder.decode(self._data)
        return self._head


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def exchange_of(response: httpx.Response) -> Exchange:
    """Give the exchange that a response is of; one that nobody observes if it has none."""
    found = response.extensions.get("exchange")
    if not isinstance(found, Exchange):
        found = response.extensions["exchange"] = Exchange()
    return found
