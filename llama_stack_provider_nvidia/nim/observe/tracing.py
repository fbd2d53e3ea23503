"""A span of OpenTelemetry for each request to a NIM, and its context in the request's headers."""

from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from ... import __version__
from ..transport.exchange import Exchange, Outcome
from . import genai

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


def begun(exchange: Exchange, body: Mapping[str, Any]) -> "RequestSpan | None":
    """Start the span of a request; None where nobody traces.

    Args:
        exchange: Gets the headers to send, and the span as the current one while it is sent.
        body: As the NIM takes it.
    """
    provider = trace.get_tracer_provider()
    if not genai.records(provider):
        return None
    span = _tracer(provider).start_span(
        f"{genai.operation_name(exchange)} {exchange.model or ''}".rstrip(),
        kind=SpanKind.CLIENT,
        attributes=genai.known_before(exchange) | _parameters(exchange, body),
    )
    propagate.inject(exchange.headers, trace.set_span_in_context(span))
    exchange.sending = trace.use_span(
        span, end_on_exit=False, record_exception=False, set_status_on_exception=False
    )
    return RequestSpan(span)


def _tracer(provider: trace.TracerProvider) -> Tracer:
    """Give the tracer of the provider, which may have been set, or replaced, just now."""
    if not _tracers or _tracers[0][0] is not provider:
        _tracers[:] = [(provider, provider.get_tracer(genai.SCOPE, __version__))]
    return _tracers[0][1]


def _parameters(exchange: Exchange, body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for fields in (body.get("nvext"), body):
        if isinstance(fields, Mapping):
            for field, name in _PARAMETERS.items():
                if isinstance(value := fields.get(field), int | float):
                    found[name] = value
    if isinstance(number := body.get("n"), int) and number != 1:
        found["gen_ai.request.choice.count"] = number
    if isinstance(encoding := body.get("encoding_format"), str):
        found["gen_ai.request.encoding_formats"] = [encoding]
    if exchange.streamed:
        found["gen_ai.request.stream"] = True
    return found


class RequestSpan:
    """The span of one request."""

    def __init__(self, span: Span) -> None:
        """It has been started."""
        self._span = span

    def ended(self, exchange: Exchange) -> None:
        """Complete the span and end it."""
        span = self._span
        if span.is_recording():
            span.set_attributes(_of_answer(exchange))
            if exchange.outcome is Outcome.FAILED:
                span.set_status(StatusCode.ERROR)
        span.end()


def _of_answer(exchange: Exchange) -> dict[str, Any]:
    read, written = exchange.tokens
    found = {
        "gen_ai.response.id": exchange.answer_id,
        "gen_ai.response.finish_reasons": exchange.finish_reasons or None,
        "gen_ai.response.time_to_first_chunk": exchange.first_s,
        "gen_ai.usage.input_tokens": read,
        "gen_ai.usage.output_tokens": written,
        "http.response.status_code": exchange.status,
        "http.request.resend_count": exchange.tries - 1 if exchange.tries > 1 else None,
        "nvidia.nim.request_id": exchange.request_id,
        "nvidia.nim.dialect": None if exchange.dialect is None else str(exchange.dialect),
        **genai.known_after(exchange),
    }
    return {name: value for name, value in found.items() if value is not None}
