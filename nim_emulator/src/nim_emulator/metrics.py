"""Prometheus metrics of the chats and completions, under the names that the engines use."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from .record import RecordedRequest

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
CACHE_TOKENS = 131_072
"""Tokens of running requests that fill the emulated KV cache."""
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms' buckets in seconds: the emulator's own."""


@dataclass(frozen=True, kw_only=True)
class MetricNames:
    """The names of an engine's metrics, None for those that it does not have.

    Attributes:
        running: Requests that are being generated for (gauge).
        waiting: Requests that wait (gauge); always 0, because the emulator has no queue.
        cache: Share of the KV cache that is used, from 0 to 1 (gauge).
        prompt: Tokens of prompts (counter).
        generated: Tokens of responses (counter).
        ttft: Time to the first token in seconds (histogram).
        duration: Time to the end of the response in seconds (histogram).
        label: The label that holds the model's id.
        constant: Further labels.
    """

    running: str
    waiting: str
    cache: str | None
    prompt: str | None
    generated: str
    ttft: str
    duration: str
    label: str = "model_name"
    constant: Mapping[str, str] = field(default_factory=dict)


NIM1 = MetricNames(
    running="num_requests_running",
    waiting="num_requests_waiting",
    cache="gpu_cache_usage_perc",
    prompt="prompt_tokens_total",
    generated="generation_tokens_total",
    ttft="time_to_first_token_seconds",
    duration="e2e_request_latency_seconds",
)
"""NIM 1.x: NVIDIA's page "Observability for NVIDIA NIM for LLMs", read in November 2026."""

VLLM = MetricNames(
    running="vllm:num_requests_running",
    waiting="vllm:num_requests_waiting",
    cache="vllm:kv_cache_usage_perc",
    prompt="vllm:prompt_tokens_total",
    generated="vllm:generation_tokens_total",
    ttft="vllm:time_to_first_token_seconds",
    duration="vllm:e2e_request_latency_seconds",
    constant={"engine": "0"},
)
"""vLLM, and NIM 2.x with it: tests/engine compares them with a running one."""

SGLANG = MetricNames(
    running="sglang:num_running_reqs",
    waiting="sglang:num_queue_reqs",
    cache="sglang:token_usage",
    prompt="sglang:prompt_tokens_total",
    generated="sglang:generation_tokens_total",
    ttft="sglang:time_to_first_token_seconds",
    duration="sglang:e2e_request_latency_seconds",
)
"""SGLang's page "Production Metrics", read in November 2026. The engine alone serves them if it
was started with ``--enable-metrics``; that a NIM starts it so is an inference."""

DYNAMO = MetricNames(
    running="dynamo_frontend_inflight_requests",
    waiting="dynamo_frontend_queued_requests",
    cache=None,  # The workers have it, each under its engine's name.
    prompt=None,
    generated="dynamo_frontend_output_tokens_total",
    ttft="dynamo_frontend_time_to_first_token_seconds",
    duration="dynamo_frontend_request_duration_seconds",
    label="model",
)
"""Dynamo's front end: tests/engine compares them with a running one."""


class _Histogram:
    """Counts of seconds by bucket; the last one has no upper bound."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Yield suffix, labels and value of each sample."""
        for bound, count in zip((*BUCKETS, inf), accumulate(self._counts), strict=True):
            yield "_bucket", {"le": "+Inf" if bound == inf else str(bound)}, count
        yield "_sum", {}, self._sum
        yield "_count", {}, sum(self._counts)


@dataclass(slots=True)
class _Totals:
    """The counts of a model; all but the prompts are of requests that are over."""

    prompt: int = 0
    generated: int = 0
    ttft: _Histogram = field(default_factory=_Histogram)
    duration: _Histogram = field(default_factory=_Histogram)


class Metrics:
    """The numbers of one emulator.

    A request is counted from its start on; its record says how far it is.
    """

    def __init__(self, names: MetricNames, models: Iterable[str]) -> None:
        self._names = names
        self._totals = {model: _Totals() for model in models}
        self._running: list[tuple[str, int, RecordedRequest]] = []

    def started(self, model: str, prompt: int, record: RecordedRequest) -> None:
        """Count a request.

        Args:
            model: Its model.
            prompt: Tokens of its prompt.
            record: Where its progress is noted.
        """
        self._settle()
        totals = self._totals.setdefault(model, _Totals())
        totals.prompt += prompt
        self._running.append((model, prompt, record))

    def _settle(self) -> None:
        """Add the requests that are over to the totals."""
        running = []
        for model, prompt, record in self._running:
            over = record.ended_at or record.disconnected_at
            if over is None:
                running.append((model, prompt, record))
                continue
            totals = self._totals[model]
            totals.generated += record.tokens_sent
            totals.duration.add(over - record.received_at)
            if record.first_token_at is not None:
                totals.ttft.add(record.first_token_at - record.received_at)
        self._running = running

    def text(self) -> str:
        """Return all metrics in Prometheus' text format."""
        self._settle()
        names = self._names
        found: dict[tuple[str, str | None], list[str]] = {}

        def put(kind: str, name: str | None, model: str, value: float) -> None:
            if name is not None:
                found.setdefault((kind, name), []).append(self._sample(name, model, value))

        for model, totals in self._totals.items():
            own = [(prompt, record) for name, prompt, record in self._running if name == model]
            sent = sum(record.tokens_sent for _, record in own)
            cached = sent + sum(prompt for prompt, _ in own)
            put("gauge", names.running, model, len(own))
            put("gauge", names.waiting, model, 0)
            put("gauge", names.cache, model, min(1.0, cached / CACHE_TOKENS))
            put("counter", names.prompt, model, totals.prompt)
            put("counter", names.generated, model, totals.generated + sent)
            for name, histogram in (
                (names.ttft, totals.ttft),
                (names.duration, totals.duration),
            ):
                found.setdefault(("histogram", name), []).extend(
                    self._sample(f"{name}{suffix}", model, value, **labels)
                    for suffix, labels, value in histogram.samples()
                )
        lines = [
            line
            for (kind, name), samples in found.items()
            for line in (f"# TYPE {name} {kind}", *samples)
        ]
        return "".join(f"{line}\n" for line in lines)

    def _sample(self, name: str, model: str, value: float, **more: str) -> str:
        labels = {**self._names.constant, self._names.label: model, **more}
        text = ",".join(f'{label}="{_escaped(content)}"' for label, content in labels.items())
        return f"{name}{{{text}}} {float(value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
