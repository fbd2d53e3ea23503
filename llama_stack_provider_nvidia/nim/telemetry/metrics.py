"""OpenTelemetry metrics of the requests to NIMs."""

import inspect

from opentelemetry.metrics import Meter, MeterProvider

from ..._version import __version__
from ..transport.request_record import RequestRecord
from . import semconv

# The bounds are those that the conventions advise.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))

if (
    "explicit_bucket_boundaries_advisory"
    not in inspect.signature(Meter.create_histogram).parameters
):
    raise ImportError("opentelemetry-api before 1.30 takes no advice on buckets")

_made: list[tuple[object, "RequestMetrics"]] = []


def instruments_of(provider: MeterProvider) -> "RequestMetrics":
    """Return the instruments of a meter provider, which may have been set or replaced just now."""
    if not _made or _made[0][0] is not provider:
        _made[:] = [(provider, RequestMetrics(provider))]
    return _made[0][1]


class RequestMetrics:
    """The instruments of one meter provider."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(semconv.SCOPE, __version__)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time to receive the first chunk of a stream, from the request on.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    def on_end(self, record: RequestRecord) -> None:
        """Record what has been measured of a request."""
        attributes = semconv.request_attributes(record) | semconv.response_attributes(record)
        self._duration.record(record.duration_s or 0.0, attributes)
        attributes.pop("error.type", None)
        if record.first_s is not None:
            self._first.record(record.first_s, attributes)
        for kind, count in zip(("input", "output"), record.tokens, strict=True):
            if count is not None:
                self._tokens.record(count, attributes | {"gen_ai.token.type": kind})
