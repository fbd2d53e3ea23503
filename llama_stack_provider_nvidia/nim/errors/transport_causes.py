"""Rows of the table of errors for time limits and connections."""

from . import types
from .cause import Cause, When

TRANSPORT_CAUSES = (
    # Time limits.
    Cause(
        "gateway_timeout",
        "A gateway got no response from the NIM in time (504)",
        types.NIMTimeoutError,
        "The model may be starting: try again later.",
        retried=True,
    ),
    Cause(
        "request_timeout",
        "The NIM did not receive the request in time (408)",
        types.NIMTimeoutError,
        "Try again. If it happens often, check the network and the proxies in between.",
        retried=True,
    ),
    Cause(
        "hosted_result_timeout",
        "The hosted catalogue accepted the request (202), and no response came",
        types.NIMTimeoutError,
        "Raise `timeout` in run.yaml, or try again when the hosted model has started.",
    ),
    Cause(
        "connect_timeout",
        "The connection could not be established in time",
        types.NIMTimeoutError,
        "Check the address, the network and its firewalls with `llama-stack-nvidia doctor`, or "
        "raise `connect_timeout` in run.yaml.",
        retried=True,
    ),
    Cause(
        "pool_exhausted",
        "All connections to the NIM are in use",
        types.NIMTimeoutError,
        "Raise `network.limits` in run.yaml, or lower the load.",
    ),
    Cause(
        "response_timeout",
        "The NIM sends nothing for `timeout` seconds",
        types.NIMTimeoutError,
        "Raise `timeout` in run.yaml if the NIM needs longer. It may still be at work on the "
        "request, so it is not sent again.",
        when=When.BOTH,
    ),
    Cause(
        "first_token_timeout",
        "The stream does not begin within `first_token_timeout`",
        types.NIMTimeoutError,
        "Raise `first_token_timeout` in run.yaml, or lower the load of the NIM.",
        whole=False,
    ),
    Cause(
        "token_timeout",
        "The stream pauses longer than `token_timeout`",
        types.NIMTimeoutError,
        "Raise `token_timeout` in run.yaml, or check whether the NIM is stuck.",
        when=When.LATER,
        whole=False,
    ),
    Cause(
        "total_timeout",
        "The response takes longer than `total_timeout`",
        types.NIMTimeoutError,
        "Raise `total_timeout` in run.yaml, or ask for fewer tokens.",
        when=When.BOTH,
    ),
    # The connection.
    Cause(
        "connection_failed",
        "The connection is refused: the NIM is down, or `url` is wrong",
        types.NIMConnectionError,
        "Check the address and that the NIM is up: `llama-stack-nvidia doctor`.",
        retried=True,
    ),
    Cause(
        "dns_failed",
        "The host name could not be resolved (DNS)",
        types.NIMConnectionError,
        "Check `url` in run.yaml, and in a container its DNS.",
        retried=True,
    ),
    Cause(
        "tls_certificate_rejected",
        "TLS certificate verification failed",
        types.NIMConnectionError,
        "Set `network.tls.verify` in run.yaml to the file of the CA certificate that issued the "
        "NIM's certificate.",
        page="configuration.md#tls",
    ),
    Cause(
        "tls_failed",
        "The TLS handshake failed: one side speaks TLS and the other does not",
        types.NIMConnectionError,
        "Check that `url` in run.yaml begins with http:// or https:// as the NIM speaks it.",
        retried=True,
    ),
    Cause(
        "connection_lost",
        "The connection broke before the response was complete",
        types.NIMConnectionError,
        "Send the request again. If it breaks again, look in the NIM's log whether it has crashed, "
        "and check the proxies in between.",
        when=When.BOTH,
        retried=True,
    ),
    Cause(
        "response_cut_off",
        "A stream ended properly in the middle of the response",
        types.NIMConnectionError,
        "Send the request again; what came is not the whole response. If it ends there again, look "
        "at the NIM's log, and at the proxies in between.",
        when=When.LATER,
        whole=False,
    ),
)
