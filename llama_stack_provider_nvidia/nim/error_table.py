"""What can go wrong with a request, and what to do about each: the table of docs/errors.md.

A row is a cause that users can tell from others by the error's class and by a part of its text.
``tests/matrix/test_error_table.py`` brings each of them about on a real server.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from . import errors


class When(StrEnum):
    """How far a stream has come when it fails."""

    FIRST = "before the first event"
    LATER = "in the middle"
    BOTH = "before the first event, or in the middle"
    NEVER = "no streams"


@dataclass(frozen=True)
class Cause:
    """A cause of failure.

    Attributes:
        name: What it is called in tests and links.
        title: What has happened.
        kind: The class of the error; None where there is none.
        says: A regular expression that only this cause's texts match, plain words as far as can
            be: what people search for.
        remedy: What to do.
        status: HTTP status that the error carries, if it is not the one of its class.
        whole: It can befall an answer that is no stream.
        when: How far a stream has come when it befalls one.
        retried: The request is sent again before the caller hears of it, unless some of the answer
            has come.
    """

    name: str
    title: str
    kind: type[errors.NIMError] | None
    says: str
    remedy: str
    status: int | None = None
    whole: bool = True
    when: When = When.FIRST
    retried: bool = False

    @property
    def own_status(self) -> int | None:
        """The HTTP status that the error carries."""
        return self.status or (self.kind.default_status if self.kind else None)


CAUSES = (
    Cause(
        "bad-field",
        "A field of the request is wrong",
        errors.InvalidRequestError,
        r"^[\w.\[\]]+: (?!a NIM of dialect)",
        "The text begins with the field: change it. Nothing was sent.",
    ),
    Cause(
        "unsupported",
        "This NIM cannot do what a field asks for",
        errors.InvalidRequestError,
        r"a NIM of dialect \S+ has no ",
        "Leave the field out, or use a NIM that can: [Which NIM](nim.md). If the NIM is not what "
        "the text says, set `dialect`.",
    ),
    Cause(
        "refused-field",
        "The NIM refuses a field",
        errors.InvalidRequestError,
        r"does not take this request",
        "Change what the NIM names.",
        status=422,
    ),
    Cause(
        "long-prompt",
        "The prompt and the tokens asked for are longer than the model's context",
        errors.InvalidRequestError,
        r"Send a shorter prompt",
        "Send a shorter prompt, or a lower `max_tokens`.",
    ),
    Cause(
        "large-request",
        "The request has too many bytes, often of images",
        errors.InvalidRequestError,
        r"request is too large",
        "Send less text or smaller images; a proxy before the NIM may have the limit.",
        status=413,
    ),
    Cause(
        "key-text",
        "The key that the request brings cannot be one",
        errors.InvalidRequestError,
        r"^provider data nvidia_api_key: ",
        "Send the key alone, without spaces or line ends: [Keys and tenants](keys.md).",
    ),
    Cause(
        "unknown-model",
        "The NIM has no such model",
        errors.ModelNotFoundError,
        r"Check the model's name",
        "`llama-stack-nvidia models` lists what the NIM serves: register one of these.",
    ),
    Cause(
        "nobody-s-model",
        "None of several NIMs serves the model",
        errors.ModelNotFoundError,
        r"None of the configured NIMs serves",
        "The text lists what they serve: use one of these, or add the NIM to `endpoints`.",
    ),
    Cause(
        "not-for-account",
        "The model is listed, but not for this account",
        errors.ModelWithdrawnError,
        r"this account cannot call it",
        "Choose another model, or the key of an account that has it.",
    ),
    Cause(
        "withdrawn",
        "NVIDIA has withdrawn the model",
        errors.ModelWithdrawnError,
        r"has been withdrawn",
        "Choose another model.",
        status=410,
    ),
    Cause(
        "no-key",
        "There is no key, and the NIM wants one",
        errors.AuthenticationError,
        r"wants an API key",
        "Set `api_key` or `NVIDIA_API_KEY`, or send one with the request: "
        "[Keys and tenants](keys.md).",
    ),
    Cause(
        "wrong-key",
        "The key is wrong or has expired",
        errors.AuthenticationError,
        r"refuses the API key that was sent",
        "Check that the key is whole and valid, and is the one for this NIM.",
    ),
    Cause(
        "forbidden",
        "The key is known and may not do this",
        errors.PermissionDeniedError,
        r"refuses this API key",
        "Ask the account's owner for the right, or choose another model or key.",
    ),
    Cause(
        "no-credits",
        "The account has no credits left",
        errors.PermissionDeniedError,
        r"credits are used up",
        "Add credits, or use the key of another account.",
        status=402,
    ),
    Cause(
        "rate-limit",
        "The NIM wants fewer requests",
        errors.RateLimitError,
        r"wants fewer requests",
        "Wait, or set `requests_per_minute` to what the account may send.",
        retried=True,
    ),
    Cause(
        "own-limit",
        "The limits of this server let no more requests through",
        errors.RateLimitError,
        r"for its turn",
        "Wait, or raise `max_concurrent_requests` or `requests_per_minute`.",
    ),
    Cause(
        "not-ready",
        "The NIM is starting",
        errors.ServerError,
        r"starting or overloaded",
        "Wait until `llama-stack-nvidia doctor` says that it is ready: a large model takes minutes "
        "to load.",
        status=503,
        retried=True,
    ),
    Cause(
        "overloaded",
        "The NIM has more requests than it can take",
        errors.ServerError,
        r"The NIM is overloaded",
        "Try again, or set `max_concurrent_requests`.",
        status=503,
        retried=True,
    ),
    Cause(
        "degraded",
        "A model of the hosted catalogue is out of order",
        errors.ServerError,
        r"out of order at NVIDIA",
        "Try again later, or choose another model.",
        status=503,
    ),
    Cause(
        "failed",
        "The NIM has failed (500; a 502 is tried again)",
        errors.ServerError,
        r"The NIM failed",
        "Try again; if it fails again, look for the request id in the NIM's log.",
        status=500,
        when=When.BOTH,
    ),
    Cause(
        "gateway-timeout",
        "A gateway has waited for the NIM in vain (504)",
        errors.NIMTimeoutError,
        r"may be starting",
        "The model may be starting: try again later.",
        retried=True,
    ),
    Cause(
        "never-ready",
        "The hosted catalogue has taken the request (202), and no answer has come",
        errors.NIMTimeoutError,
        r"hosted model was not ready",
        "Raise `timeout`, or try again later.",
    ),
    Cause(
        "refused",
        "Nothing listens at the address: the NIM is down",
        errors.NIMConnectionError,
        r"Check the address and that the NIM is up",
        "Start the NIM, or correct `url`; `llama-stack-nvidia doctor` tells what it finds.",
        retried=True,
    ),
    Cause(
        "dns",
        "The host's name is not known",
        errors.NIMConnectionError,
        r"Nobody knows a host of that name",
        "Correct `url`. In a container, check its DNS.",
        retried=True,
    ),
    Cause(
        "certificate",
        "The NIM's certificate is not trusted",
        errors.NIMConnectionError,
        r"certificate does not prove",
        "Set `network.tls.verify` to the file of the authority that issued it: "
        "[Configuration](configuration.md#tls).",
    ),
    Cause(
        "tls",
        "One side speaks TLS and the other does not",
        errors.NIMConnectionError,
        r"TLS failed",
        "Write the scheme in `url` as the NIM speaks it: http:// or https://.",
        retried=True,
    ),
    Cause(
        "connect-timeout",
        "No connection comes about",
        errors.NIMTimeoutError,
        r"No connection to the NIM came about in time",
        "Check the network and its firewalls, or raise `connect_timeout`.",
        retried=True,
    ),
    Cause(
        "silence",
        "The NIM sends nothing for `timeout` seconds",
        errors.NIMTimeoutError,
        r"did not answer in time",
        "Raise `timeout`. The NIM may still be at work on the request, so it is not sent again.",
        when=When.BOTH,
    ),
    Cause(
        "first-token",
        "The stream does not begin within `first_token_timeout`",
        errors.NIMTimeoutError,
        r"has not begun after",
        "Raise it, or lower the load of the NIM.",
        whole=False,
    ),
    Cause(
        "pause",
        "The stream pauses longer than `token_timeout`",
        errors.NIMTimeoutError,
        r"has paused for",
        "Raise it, or look whether the NIM is stuck.",
        when=When.LATER,
        whole=False,
    ),
    Cause(
        "total",
        "The answer takes longer than `total_timeout`",
        errors.NIMTimeoutError,
        r"is not complete after",
        "Raise it, or ask for fewer tokens.",
        when=When.BOTH,
    ),
    Cause(
        "broken",
        "The connection breaks before the answer is complete",
        errors.NIMConnectionError,
        r"if it breaks again",
        "Send the request again. Look in the NIM's log whether it has crashed, and at the proxies "
        "between.",
        when=When.BOTH,
        retried=True,
    ),
    Cause(
        "cut",
        "A stream ends properly in the middle of the answer",
        errors.NIMConnectionError,
        r"ended in the middle of the answer",
        "As above. What came before is not the whole answer.",
        when=When.LATER,
        whole=False,
    ),
    Cause(
        "oversized",
        "One event of a stream is larger than 32 MiB",
        errors.ServerError,
        r"an event of more than|an answer of more than|a stream of more than",
        "Look at the proxies between: no NIM sends so much at once. A whole answer may have "
        "256 MiB, a stream 1 GiB.",
        when=When.LATER,
        whole=False,
    ),
    Cause(
        "malformed",
        "The answer is not what a NIM sends: no JSON, no choices, a wrong type",
        errors.ServerError,
        r"tells whether a NIM answers there",
        "Check that `url` leads to a NIM and not to another service. The text quotes the answer or "
        "names the field: [What counts as an answer](nim.md#what-counts-as-an-answer).",
        when=When.BOTH,
    ),
    Cause(
        "redirect",
        "The address leads to another one",
        errors.ServerError,
        r"The address leads elsewhere",
        "Set `url` to where it leads: a key is sent to no other address.",
    ),
    Cause(
        "does-not-fit",
        "The answer does not fit the schema, regex or choice that was asked for",
        errors.ServerError,
        r"did not enforce|was cut by max_tokens",
        "Raise `max_tokens` if the answer was cut, or use a NIM that enforces it: "
        "[Structured output](structured-output.md).",
        when=When.LATER,
    ),
    Cause(
        "no-number",
        "A vector holds NaN, Infinity or null",
        errors.ServerError,
        r"is not all finite numbers",
        "Send the inputs one by one to find the one that the model fails on; look at the NIM's "
        "log.",
        when=When.NEVER,
    ),
    Cause(
        "caller-left",
        "The caller goes away in the middle of a stream",
        None,
        "",
        "Nothing: the NIM is told to stop. A whole answer is written to its end.",
        when=When.LATER,
        whole=False,
    ),
)


def cause_of(error: errors.NIMError) -> Cause | None:
    """Find the row of an error, None if it is in none: then its text has to do."""
    for cause in CAUSES:
        # Instances may be of a subclass of the same name: see ``NIMError.also_as``.
        if (
            cause.kind is not None
            and cause.kind.__name__ == type(error).__name__
            and re.search(cause.says, error.message)
        ):
            return cause
    return None
