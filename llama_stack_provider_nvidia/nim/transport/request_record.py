"""Request record: facts about one request, its response and its outcome, for telemetry."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import httpx
import msgspec

from .. import errors
from ..dialect import Dialect
from ..errors.body import request_id_of
from ..errors.redact import redact, secrets_in
from ..json_types import UNREADABLE
from .deadlines import NO_LIMITS, Deadlines, TimeLimits

logger = logging.getLogger(__name__)


class Operation(StrEnum):
    """Operation of a request."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"


class Outcome(StrEnum):
    """Outcome of a request."""

    OK = "ok"
    """With a whole, usable response."""
    FAILED = "failed"
    LEFT = "left"
    """Whoever asked went away before the end."""


class Observer(Protocol):
    """Observer of a request's end."""

    def on_end(self, record: "RequestRecord") -> None:
        """Take note of how it went. Whoever asked waits meanwhile."""


class _Envelope(msgspec.Struct, gc=False):
    """Fields around the choices of a response, or of a chunk of one."""

    id: object = None
    model: object = None
    usage: object = None


_decoder = msgspec.json.Decoder(_Envelope)
# Of an id, a model's name or a finish reason in records and spans.
_LONGEST_TEXT = 256
# Finish reasons that need no redaction.
_USUAL_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})

# All that has a path of its own; reranking has several.
_OPERATIONS = {
    "/chat/completions": Operation.CHAT,
    "/completions": Operation.COMPLETION,
    "/embeddings": Operation.EMBEDDINGS,
}


def operation_of(path: str) -> Operation:
    """Return what a path below the endpoint, or a full URL, is for."""
    return _OPERATIONS.get(path, Operation.RERANK)


