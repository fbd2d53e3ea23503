"""Who observes the requests to NIMs: a log, and OpenTelemetry where that is installed.

What a caller asked or a NIM answered is never recorded, and neither is a key.
"""

from collections.abc import Mapping
from typing import Any

from ..transport.exchange import Exchange
from .log import REQUEST_LOG

try:
    from . import metrics, tracing
except ImportError:  # OpenTelemetry's API is not installed, or too old
    TELEMETRY = False
else:
    TELEMETRY = True


def begin(exchange: Exchange, body: Mapping[str, Any]) -> None:
    """Let those know of a request who want to.

    Args:
        exchange: It is about to be sent.
        body: As the NIM takes it.
    """
    exchange.observers.append(REQUEST_LOG)
    if TELEMETRY:
        for begun in (tracing.begun(exchange, body), metrics.begun(exchange)):
            if begun is not None:
                exchange.observers.append(begun)
