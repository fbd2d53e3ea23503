"""One small tree of errors, and what each status of a NIM becomes in it.

::

    NIMError                            any failure on the way to or from a NIM
    ├── InvalidRequestError             400, 413, 422    also a ValueError
    │   └── ModelNotFoundError          404              the NIM does not serve that model
    │       └── ModelWithdrawnError     404, 410         it did, or does so for other accounts
    ├── AuthenticationError             401              no key, or a key that is refused
    ├── PermissionDeniedError           402, 403         also a PermissionError
    ├── RateLimitError                  429
    ├── NIMTimeoutError                 504              also a TimeoutError
    ├── NIMConnectionError              502              also a ConnectionError
    └── ServerError                     5xx, or an answer that cannot be read

Servers of Llama Stack up to 0.4 choose the HTTP status by the base class, later ones also
by ``status_code``: each class has both, and they agree.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import httpx
import openai

from .error_bodies import message_in, request_id_of, status_in, without_secrets
from .failures import connection_text, timeout_text


class NIMError(Exception):
    """A failure on the way to or from a NIM.

    Attributes:
        message: What happened and what to do about it. Never holds a key.
        status_code: The HTTP status that a server should answer with.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        request_id: The NIM's own id of the request, for its operator.
        field: The request field at fault, as the caller wrote it.
    """

    default_status: ClassVar[int] = 500
    # Subclass to raise in place of a class, which the installed stack's server knows as well.
    _raised_as: ClassVar[dict[type["NIMError"], type["NIMError"]]] = {}

    def __new__(cls, *_: object, **__: object) -> "NIMError":
        """Make the subclass that ``also_as`` set, where it did."""
        return super().__new__(NIMError._raised_as.get(cls, cls))

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        model: str | None = None,
        endpoint: str | None = None,
        request_id: str | None = None,
        field: str | None = None,
    ) -> None:
        self.message = message
        self.status_code = status_code or self.default_status
        self.model = model
        self.endpoint = endpoint
        self.request_id = request_id
        self.field = field
        # Not super(): a class of the stack may stand between, with other arguments.
        Exception.__init__(self, message)

    @classmethod
    def also_as(cls, base: type[Exception]) -> None:
        """Let every error of this class be one of ``base`` too, from now on.

        A server of Llama Stack chooses some HTTP statuses by classes of its own.
        """
        names = {"__doc__": cls.__doc__, "__module__": cls.__module__}
        NIMError._raised_as[cls] = type(cls.__name__, (cls, base), names)

    def __str__(self) -> str:
        where = [
            f"{name} {value}"
            for name, value in (
                ("model", self.model),
                ("endpoint", self.endpoint),
                ("request id", self.request_id),
            )
            if value
        ]
        return f"{self.message} ({', '.join(where)})" if where else self.message


class InvalidRequestError(NIMError, ValueError):
    """The request cannot be carried out as it is: found before sending, or refused by the NIM."""

    default_status = 400


class ModelNotFoundError(InvalidRequestError):
    """The NIM does not serve that model, or not to this account."""

    default_status = 404


class ModelWithdrawnError(ModelNotFoundError):
    """The model may be listed, but cannot be called: withdrawn, or not given to the account."""

    default_status = 404


class AuthenticationError(NIMError):
    """No key where one is needed, or a key that is refused."""

    default_status = 401


class PermissionDeniedError(NIMError, PermissionError):
    """The key is known but may not do this, or its credits are used up."""

    default_status = 403


class RateLimitError(NIMError):
    """The NIM wants fewer requests."""

    default_status = 429


class NIMTimeoutError(NIMError, TimeoutError):
    """The NIM did not answer in time."""

    default_status = 504


class NIMConnectionError(NIMError, ConnectionError):
    """The NIM could not be reached, or the connection broke."""

    default_status = 502


class ServerError(NIMError):
    """The NIM failed, or sent what cannot be read."""

    default_status = 502


def invalid(field: str, problem: str) -> InvalidRequestError:
    """Make the error for a request field that cannot be used as it is.

    Args:
        field: Path of the field as the caller wrote it, such as ``messages[0].content``.
        problem: What is wrong and the way out.
    """
    return InvalidRequestError(f"{field}: {problem}", field=field)


def malformed(problem: str, *, endpoint: str | None = None) -> ServerError:
    """Make the error for an answer that is not what the NIM's API defines.

    Args:
        problem: What is wrong with it, as a sentence.
        endpoint: Address of the NIM, where ``translated`` does not fill it in.
    """
    return ServerError(
        f"{problem} Try again; if it happens again, `llama-stack-nvidia doctor` tells whether "
        "a NIM answers there.",
        endpoint=endpoint,
    )


class _Rule(NamedTuple):
    """What an error status means; the first rule that fits counts."""

    statuses: range
    kind: type[NIMError]
    remedy: str = ""
    says: str = ""
    status: int | None = None
    sent_key: bool | None = None


def _only(status: int) -> range:
    return range(status, status + 1)


# The texts are those that users of the hosted catalogue report (2026-10).
_RULES = (
    _Rule(
        range(300, 400),
        ServerError,
        "The address leads elsewhere, and a key is sent nowhere but to the configured one: set "
        "`url` to where it leads.",
        status=502,
    ),
    _Rule(
        _only(404),
        ModelWithdrawnError,
        "The model may be listed, but this account cannot call it: it was withdrawn, or never "
        "given to the account. Choose another.",
        says=r"not found for account",
    ),
    _Rule(
        _only(404),
        ModelNotFoundError,
        "Check the model's name: `llama-stack-nvidia models` lists what the NIM serves. If it "
        "lists nothing, check the address.",
    ),
    _Rule(_only(410), ModelWithdrawnError, "The model has been withdrawn: choose another."),
    _Rule(
        range(400, 600),
        ServerError,
        "The model is out of order at NVIDIA, whatever the request: try again later, or choose "
        "another.",
        says=r"\bDEGRADED\b",
        status=503,
    ),
    _Rule(
        _only(401),
        AuthenticationError,
        "The NIM refuses the API key that was sent: check that it is whole and still valid.",
        sent_key=True,
    ),
    _Rule(
        _only(401),
        AuthenticationError,
        "The NIM wants an API key: set api_key in run.yaml or NVIDIA_API_KEY, or send "
        "nvidia_api_key in the provider data.",
    ),
    _Rule(
        _only(402),
        PermissionDeniedError,
        "The account's credits are used up: add some, or use the key of another account.",
    ),
    _Rule(
        _only(403),
        PermissionDeniedError,
        "The NIM refuses this API key: check that it is valid and may use this model.",
    ),
    _Rule(
        _only(429),
        RateLimitError,
        "The NIM wants fewer requests: wait, or lower the load.",
    ),
    _Rule(_only(408), NIMTimeoutError, "The NIM gave up waiting: try again.", status=504),
    _Rule(_only(504), NIMTimeoutError, "The model may be starting: try again later."),
    _Rule(
        range(400, 500),
        InvalidRequestError,
        "Send a shorter prompt, or ask for fewer tokens (max_tokens).",
        # Of embeddings the text says more: see ``nim.retrieval.embeddings.located``.
        says=r"^(?!.*embedding).*(context length|context window|max_model_len|prompt is too long)",
    ),
    _Rule(
        _only(413),
        InvalidRequestError,
        "The request is too large: send less text, or smaller images.",
    ),
    _Rule(
        range(400, 500),
        InvalidRequestError,
        "The NIM does not take this request: change what it names.",
    ),
    _Rule(
        range(500, 600),
        ServerError,
        "The NIM is overloaded: try again, or lower the load.",
        says=r"ResourceExhausted|overloaded",
    ),
    _Rule(
        _only(503),
        ServerError,
        "The NIM is starting or overloaded: `llama-stack-nvidia doctor` tells whether it is ready.",
    ),
    _Rule(
        range(500, 600),
        ServerError,
        "The NIM failed: try again, and if it fails again, look for the reason in its log.",
    ),
)


def _rule(status: int, said: str, sent_key: bool | None) -> _Rule:
    for rule in _RULES:
        if (
            status in rule.statuses
            and rule.sent_key in (None, sent_key)
            and (not rule.says or re.search(rule.says, said, re.IGNORECASE))
        ):
            return rule
    return _Rule(_only(status), ServerError)


def from_status(
    status: int,
    body: object,
    *,
    model: str | None = None,
    endpoint: str | None = None,
    request_id: str | None = None,
    sent_key: bool | None = None,
) -> NIMError:
    """Make the error for an answer with an HTTP error status, or an error event in a stream.

    Args:
        status: HTTP status; an error event in a stream carries it as ``code``.
        body: The decoded JSON body, or its text.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        request_id: The NIM's own id of the request.
        sent_key: Whether the request carried a key, if that is known.
    """
    said = message_in(body)
    rule = _rule(status, said, sent_key)
    parts = [f"NIM answered {status}" + (f": {said}" if said else " and gave no reason")]
    if rule.remedy:
        parts.append(rule.remedy)
    text = " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)
    return rule.kind(
        text,
        status_code=rule.status or status,
        model=model,
        endpoint=endpoint,
        request_id=request_id,
    )


def from_report(body: object, *, model: str | None = None, endpoint: str | None = None) -> NIMError:
    """Make the error for an error report in the place of an answer, or in a stream.

    Args:
        body: The decoded JSON; its ``code`` or ``status`` counts, else it is a 500.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
    """
    return from_status(status_in(body), body, model=model, endpoint=endpoint)


def _blot(error: NIMError, response: httpx.Response) -> None:
    """Take out of an error's text what the request proved itself by, should the NIM quote it."""
    with contextlib.suppress(RuntimeError):  # one that was made by hand has no request
        headers = response.request.headers
        error.message = without_secrets(error.message, headers)
        error.args = (error.message,)
        if error.request_id:
            error.request_id = without_secrets(error.request_id, headers)


