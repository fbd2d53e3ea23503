"""Observers of the requests to NIMs: a log, and OpenTelemetry where that is installed.

What a caller asked or a NIM answered is never recorded, and neither is a key.
"""

from collections.abc import Mapping
from typing import Any

from ..transport.request_record import RequestRecord
from .request_log import REQUEST_LOG

try:
    from opentelemetry.metrics import get_meter_provider
    from opentelemetry.trace import get_tracer_provider

    from . import metrics, tracing
except ImportError:  # OpenTelemetry's API is not installed, or too old
    TELEMETRY = False
else:
    TELEMETRY = True

# Where the API's own providers are, which record nothing.
_API = ("opentelemetry.trace", "opentelemetry.metrics")


def observe(record: RequestRecord, body: Mapping[str, Any]) -> None:
    """Attach the observers that record anything to a request.

    Args:
        record: Of a request that is about to be sent.
        body: As the NIM takes it.
    """
    observers = record.observers
    observers.append(REQUEST_LOG)
    if TELEMETRY:
        if not type(tracers := get_tracer_provider()).__module__.startswith(_API):
            observers.append(tracing.start_span(tracers, record, body))
        if not type(meters := get_meter_provider()).__module__.startswith(_API):
            observers.append(metrics.instruments_of(meters))
