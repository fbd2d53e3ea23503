"""The tree of errors.

    NIMError                            any failure on the way to or from a NIM
    ├── InvalidRequestError             400, 413, 422    also a ValueError
    │   └── ModelNotFoundError          404              the NIM does not serve that model
    │       └── ModelWithdrawnError     404, 410         it did, or does so for other accounts
    ├── AuthenticationError             401              no key, or a key that is refused
    ├── PermissionDeniedError           402, 403         also a PermissionError
    ├── RateLimitError                  429
    ├── NIMTimeoutError                 504              also a TimeoutError
    ├── NIMConnectionError              502              also a ConnectionError
    └── ServerError                     5xx, or a response that cannot be read

Servers of Llama Stack up to 0.4 choose the HTTP status by the base class, later ones also
by ``status_code``: each class has both, and they agree. Which codes there are, and the class and
remedy of each, says ``troubleshooting``.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from .body import Reported
from .redact import LOOKAHEAD, printable, redact


class Quote(NamedTuple):
    """Text of a NIM's response, quoted in a message.

    Attributes:
        raw: All of it, as it came.
        limit: How many characters of it are shown, at most.
    """

    raw: str | bytes
    limit: int = 80

    def shown(self, secrets: Iterable[str] = ()) -> str:
        """Return what people get to see: printable, without credentials, and cut."""
        raw = self.raw
        # As Python writes bytes: what cannot be read often holds what cannot be shown.
        text = printable(raw) if isinstance(raw, str) else repr(raw[: self.limit + LOOKAHEAD])[2:-1]
        return redact(text, secrets, limit=self.limit)


class NIMError(Exception):
    """A failure on the way to or from a NIM.

    Attributes:
        message: What happened and what to do about it. Never holds a key.
        code: The cause, as a short stable word: a row of ``troubleshooting``.
        status_code: The HTTP status that a server should answer with.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        request_id: The NIM's own id of the request, for its operator.
        field: The request field at fault, as the caller wrote it.
        reported: What the NIM's own report says of the cause.
        openai_code: What OpenAI's API calls the cause, where it has another name for it.
        gave_reason: Whether the message quotes the NIM's response.
    """

    default_status: ClassVar[int] = 500
    default_code: ClassVar[str] = "nim_failed"
    openai_type: ClassVar[str] = "server_error"
    """The name that OpenAI's API has for this kind of error."""
    # Subclass to raise in place of a class, which the installed stack's server knows as well.
    _raised_as: ClassVar[dict[type["NIMError"], type["NIMError"]]] = {}

    def __new__(cls, *_: object, **__: object) -> "NIMError":
        """Return an instance of the subclass that ``also_as`` set, if any."""
        return super().__new__(NIMError._raised_as.get(cls, cls))

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status_code: int | None = None,
        model: str | None = None,
        endpoint: str | None = None,
        request_id: str | None = None,
        field: str | None = None,
        reported: Reported | None = None,
        openai_code: str | None = None,
        quote: Quote | None = None,
    ) -> None:
        """Code outside of ``nim.errors`` calls ``make``, which knows the table.

        Args:
            message: What happened and what to do; ``{quote}`` stands for the quote.
            code: See the class, and so for the rest.
            status_code: The default is that of the class.
            model: None where ``translated`` fills it in, and so for the next two.
            endpoint: See above.
            request_id: See above.
            field: None where no field is at fault.
            reported: None where the NIM reported nothing.
            openai_code: None where it is ``code``.
            quote: Of the NIM's response. It is kept until ``redact`` is told the request's keys.
        """
        self._template = self._quote = None
        self.gave_reason = quote is not None
        if quote is not None:
            self._template, self._quote = message, quote
            message = message.replace("{quote}", quote.shown())
        self.message = message
        self.code = code or self.default_code
        self.status_code = status_code or self.default_status
        self.model = model
        self.endpoint = endpoint
        self.request_id = request_id
        self.field = field
        self.reported = reported or Reported()
        self.openai_code = openai_code
        # Not super(): a class of the stack may stand between, with other arguments.
        Exception.__init__(self, self.message)

    @classmethod
    def also_as(cls, base: type[Exception]) -> None:
        """Let every error of this class be one of ``base`` too, from now on.

        A server of Llama Stack chooses some HTTP statuses by classes of its own.
        """
        names = {"__doc__": cls.__doc__, "__module__": cls.__module__}
        NIMError._raised_as[cls] = type(cls.__name__, (cls, base), names)

    @property
    def body(self) -> dict[str, Any]:
        """The error as OpenAI's API reports it: ``message``, ``type``, ``param`` and ``code``.

        What the NIM reported goes before our own words. The Responses API of Llama Stack from 0.7
        and of OGX takes its error's code and message from here (``extract_openai_error``), and OGX
        tells by the code that a conversation is too long.
        """
        reported = self.reported.redacted()
        return {
            "message": str(self),
            "type": reported.type or self.openai_type,
            "param": reported.param or self.field,
            "code": reported.code or self.openai_code or self.code,
        }

    def redact(self, secrets: Iterable[str]) -> None:
        """Redact the credentials of the request, should the NIM have quoted them."""
        secrets = tuple(secrets)
        if self._template is not None and self._quote is not None:
            plain = self._template.replace("{quote}", self._quote.shown())
            mended = self._template.replace("{quote}", self._quote.shown(secrets))
            self.message = self.message.replace(plain, mended)
        self._template = self._quote = None
        self.message = redact(self.message, secrets)
        self.args = (self.message,)
        self.request_id = self.request_id and redact(self.request_id, secrets)
        self.reported = self.reported.redacted(secrets)

    def __str__(self) -> str:
        where = [
            f"{name} {value}"
            for name, value in (
                ("code", self.code),
                ("model", self.model),
                ("endpoint", self.endpoint),
                ("request id", self.request_id),
            )
            if value
        ]
        text = f"{self.message} ({', '.join(where)})"
        # A caller's name of a model may hold half a character, which no server can send.
        return text.encode("utf-8", "backslashreplace").decode()


class InvalidRequestError(NIMError, ValueError):
    """The request cannot be carried out as it is: found before sending, or refused by the NIM."""

    default_status = 400
    default_code = "invalid_field"
    openai_type = "invalid_request_error"


class ModelNotFoundError(InvalidRequestError):
    """The NIM does not serve that model, or not to this account."""

    default_status = 404
    default_code = "model_not_found"


class ModelWithdrawnError(ModelNotFoundError):
    """The model may be listed, but cannot be called: withdrawn, or not given to the account."""

    default_status = 404
    default_code = "model_withdrawn"


class AuthenticationError(NIMError):
    """No key where one is needed, or a key that is refused."""

    default_status = 401
    default_code = "invalid_api_key"
    openai_type = "authentication_error"


class PermissionDeniedError(NIMError, PermissionError):
    """The key is known but may not do this, or its credits are used up."""

    default_status = 403
    default_code = "permission_denied"
    openai_type = "permission_error"


class RateLimitError(NIMError):
    """The NIM wants fewer requests."""

    default_status = 429
    default_code = "rate_limit_exceeded"
    openai_type = "rate_limit_error"


class NIMTimeoutError(NIMError, TimeoutError):
    """The NIM did not answer in time."""

    default_status = 504
    default_code = "response_timeout"


class NIMConnectionError(NIMError, ConnectionError):
    """The NIM could not be reached, or the connection broke."""

    default_status = 502
    default_code = "connection_lost"


class ServerError(NIMError):
    """The NIM failed, or sent what cannot be read."""

    default_status = 502
    default_code = "unreadable_response"
