"""An OpenTelemetry span for each request to a NIM, and its context in the request's headers."""

from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

from ..._version import __version__
from ..json_types import JSONObject
from ..transport.request_record import Outcome, RequestRecord
from . import semconv

# Numbers and words that say nothing of the prompt. A stop sequence might.
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "dimensions": "gen_ai.embeddings.dimension.count",
}

_tracers: list[tuple[object, Tracer]] = []


def start_span(
    provider: TracerProvider, record: RequestRecord, body: Mapping[str, Any]
) -> "RequestSpan":
    """Start the span of a request.

    Args:
        provider: It records spans.
        record: Gets the headers to send, and the span as the current one while it is sent.
        body: As the NIM takes it.
    """
    span = _tracer(provider).start_span(
        f"{semconv.operation_name(record)} {record.model or ''}".rstrip(),
        kind=SpanKind.CLIENT,
        attributes=semconv.request_attributes(record) | _parameters(record, body),
    )
    propagate.inject(record.headers, trace.set_span_in_context(span))
    record.sending = trace.use_span(
        span, end_on_exit=False, record_exception=False, set_status_on_exception=False
    )
    return RequestSpan(span)


def _tracer(provider: TracerProvider) -> Tracer:
    """Return the tracer of the provider, which may have been set, or replaced, just now."""
    if not _tracers or _tracers[0][0] is not provider:
        _tracers[:] = [(provider, provider.get_tracer(semconv.SCOPE, __version__))]
    return _tracers[0][1]


def _parameters(record: RequestRecord, body: Mapping[str, Any]) -> JSONObject:
    found: JSONObject = {}
    for fields in (body.get("nvext"), body):
        if isinstance(fields, Mapping):
            for field, name in _PARAMETERS.items():
                if isinstance(value := fields.get(field), int | float):
                    found[name] = value
    if isinstance(number := body.get("n"), int) and number != 1:
        found["gen_ai.request.choice.count"] = number
    if isinstance(encoding := body.get("encoding_format"), str):
        found["gen_ai.request.encoding_formats"] = [encoding]
    if record.streamed:
        found["gen_ai.request.stream"] = True
    return found


class RequestSpan:
    """The span of one request."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def on_end(self, record: RequestRecord) -> None:
        """Complete the span and end it."""
        span = self._span
        if span.is_recording():
            span.set_attributes(_of_response(record))
            if record.outcome is Outcome.FAILED:
                span.set_status(StatusCode.ERROR)
        span.end()


def _of_response(record: RequestRecord) -> JSONObject:
    read, written = record.tokens
    found = {
        "gen_ai.response.id": record.response_id,
        "gen_ai.response.finish_reasons": record.finish_reasons or None,
        "gen_ai.response.time_to_first_chunk": record.first_s,
        "gen_ai.usage.input_tokens": read,
        "gen_ai.usage.output_tokens": written,
        "http.response.status_code": record.status,
        "http.request.resend_count": record.attempts - 1 if record.attempts > 1 else None,
        "nvidia.nim.request_id": record.request_id,
        "nvidia.nim.error_code": record.error_code,
        "nvidia.nim.dialect": None if record.dialect is None else str(record.dialect),
        **semconv.response_attributes(record),
    }
    return {name: value for name, value in found.items() if value is not None}