@contextlib.contextmanager
def translated(
    model: str | None, endpoint: str, response: httpx.Response | None = None
) -> Iterator[None]:
    """Turn what the SDK and the HTTP library raise into errors of this module.

    Args:
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        response: The response being read, if there is one yet.
    """
    request_id = request_id_of(response.headers) if response is not None else None
    # From None: the texts say it all, and a server that draws each traceback of a chain with its
    # source lines is busy for seconds, answering nobody.
    try:
        yield
    except NIMError as error:
        error.model = error.model or model
        error.endpoint = error.endpoint or endpoint
        error.request_id = error.request_id or request_id
        if response is not None:
            _blot(error, response)
        raise
    except openai.APIStatusError as error:
        refusal = from_status(
            error.status_code,
            error.response.content,
            model=model,
            endpoint=endpoint,
            request_id=request_id_of(error.response.headers),
            sent_key="authorization" in error.response.request.headers,
        )
        _blot(refusal, error.response)  # type: ignore[arg-type, unused-ignore]
        raise refusal from None
    except (openai.APITimeoutError, httpx.TimeoutException) as error:
        failure: NIMError = NIMTimeoutError(timeout_text(error.__cause__ or error))
    except (openai.APIConnectionError, httpx.RequestError) as error:
        failure = NIMConnectionError(connection_text(error.__cause__ or error))
    except openai.APIError as error:  # an error event in a stream that the SDK reads
        failure = from_report(error.body or str(error))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:  # so is this, and no bad request
        failure = malformed(f"The NIM's answer cannot be read: {error}.")
    else:
        return
    failure.model, failure.endpoint, failure.request_id = model, endpoint, request_id
    raise failure from None
