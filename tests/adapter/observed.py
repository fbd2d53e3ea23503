"""The observations of requests to a NIM: the log's records, spans and metrics."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llama_stack_provider_nvidia.nim.telemetry.request_log import LOGGER


class Log:
    """The records of requests that a test has caused."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def records(self) -> list[logging.LogRecord]:
        return [record for record in self._caplog.records if record.name == LOGGER]

    def only(self) -> dict[str, Any]:
        """The one record: its fields without their prefix, its level and its text."""
        (record,) = self.records
        return fields(record)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    own = {
        name.removeprefix("nim_"): value
        for name, value in vars(record).items()
        if name.startswith("nim_")
    }
    return {**own, "level": record.levelname, "text": record.getMessage()}


class Telemetry:
    """The records of an OpenTelemetry SDK."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider(metric_readers=[self._reader])

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def only(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    def points(self, name: str) -> list[Any]:
        """The data points of a metric, none if it was not recorded."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@contextlib.contextmanager
def telemetry_of_this_process() -> Iterator[Telemetry]:
    """Set both providers, and take them away again: the API lets them be set only once."""
    made = Telemetry()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "_TRACER_PROVIDER", made.tracers)
        patch.setattr(metrics._internal, "_METER_PROVIDER", made.meters)
        yield made
    made.tracers.shutdown()
    made.meters.shutdown()
