"""Where the count of tokens stands in a stream."""

from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.responses import usage

COUNT = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def part(text: str = "", *, index: int = 0, ends: bool = False, **more: Any) -> dict[str, Any]:
    reason = "stop" if ends else None
    choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return {"choices": [choice], **more}


ALONE: dict[str, Any] = {"choices": [], "usage": COUNT}
EMPTY: dict[str, Any] = {"choices": []}


def read(*chunks: dict[str, Any], asked: bool, at_the_end: bool) -> list[dict[str, Any]]:
    placer = usage.UsagePlacer(asked=asked, at_the_end=at_the_end)
    return [placed for chunk in chunks for placed in placer.feed({**chunk})] + placer.close()


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
def test_it_stands_where_it_is_looked_for(
    asked: bool, at_the_end: bool, expected: list[Any]
) -> None:
    assert read(*PLAIN, ALONE, asked=asked, at_the_end=at_the_end) == expected


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_stream_without_it_stays_as_it_is(asked: bool, at_the_end: bool) -> None:
    assert read(*PLAIN, asked=asked, at_the_end=at_the_end) == PLAIN


def test_of_several_answers_the_last_to_end_has_it() -> None:
    chunks = [part("a"), part(index=1, ends=True), part("b"), part(ends=True)]
    last = part(ends=True, usage=COUNT)
    assert read(*chunks, ALONE, asked=False, at_the_end=True) == [*chunks[:3], last]


def test_running_counts_stay() -> None:
    chunks = [part("a", usage=COUNT), part(ends=True, usage=COUNT)]
    for at_the_end in (False, True):
        assert read(*chunks, ALONE, asked=False, at_the_end=at_the_end) == chunks
