"""The record of a request, whose end is told once."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.errors import RateLimitError
from llama_stack_provider_nvidia.nim.responses.structs import Usage
from llama_stack_provider_nvidia.nim.telemetry.request_log import fields_of, text_of
from llama_stack_provider_nvidia.nim.transport.request_record import (
    Operation,
    Outcome,
    RequestRecord,
    operation_of,
)


class Counting:
    def __init__(self) -> None:
        self.seen: list[Outcome | None] = []

    def on_end(self, record: RequestRecord) -> None:
        self.seen.append(record.outcome)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/chat/completions", Operation.CHAT),
        ("/completions", Operation.COMPLETION),
        ("/embeddings", Operation.EMBEDDINGS),
        ("/ranking", Operation.RERANK),
        ("/rerank", Operation.RERANK),
        ("https://ai.api.nvidia.com/v1/retrieval/nvidia/reranking", Operation.RERANK),
    ],
)
def test_the_path_tells_what_is_asked(path: str, operation: Operation) -> None:
    assert operation_of(path) is operation


@pytest.mark.parametrize(
    ("error", "is_complete", "outcome"),
    [
        (None, True, Outcome.OK),
        (None, False, Outcome.OK),
        (RateLimitError("no"), True, Outcome.FAILED),
        (asyncio.CancelledError(), False, Outcome.LEFT),
        (GeneratorExit(), False, Outcome.LEFT),
        (GeneratorExit(), True, Outcome.OK),
    ],
)
def test_the_first_end_counts(
    error: BaseException | None, is_complete: bool, outcome: Outcome
) -> None:
    record, counting = RequestRecord(), Counting()
    record.observers.append(counting)
    record.set_result(is_complete=is_complete)
    record.finish(error)
    record.finish(RuntimeError())
    record.on_close()
    assert counting.seen == [outcome]
    assert record.error == ("RateLimitError" if outcome is Outcome.FAILED else None)


def test_an_error_s_id_goes_before_the_answer_s() -> None:
    record = RequestRecord()
    record.set_result(data=b'{"id": "of the answer"}')
    record.finish(RateLimitError("no", request_id="of the error"))
    assert (record.request_id, record.response_id) == ("of the error", "of the answer")


@pytest.mark.parametrize(
    ("operation", "usage", "tokens"),
    [
        (Operation.CHAT, Usage(prompt_tokens=3, completion_tokens=4), (3, 4)),
        (Operation.CHAT, {"prompt_tokens": 3, "completion_tokens": 0}, (3, 0)),
        (Operation.CHAT, {"prompt_tokens": 0, "completion_tokens": 0}, (None, None)),
        (Operation.CHAT, {"prompt_tokens": "3", "completion_tokens": -1}, (None, None)),
        (Operation.CHAT, None, (None, None)),
        (Operation.EMBEDDINGS, {"prompt_tokens": 3, "completion_tokens": 0}, (3, None)),
        (Operation.RERANK, {"total_tokens": 3}, (3, None)),
    ],
)
def test_the_counts_that_a_nim_sends(
    operation: Operation, usage: Any, tokens: tuple[int | None, int | None]
) -> None:
    record = RequestRecord(operation)
    record.set_result(usage=usage)
    assert record.tokens == tokens


def test_a_stream_s_first_event_does_not_count_its_tokens() -> None:
    record = RequestRecord(streamed=True)
    record.first_event(b'{"id": "a", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}')
    assert record.tokens == (None, None)
    assert record.response_id == "a"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "model", "usage", "prompt_tokens", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(usage=json, data=st.binary(max_size=40), operation=st.sampled_from(Operation))
def test_whatever_a_nim_sends_it_can_be_told(usage: Any, data: bytes, operation: Operation) -> None:
    record = RequestRecord(operation, model="m", endpoint="http://nim/v1")
    record.set_result(usage=usage, data=data)
    record.finish()
    fields = fields_of(record)
    assert text_of(fields).startswith(f"{operation} m at http://nim/v1: answered after")
    assert all(type(value) in (str, int, float, bool, type(None)) for value in fields.values())
