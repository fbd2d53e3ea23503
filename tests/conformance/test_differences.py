"""The differences are of pinned releases and written down, and answers are compared as meant."""

from typing import Any

import pytest

from scripts import venvs

from .answers import joined, summary, unlike, without_nulls
from .cases import CASES, OF_NIM1, REFUSED
from .differences import DIFFERENCES, RELEASES, holding, table


def test_the_releases_are_those_that_are_pinned() -> None:
    assert list(RELEASES) == venvs.pinned()
    for item in DIFFERENCES:
        assert RELEASES.index(item.first) <= RELEASES.index(item.last)


def test_the_documentation_shows_them() -> None:
    assert table() in (venvs.ROOT / "docs" / "compatibility.md").read_text()


def test_every_case_has_a_name_of_its_own() -> None:
    for cases in (CASES, OF_NIM1, REFUSED):
        names = [str(case) for case in cases]
        assert len(set(names)) == len(names)


def test_older_releases_lose_what_they_do_not_know() -> None:
    fields: dict[str, Any] = {"messages": [], "top_k": 5, "seed": 1}
    for stack, expected in (("0.2.24", {"messages", "seed"}), ("0.3.5", {*fields})):
        found = fields
        for item in holding(stack, "/chat/completions", "nim2"):
            found = item.request(found)
        assert found.keys() == expected


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
WHOLE = {
    "id": "1",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "ab", "tool_calls": [CALL]},
            "logprobs": {"content": [{"token": "a"}, {"token": "b"}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {"total_tokens": 3},
}


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "2",
        "created": 2,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, **more}],
    }


@pytest.mark.parametrize("numbered", [False, True])
def test_a_stream_is_put_together(numbered: bool) -> None:
    number = {"index": 0} if numbered else {}
    opening = {**CALL, **number, "function": {"name": "f", "arguments": ""}}
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}, logprobs={"content": [{"token": "a"}]}),
        chunk({"content": "b"}, logprobs={"content": [{"token": "b"}]}),
        chunk({"tool_calls": [opening]}),
        chunk({"tool_calls": [{**number, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{**number, "function": {"arguments": "1}"}}]}),
        chunk({}, finish_reason="stop"),
        {"id": "2", "created": 2, "model": "m", "choices": [], "usage": {"total_tokens": 3}},
    ]
    found = joined(chunks)
    found["choices"][0]["tool_calls"][0].pop("index")
    assert unlike(summary(WHOLE), found) == []


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1, True),
        (1, True, False),
        (0, False, False),
        (0.1 + 0.2, 0.3, True),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, True),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, False),
        ({"a": 1}, {}, False),
        ([1], [1, 2], False),
    ],
)
def test_what_counts_as_different(left: Any, right: Any, same: bool) -> None:
    assert (unlike(left, right) == []) == same
    assert (unlike(right, left) == []) == same


def test_nulls_are_as_if_left_out() -> None:
    assert without_nulls({"a": None, "b": [{"c": None}]}) == {"b": [{}]}
