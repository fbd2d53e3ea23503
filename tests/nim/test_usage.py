"""Where the count of tokens stands in a stream."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.answers import usage
from llama_stack_provider_nvidia.nim.errors import NIMConnectionError

COUNT = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def part(text: str = "", *, index: int = 0, ends: bool = False, **more: Any) -> dict[str, Any]:
    reason = "stop" if ends else None
    choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return {"choices": [choice], **more}


ALONE: dict[str, Any] = {"choices": [], "usage": COUNT}
EMPTY: dict[str, Any] = {"choices": []}


class Source:
    """A stream that notes when it is closed."""

    def __init__(self, *chunks: dict[str, Any] | Exception) -> None:
        self.chunks = chunks
        self.closed = False

    async def stream(self) -> AsyncGenerator[dict[str, Any], None]:
        try:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield {**chunk}
        finally:
            self.closed = True


async def read(*chunks: Any, asked: bool, at_the_end: bool) -> list[dict[str, Any]]:
    source = Source(*chunks)
    placed = usage.placed(source.stream(), asked=asked, at_the_end=at_the_end)
    found = [chunk async for chunk in placed]
    assert source.closed
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
def test_whether_it_is_asked_for(body: dict[str, Any], expected: bool) -> None:
    assert usage.is_asked(body) == expected
    assert usage.is_asked(usage.asking(body))


def test_other_stream_options_stay() -> None:
    body = {"model": "m", "stream_options": {"continuous_usage_stats": True}}
    assert usage.asking(body) == {
        "model": "m",
        "stream_options": {"continuous_usage_stats": True, "include_usage": True},
    }
    assert "include_usage" not in body["stream_options"]


PLAIN = [EMPTY, part("a"), part("b"), part(ends=True)]
COUNTED = part(ends=True, usage=COUNT)


@pytest.mark.parametrize(
    ("asked", "at_the_end", "expected"),
    [
        (False, False, PLAIN),
        (True, False, [*PLAIN, ALONE]),
        (False, True, [*PLAIN[:3], COUNTED]),
        (True, True, [*PLAIN[:3], COUNTED, ALONE]),
    ],
)
async def test_it_stands_where_it_is_looked_for(
    asked: bool, at_the_end: bool, expected: list[Any]
) -> None:
    assert await read(*PLAIN, ALONE, asked=asked, at_the_end=at_the_end) == expected


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("at_the_end", [False, True])
async def test_a_stream_without_it_stays_as_it_is(asked: bool, at_the_end: bool) -> None:
    assert await read(*PLAIN, asked=asked, at_the_end=at_the_end) == PLAIN


async def test_of_several_answers_the_last_to_end_has_it() -> None:
    chunks = [part("a"), part(index=1, ends=True), part("b"), part(ends=True)]
    last = part(ends=True, usage=COUNT)
    assert await read(*chunks, ALONE, asked=False, at_the_end=True) == [*chunks[:3], last]


async def test_running_counts_stay() -> None:
    chunks = [part("a", usage=COUNT), part(ends=True, usage=COUNT)]
    for at_the_end in (False, True):
        assert await read(*chunks, ALONE, asked=False, at_the_end=at_the_end) == chunks


async def test_what_came_before_a_failure_is_given_first() -> None:
    failure = NIMConnectionError("gone")
    source = Source(part("a"), part(ends=True), failure)
    placed = usage.placed(source.stream(), asked=False, at_the_end=True)
    assert [await anext(placed), await anext(placed)] == [part("a"), part(ends=True)]
    with pytest.raises(NIMConnectionError):
        await anext(placed)
    assert source.closed


@pytest.mark.parametrize(("asked", "at_the_end"), [(False, False), (False, True), (True, True)])
async def test_a_stream_that_is_left_is_closed(asked: bool, at_the_end: bool) -> None:
    source = Source(part("a"), part("b"))
    placed = usage.placed(source.stream(), asked=asked, at_the_end=at_the_end)
    await anext(placed)
    await placed.aclose()
    assert source.closed
