"""HTTP statuses and texts that each release's server makes of an error: pure data.

Read in their sources, and checked by ``tests/matrix/test_error_table.py`` on each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors.cause import Cause

Known = Sequence[tuple[type[errors.NIMError], int | None]]
"""Statuses by class; the first class that fits counts, and None is what the error carries."""


class OwnClient(StrEnum):
    """The error that a client makes of an event in a stream."""

    RAISES = "raises `APIError`"
    FIELD = "gives a chunk with a field `error`, and raises nothing"


@dataclass(frozen=True)
class Server:
    """How a range of releases answers.

    Attributes:
        releases: Their range, as people write it.
        group: The column of the page that they share with others.
        known: What the server knows of our classes.
        carried: Other errors have the status that they carry, else 500.
        refuses_streams: A stream that fails before its first event has a status. Others have
            status 200, and the error is their only event.
        hides_late: In the middle of a stream, errors with a 5xx status have no text.
        event: What an error event is like.
        own_client: What the release's own client makes of an error event.
    """

    releases: str
    group: str
    known: Known
    carried: bool = True
    refuses_streams: bool = True
    hides_late: bool = False
    event: str = '{"error": {"message": "...", "code": "502"}}'
    own_client: OwnClient = OwnClient.RAISES

    def hides(self, cause: Cause, *, late: bool) -> bool:
        """Tell whether a client gets the server's words in the place of the error's text.

        Args:
            cause: Why the request fails.
            late: The stream has begun.
        """
        if not self.carried and self._known(cause) is None:
            return True
        return late and self.hides_late and (self.status(cause) or 0) >= 500

    def status(self, cause: Cause) -> int | None:
        """The HTTP status that a client sees, None where there is no error."""
        if cause.kind is None:
            return None
        known = self._known(cause)
        if known is None and not self.carried:
            return 500
        return (known and known[1]) or cause.own_status

    def _known(self, cause: Cause) -> tuple[type[errors.NIMError], int | None] | None:
        kind = cause.kind
        return next((one for one in self.known if kind and issubclass(kind, one[0])), None)


_BY_CLASS: Known = (
    (errors.InvalidRequestError, 400),
    (errors.AuthenticationError, 401),
    (errors.PermissionDeniedError, 403),
    (errors.NIMTimeoutError, 504),
)
_NOT_FOUND: Known = ((errors.ModelNotFoundError, 404), *_BY_CLASS)
_UNREACHABLE: Known = (*_NOT_FOUND, (errors.NIMConnectionError, 502))
_GONE: Known = ((errors.ModelNotFoundError, None), *_UNREACHABLE)
_TEXT = '{"error": {"message": "502: ..."}}'

SERVERS = (
    Server(
        releases="0.2.12 to 0.2.17",
        group="0.2",
        known=_BY_CLASS,
        carried=False,
        refuses_streams=False,
        event=_TEXT,
        own_client=OwnClient.FIELD,
    ),
    Server(
        releases="0.2.18 to 0.2.20",
        group="0.2",
        known=_NOT_FOUND,
        carried=False,
        refuses_streams=False,
        event=_TEXT,
        own_client=OwnClient.FIELD,
    ),
    Server(
        releases="0.2.21 to 0.2.24",
        group="0.2",
        known=_UNREACHABLE,
        carried=False,
        refuses_streams=False,
        event=_TEXT,
        own_client=OwnClient.FIELD,
    ),
    Server(
        releases="0.3 and 0.4",
        group="0.3, 0.4",
        known=_UNREACHABLE,
        refuses_streams=False,
        event=_TEXT,
        own_client=OwnClient.FIELD,
    ),
    Server(
        releases="0.5",
        group="0.5 to 0.7",
        known=_UNREACHABLE,
        event='{"error": {"message": "...", "status_code": 502}}',
        own_client=OwnClient.FIELD,
    ),
    Server(releases="0.6", group="0.5 to 0.7", known=_GONE, own_client=OwnClient.FIELD),
    Server(releases="0.7", group="0.5 to 0.7", known=_GONE),
    Server(releases="OGX 1.0", group="OGX", known=_GONE),
    Server(
        releases="OGX 1.5",
        group="OGX",
        known=_GONE,
        hides_late=True,
        own_client=OwnClient.FIELD,
    ),
)
