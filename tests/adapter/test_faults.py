"""Every fault that the emulator knows, through the provider: a right answer or an error of ours.

Never an answer cut short that looks complete, never another kind of error, never without end, and
never a request, a connection or a task left behind.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from nim_emulator.faults import WRONG_TYPES

from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim.errors import NIMError, NIMTimeoutError, ServerError
from nim_emulator import FAULTS, EmulatorServer

from .conftest import MODEL

ASKED = "count to 6"
TEXT = "1 2 3 4 5 6"
TIMEOUT_S = 0.5
TOTAL_S = 2.0
BOUND_S = 5.0


@pytest.fixture
async def hasty(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    """The provider with short time limits."""
    config = NVIDIAConfig(url=nim.url, max_retries=0, timeout=TIMEOUT_S, total_timeout=TOTAL_S)
    made = await get_adapter_impl(config, {})
    yield made
    nim.clear()
    await made.shutdown()


@pytest.fixture
async def brief(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    """The provider with a limit that no good answer exceeds, on a busy machine as well."""
    made = await get_adapter_impl(NVIDIAConfig(url=nim.url, max_retries=0, timeout=2), {})
    yield made
    nim.clear()
    await made.shutdown()


@dataclass
class Answer:
    """The part of an answer that a caller sees, in either style."""

    text: str | None = ""
    reason: str | None = None
    calls: list[Any] = field(default_factory=list)


Way = Callable[[NVIDIAInferenceAdapter, bool], Awaitable[Answer]]


async def native_chat(adapter: NVIDIAInferenceAdapter, stream: bool) -> Answer:
    said = [stack.UserMessage(content=ASKED)]
    answer = await adapter.chat_completion(MODEL, said, stream=stream)
    if not stream:
        message = answer.completion_message
        calls = message.tool_calls or []
        return Answer(message.content, message.stop_reason.value, calls)
    seen = Answer("")
    async for item in answer:
        event = item.event
        if event.stop_reason is not None:
            seen.reason = event.stop_reason.value
        if event.delta.type == "text":
            seen.text = (seen.text or "") + event.delta.text
        elif event.delta.parse_status.value in ("succeeded", "failed"):
            seen.calls.append(event.delta.tool_call)
    return seen


async def native_completion(adapter: NVIDIAInferenceAdapter, stream: bool) -> Answer:
    params = stack.SamplingParams(max_tokens=100)
    answer = await adapter.completion(MODEL, ASKED, params, stream=stream)
    if not stream:
        return Answer(answer.content, answer.stop_reason and answer.stop_reason.value)
    seen = Answer("")
    async for chunk in answer:
        seen.text = (seen.text or "") + chunk.delta
        seen.reason = chunk.stop_reason.value if chunk.stop_reason else seen.reason
    return seen


async def openai_chat(adapter: NVIDIAInferenceAdapter, stream: bool) -> Answer:
    said = [{"role": "user", "content": ASKED}]
    answer = await adapter.openai_chat_completion(model=MODEL, messages=said, stream=stream)
    if not stream:
        (choice,) = [choice for choice in answer.choices if choice.index == 0]
        return Answer(choice.message.content, choice.finish_reason, choice.message.tool_calls or [])
    seen = Answer("")
    async for chunk in answer:
        for choice in chunk.choices:
            if choice.index == 0:
                seen.text = (seen.text or "") + (choice.delta.content or "")
                seen.reason = choice.finish_reason or seen.reason
                seen.calls += choice.delta.tool_calls or []
    return seen


async def openai_completion(adapter: NVIDIAInferenceAdapter, stream: bool) -> Answer:
    answer = await adapter.openai_completion(
        model=MODEL, prompt=ASKED, max_tokens=100, stream=stream
    )
    if not stream:
        (choice,) = [choice for choice in answer.choices if choice.index == 0]
        return Answer(choice.text, choice.finish_reason)
    seen = Answer("")
    async for chunk in answer:
        for choice in chunk.choices:
            if choice.index == 0:
                seen.text = (seen.text or "") + (choice.text or "")
                seen.reason = choice.finish_reason or seen.reason
    return seen


NATIVE: dict[str, Way] = {"native chat": native_chat, "native completion": native_completion}
OPENAI: dict[str, Way] = {"openai chat": openai_chat, "openai completion": openai_completion}
WAYS = {**NATIVE, **OPENAI}
ENDS = ("end_of_turn", "stop")


async def outcome(
    way: Way,
    adapter: NVIDIAInferenceAdapter,
    nim: EmulatorServer,
    stream: bool,
    order: Any,
    *,
    reasons: Sequence[str | None] = ENDS,
    texts: Sequence[str | None] = (TEXT,),
) -> NIMError | None:
    """Ask once under a fault, and hold the contract; return the error, None for a right answer."""
    faults = {"fault": order} if isinstance(order, str) else order
    port = FAULTS[faults["fault"]].kind == "port"
    nim.clear()
    nim.faults([faults if port else {**faults, "times": None}])
    tasks = len(asyncio.all_tasks())
    error = None
    try:
        async with asyncio.timeout(BOUND_S):
            answer = await way(adapter, stream)
    except NIMError as raised:
        error = raised
    else:
        assert answer.text in texts, order
        assert answer.calls == [], order
        assert answer.reason in reasons, order
    if error is not None:
        assert error.message, order
        assert 400 <= error.status_code <= 599, order
    await until(lambda: all_over(nim) and len(asyncio.all_tasks()) <= tasks, order)
    # One connection may be kept for the next request.
    await until(lambda: port or len(nim.connections.open) <= 1, order)
    return error


def all_over(nim: EmulatorServer) -> bool:
    """The NIM has completed each request, or knows that its client is gone."""
    return all(
        request.ended_at is not None or request.disconnected_at is not None
        for request in nim.requests
    )


async def until(condition: Callable[[], bool], order: Any) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110 (a thread changes it)
        await asyncio.sleep(0.005)
    assert condition(), order


def orders(name: str, stream: bool) -> list[dict[str, Any]]:
    """The fault with each of its choices, where it is for such a request."""
    kind = FAULTS[name]
    if kind.only is not None and (kind.only == "stream") != stream:
        return []
    fast = {"pause_s": 0} if "pause_s" in kind.parameters.model_fields else {}
    return [{"fault": name, **fast, **variant} for variant in kind.variants()]


RIGHT = (
    *("slow-headers", "slow-body", "split", "merged", "line-ends", "comments", "fields"),
    *("no-space", "data-lines", "huge-line", "byte-order-mark", "no-last-blank-line", "no-done"),
    *("after-done", "extra-choices"),
)
"""Faults that do not harm an answer."""

ERROR = (
    *("restart", "reset", "hang-up", "not-http", "status", "cut", "error-event", "invalid-utf8"),
    "bad-body",
)
"""Faults that leave no answer."""

EITHER = ("refuse", "wrong-kind")

WAITING = ("no-answer", "stall", "never-ready", "endless")
"""Faults that would last for ever."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", WAYS)
async def test_faults_that_do_no_harm(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    for name in RIGHT:
        for order in orders(name, stream):
            assert await outcome(WAYS[way], adapter, nim, stream, order) is None, order


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", WAYS)
async def test_faults_that_leave_no_answer(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    for name in ERROR:
        for order in orders(name, stream):
            assert await outcome(WAYS[way], adapter, nim, stream, order) is not None, order
    for name in EITHER:
        for order in orders(name, stream):
            await outcome(WAYS[way], adapter, nim, stream, order)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", ["native chat", "openai chat"])
async def test_waiting_has_an_end(
    hasty: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    for name in WAITING:
        for order in orders(name, stream):
            start = time.monotonic()
            error = await outcome(WAYS[way], hasty, nim, stream, order)
            assert isinstance(error, NIMTimeoutError), order
            assert time.monotonic() - start < BOUND_S, order


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_body_that_is_compressed(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    assert await outcome(WAYS[way], adapter, nim, stream, "gzip") is None
    for kind in ("undeclared", "untrue"):
        order = {"fault": "gzip", "kind": kind}
        assert await outcome(WAYS[way], adapter, nim, stream, order) is not None


JSON = ("truncated", "text", "list", "string", "null", "nested")


@pytest.mark.parametrize("way", WAYS)
async def test_events_that_are_no_chunks(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str
) -> None:
    for kind in JSON:
        for after in (0, 2):
            order = {"fault": "bad-json", "kind": kind, "after": after}
            assert await outcome(WAYS[way], adapter, nim, True, order) is not None, order
    # A number that JSON does not have, beside the answer, costs nothing.
    order = {"fault": "bad-json", "kind": "nan", "after": 1}
    assert await outcome(WAYS[way], adapter, nim, True, order) is None, order


BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
EVERY = pytest.mark.parametrize("way", WAYS)

IDLE = ("id", "object", "created", "model", "choices.*.message.role", "usage")
"""Fields that say nothing of the answer."""

ANSWER = [path for path in WRONG_TYPES if path.startswith("choices")]
LEFT_OUT = (
    *(*IDLE, "choices.*.index", "choices.*.logprobs"),
    *("choices.*.message.reasoning_content", "choices.*.message.tool_calls"),
)
"""Fields that an answer can do without."""


def of_another_kind(way: str, path: str, value: Any = None) -> bool:
    """Only one kind of answer has such a field."""
    if "completion" in way:
        return ".message" in path or (path.endswith("logprobs") and isinstance(value, dict))
    return path.endswith(".text")


@BOTH
@EVERY
async def test_wrong_values_that_do_not_matter(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    for path in IDLE:
        for value in WRONG_TYPES[path]:
            order = {"fault": "wrong-type", "field": path, "value": value}
            assert await outcome(WAYS[way], adapter, nim, stream, order) is None, order
    for path in LEFT_OUT:
        order = {"fault": "missing", "field": path}
        assert await outcome(WAYS[way], adapter, nim, stream, order) is None, order
    for order in orders("usage", stream):
        assert await outcome(WAYS[way], adapter, nim, stream, order) is None, order


@BOTH
@EVERY
async def test_wrong_values_in_the_answer(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    for path in ANSWER:
        if path in IDLE:
            continue
        for value in WRONG_TYPES[path]:
            order = {"fault": "wrong-type", "field": path, "value": value}
            passes = of_another_kind(way, path, value) or (
                path == "choices.*.index" and value in (None, "0")
            )
            error = await outcome(WAYS[way], adapter, nim, stream, order)
            assert (error is None) is passes, order
            assert error is None or error.status_code == 502, order


@BOTH
@EVERY
async def test_answers_with_nothing_in_them(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    said = "choices.*.message" if "chat" in way else "choices.*.text"
    empty = [{"fault": "missing", "field": field} for field in ("choices", said)]
    for order in (*orders("choices", stream), *empty):
        assert await outcome(WAYS[way], adapter, nim, stream, order) is not None, order
    for order in orders("no-content", stream):
        error = await outcome(WAYS[way], adapter, nim, stream, order, texts=("", None))
        # An empty text is an answer. A completion without a text is none.
        assert (error is None) is ("chat" in way or order.get("kind") == "empty"), order


@BOTH
@EVERY
async def test_finish_reasons(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    last = {"several": "length" if way in OPENAI else "out_of_tokens"}
    for order in orders("finish", stream):
        kind = order.get("kind", "unknown")
        reasons = (last[kind], *ENDS) if kind in last else ENDS
        error = await outcome(WAYS[way], adapter, nim, stream, order, reasons=reasons)
        assert (error is not None) is (kind == "aborted"), order


async def test_connection_that_the_nim_leaves_open_is_closed(nim: EmulatorServer) -> None:
    # Both the draining and the HTTP library give up at the same moment.
    config = NVIDIAConfig(url=nim.url, max_retries=0, timeout=2)
    adapter = await get_adapter_impl(config, {})
    try:
        nim.faults([{"fault": "open-end", "times": None}])
        answers = await asyncio.gather(*(openai_chat(adapter, True) for _ in range(6)))
        assert {answer.text for answer in answers} == {TEXT}
        await until(lambda: not nim.connections.open, "open-end")
    finally:
        nim.clear()
        await adapter.shutdown()


KEPT = (
    *("no-index", "no-id", "same-index", "same-id", "late-name", "out-of-order"),
    *("negative-index", "gap", "object-arguments"),
)


@pytest.mark.native
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KEPT)
async def test_odd_tool_calls_are_put_together(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, kind: str, stream: bool
) -> None:
    nim.faults([{"fault": "tool-calls", "kind": kind}])
    answer = await native_chat(adapter, stream)
    assert sorted(call.arguments["n"] for call in answer.calls) == [1, 2]
    assert {call.tool_name for call in answer.calls} == {"get_weather"}
    assert all(call.call_id for call in answer.calls)
    assert answer.reason == "end_of_message"


@BOTH
@pytest.mark.parametrize("kind", [*KEPT, "null-arguments"])
async def test_odd_tool_calls_are_completed(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, kind: str, stream: bool
) -> None:
    nim.faults([{"fault": "tool-calls", "kind": kind}])
    made: dict[int, tuple[str, str, str]] = {}
    for place, part in enumerate((await openai_chat(adapter, stream)).calls):
        index = part.index if stream else place
        call_id, name, text = made.get(index, ("", "", ""))
        assert not (call_id and part.id and part.id != call_id)
        function = part.function
        made[index] = (
            call_id or part.id or "",
            name + (function.name or ""),
            text + function.arguments,
        )
    assert len(made) == 2
    assert all(call_id and name == "get_weather" for call_id, name, _ in made.values())
    texts = [text for *_, text in made.values()]
    if kind == "null-arguments":
        assert texts == ["" if stream else "{}"] * 2
    else:
        assert sorted(json.loads(text)["n"] for text in texts) == [1, 2]


@BOTH
@pytest.mark.parametrize("way", ["native chat", "openai chat"])
async def test_tool_call_without_a_name_is_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, way: str, stream: bool
) -> None:
    nim.faults([{"fault": "tool-calls", "kind": "no-name"}])
    with pytest.raises(ServerError, match="a tool call without a name"):
        await WAYS[way](adapter, stream)


@pytest.mark.native
@pytest.mark.parametrize("kind", ["cut-arguments", "text-arguments", "list-arguments"])
async def test_tool_calls_that_cannot_be_read_are_reported(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, kind: str
) -> None:
    nim.faults([{"fault": "tool-calls", "kind": kind}])
    said = [stack.UserMessage(content=ASKED)]
    answer = await adapter.chat_completion(MODEL, said, stream=True)
    deltas = [item.event.delta async for item in answer if item.event.delta.type == "tool_call"]
    ends = [item for item in deltas if item.parse_status.value in ("succeeded", "failed")]
    assert [item.parse_status.value for item in ends] == ["failed", "failed"]


FRAGMENTS = {"fault": "tool-calls", "kind": "many", "fragments": 1000}


@pytest.mark.native
async def test_a_thousand_fragments_become_one_call(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.faults([FRAGMENTS])
    (call,) = (await native_chat(adapter, True)).calls
    assert call.arguments == {"n": "x" * 1000}


async def test_a_tool_call_in_a_thousand_fragments(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.faults([FRAGMENTS])
    fragments = (await openai_chat(adapter, True)).calls
    text = "".join(item.function.arguments or "" for item in fragments)
    assert json.loads(text) == {"n": "x" * 1000}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "fault", ["no-answer", "reset", "hang-up", "stall", "cut:how=close", "cut:how=reset", "status"]
)
async def test_no_connection_is_left_open(
    brief: NVIDIAInferenceAdapter, nim: EmulatorServer, fault: str, stream: bool
) -> None:
    nim.faults([fault] * 5)

    async def ask() -> bool:
        try:
            await openai_chat(brief, stream)
        except NIMError:
            return True
        return False

    assert all(await asyncio.gather(*(ask() for _ in range(5))))
    before = len(nim.requests)
    for _ in range(3):
        assert (await openai_chat(brief, stream)).text == TEXT
    earlier, later = (
        {request.client_port for request in some}
        for some in (nim.requests[:before], nim.requests[before:])
    )
    # An error status leaves connections that can serve again.
    assert later <= earlier if fault == "status" else len(later) == 1
    await until(lambda: all_over(nim), fault)
    await until(lambda: len(nim.connections.open) <= (6 if fault == "status" else 1), fault)
