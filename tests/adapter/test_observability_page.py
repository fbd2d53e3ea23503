"""docs/observability.md says what is recorded."""

import re
from pathlib import Path
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.telemetry.request_log import fields_of
from llama_stack_provider_nvidia.nim.transport.request_record import RequestRecord
from nim_emulator import EmulatorServer

from .observed import Log
from .test_request_log import CHAT, MODEL, SOON, adapter_for, openai, openai_stream
from .test_request_log import log as log
from .test_request_log import retriever as retriever
from .test_telemetry import DURATION, EMBEDDER, FIRST, TOKENS, Telemetry
from .test_telemetry import telemetry as telemetry

PAGE = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()


def rows(heading: str) -> list[str]:
    section = PAGE.split(f"# {heading}\n")[1].split("\n#")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def masked(line: str) -> str:
    """A line without what differs from one run to the next."""
    line = re.sub(r"http://[\w.:]+/v1", "URL", line)
    line = re.sub(r"\d+\.\d+ s\b", "SECONDS", line)
    line = re.sub(r"\d+ (prompt|completion) tokens", r"\1 tokens", line)
    return re.sub(r"request id [\w-]+", "request id", line)


async def test_the_lines_are_such(nim: EmulatorServer, log: Log) -> None:
    async with adapter_for(nim, max_retries=2) as adapter:
        await openai_stream(adapter)
        refusal: dict[str, Any] = {"path": CHAT, "status": 429, "headers": SOON}
        nim.script([{**refusal, "headers": {**SOON, "x-request-id": "id"}}] * 3)
        with pytest.raises(errors.RateLimitError):
            await openai(adapter)
    (block,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    made = [masked(record.getMessage()) for record in log.records]
    assert made == [masked(line) for line in block.splitlines()]
    assert MODEL in made[0]


def test_the_fields_of_a_record_are_in_the_table() -> None:
    named = [row.split("`")[1] for row in rows("The log")]
    assert named == list(fields_of(RequestRecord()))


async def test_the_attributes_of_spans_are_in_the_table(
    nim: EmulatorServer, retriever: EmulatorServer, telemetry: Telemetry
) -> None:
    settings = {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "max_tokens": 5, "seed": 1, "n": 2}
    settings |= {"frequency_penalty": 0.1, "presence_penalty": 0.1, "model": MODEL}
    async with adapter_for(nim, max_retries=1) as adapter:
        await openai_stream(adapter)
        nim.script([{"path": CHAT, "status": 429, "headers": SOON}] * 2)
        messages = [{"role": "user", "content": "Hi"}]
        with pytest.raises(errors.RateLimitError):
            await adapter.openai_chat_completion(messages=messages, **settings)
    async with adapter_for(retriever) as adapter:
        await adapter.openai_embeddings(model=EMBEDDER, input=["a"])
        body = {"model": EMBEDDER, "dimensions": 7, "messages": []}
        with pytest.raises(errors.NIMError):
            await adapter.endpoint.send(await adapter.endpoint.plan(body), key=None)
    named: set[str] = set()
    for row in rows("Spans"):
        first = ""
        for name in re.findall(r"`([\w.]+)`", row.split("|")[1]):
            first = name.rpartition(".")[0] if not name.startswith(".") else first
            if name == ".choice.count":
                first = "gen_ai.request"
            named.add(name if not name.startswith(".") else first + name)
    assert named == {name for span in telemetry.spans for name in span.attributes}


async def test_the_metrics_are_in_the_table(nim: EmulatorServer, telemetry: Telemetry) -> None:
    async with adapter_for(nim) as adapter:
        await openai_stream(adapter)
    assert [row.split("`")[1] for row in rows("Metrics")] == [DURATION, FIRST, TOKENS]
    common = PAGE.split("Each has the attributes")[1].split(". ")[0]
    (point,) = telemetry.points(DURATION)
    assert set(re.findall(r"`([\w.]+)`", common)) == set(point.attributes)