class RequestRecord:
    """A request and what became of it. It travels with the response; see ``record_of``.

    Attributes:
        operation: What the NIM is asked to do.
        model: The NIM's id of the model.
        endpoint: Where it goes: the NIM's address, or the full URL of a model's own route.
        dialect: How the NIM wants its requests, None if that is not known.
        streamed: Whether the response is to come as a stream.
        started: When the request was made, by ``time.monotonic``.
        deadlines: Of the response; None where no limit is set.
        headers: To be sent along.
        sending: Entered while the request is sent; None for nothing.
        observers: Notified of the end.
        attempts: How often it was sent.
        status: The HTTP status of the NIM's last response, None if there was none.
        has_reader: Somebody reads the streamed response, and will call ``finish``.
        first_s: Seconds until the first event of a stream.
        duration_s: Seconds until the end, once that has come.
        finish_reasons: The NIM's own, in the order of the choices.
        outcome: How it ended, None before.
        error: Name of the class of the error that ended it.
        error_code: The code of a ``NIMError`` that ended it.
    """

    def __init__(
        self,
        operation: Operation = Operation.CHAT,
        *,
        model: str | None = None,
        endpoint: str = "",
        dialect: Dialect | None = None,
        streamed: bool = False,
        limits: TimeLimits = NO_LIMITS,
    ) -> None:
        """Start the record of a request.

        Args:
            operation: What the NIM is asked to do.
            model: The NIM's id of the model.
            endpoint: Where it goes.
            dialect: How the NIM wants its requests.
            streamed: Whether the response is to come as a stream.
            limits: Of the time that the response may take.
        """
        self.operation = operation
        self.model = model
        self.endpoint = endpoint
        self.dialect = dialect
        self.streamed = streamed
        self.started = time.monotonic()
        self.deadlines = None if limits == NO_LIMITS else Deadlines(limits, self.started)
        self.headers: dict[str, str] = {}
        self.sending: contextlib.AbstractContextManager[Any] | None = None
        self.observers: list[Observer] = []
        self.attempts = 0
        self.status: int | None = None
        self.has_reader = False
        self.first_s: float | None = None
        self.duration_s: float | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.outcome: Outcome | None = None
        self.error: str | None = None
        self.error_code: str | None = None
        self._sent: Mapping[str, str] = {}
        self._usage: object = None
        self._is_complete = False
        self._left = False
        self._headers: Mapping[str, str] = {}
        self._request_id: str | None = None
        self._data = b""
        self._envelope: _Envelope | None = None

    def add_attempt(self, response: httpx.Response | None) -> None:
        """Count an attempt.

        Args:
            response: What came back, None for nothing.
        """
        self.attempts += 1
        self.status = None if response is None else response.status_code
        if response is not None:
            self._headers = response.headers
            self._sent = _sent_headers(response)

    def set_final_response(self, response: httpx.Response) -> None:
        """Tie the record to the response to be read: the last attempt's, or one polled for."""
        if _sent_headers(response) is not self._sent:
            # The id under which the NIM took it on goes before that of the question for it.
            self._request_id = request_id_of(self._headers, self._secrets)
            self.status, self._headers = response.status_code, response.headers
        response.extensions["request_record"] = self

    def within_deadlines(self, batches: AsyncIterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
        """Return a stream's batches of events, held to the deadlines where there are any.

        Raises:
            NIMTimeoutError: When they are read, and do not come in time; the text names the
                setting.
        """
        return batches if self.deadlines is None else self.deadlines.enforce(batches)

    def first_event(self, data: bytes) -> None:
        """Note the time and the data of the stream's first event."""
        self.first_s = time.monotonic() - self.started
        self._data = data

    def set_result(
        self,
        *,
        usage: object = None,
        finish_reasons: Sequence[str | None] = (),
        is_complete: bool = True,
        data: bytes | None = None,
    ) -> None:
        """Note what has been read of the response.

        Args:
            usage: Counts of tokens, as attributes or as entries.
            finish_reasons: In the order of the choices.
            is_complete: Each choice has come to its end.
            data: The whole body, to look for what is around the choices.
        """
        self._usage = usage
        self.finish_reasons = tuple(self._shown(reason) for reason in finish_reasons if reason)
        self._is_complete = is_complete
        if data is not None:
            self._data = data

    def set_error(self, error: BaseException) -> None:
        """Note the error that the request will end by: what is to be told of it, not itself."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._left = True
            return
        self.error = type(error).__name__
        if isinstance(error, errors.NIMError):
            self.error_code = error.code
            self._request_id = error.request_id or self._request_id

    def finish(self, error: BaseException | None = None) -> None:
        """End the request, and notify the observers. Only the first call counts."""
        if self.outcome is not None:
            return
        if error is not None:
            self.set_error(error)
        if self.error is not None:
            self.outcome = Outcome.FAILED
        else:
            # A reader need not ask again once it has the end of the response.
            self.outcome = Outcome.LEFT if self._left and not self._is_complete else Outcome.OK
        self.duration_s = time.monotonic() - self.started
        for observer in self.observers:
            try:
                observer.on_end(self)
            except Exception:  # an exporter's failure is none of the request's
                logger.exception("A request could not be recorded.")

    def on_close(self) -> None:
        """Note that the response is closed: that is the end if nobody has read it."""
        if not self.has_reader:
            self._left = True
            self.finish()

    @property
    def request_id(self) -> str | None:
        """The NIM's own id of the request: of its headers, or else of the body."""
        return (
            self._request_id
            or request_id_of(self._headers, self._secrets)
            or self.response_id
            or None
        )

    @property
    def response_id(self) -> str | None:
        """The ``id`` in the response."""
        given = self._read_envelope().id
        return self._shown(given) if isinstance(given, str) else None

    @property
    def response_model(self) -> str | None:
        """The ``model`` in the response."""
        given = self._read_envelope().model
        return self._shown(given) if isinstance(given, str) else None

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Tokens that the NIM read and that it generated, None where it did not count them."""
        usage = self._usage
        if usage is None and not self.streamed:
            usage = self._read_envelope().usage
        read, written, both = (
            usage.get(name) if isinstance(usage, dict) else getattr(usage, name, None)
            for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        )
        if self.operation in (Operation.EMBEDDINGS, Operation.RERANK):
            return _count(read) or _count(both), None
        # Responses in the SDK's classes have zeros where the NIM sent no counts.
        return (_count(read), _count(written)) if read or written else (None, None)

    @functools.cached_property
    def _secrets(self) -> tuple[str, ...]:
        return secrets_in(self._sent)

    def _shown(self, text: str) -> str:
        """Redact the credentials of the request from what the NIM says, and cut it."""
        if text in _USUAL_REASONS:
            return text
        return redact(text, self._secrets, limit=_LONGEST_TEXT)

    def _read_envelope(self) -> _Envelope:
        if self._envelope is None:
            self._envelope = _Envelope()
            if not self._data:
                return self._envelope
            with contextlib.suppress(*UNREADABLE):
                self._envelope = _decoder.decode(self._data)
        return self._envelope


Observe = Callable[[RequestRecord, Mapping[str, Any]], None]
"""Is called with a request that is about to be sent, and its body as the NIM takes it."""


def _sent_headers(response: httpx.Response) -> Mapping[str, str]:
    try:
        return response.request.headers
    except RuntimeError:  # one that was made by hand has no request
        return {}


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def record_of(response: httpx.Response) -> RequestRecord:
    """Return the record of a response's request; one without observers if it has none."""
    found = response.extensions.get("request_record")
    if not isinstance(found, RequestRecord):
        found = response.extensions["request_record"] = RequestRecord()
    return found
