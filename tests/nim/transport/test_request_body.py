"""A value that cannot be sent as JSON is an error that names the field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.transport.request_body import (
    MAX_NESTING,
    require_flat,
    unsendable,
)

REASON = ValueError()


class Message(BaseModel, extra="allow"):
    content: Any


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"user": "a\ud800"}, "user", "lone surrogate"),
        ({"messages": [{}, {"content": "\udfff"}]}, "messages[1].content", "lone surrogate"),
        ({"messages": [Message(content=["\udfff"])]}, "messages[0].content[0]", "lone surrogate"),
        ({"messages": [Message(content="", more="\udfff")]}, "messages[0].more", "surrogate"),
        ({"stop": ("a", "\ud800")}, "stop[1]", "lone surrogate"),
        ({"metadata": {"\ud800": "a"}}, "metadata.\\ud800", "lone surrogate"),
        ({"tools": [deep(500)]}, "tools[0].a.a.a.a", f"more than {MAX_NESTING} levels"),
        ({"tools": [deep(100_000)]}, "tools[0].a.a.a.a", f"more than {MAX_NESTING} levels"),
    ],
)
def test_the_field_is_named(body: dict[str, Any], field: str, said: str) -> None:
    error = unsendable(body, REASON)
    assert isinstance(error, InvalidRequestError)
    assert (error.field, error.status_code) == (field, 400)
    assert said in str(error)
    assert str(error).isascii()


def test_whole_characters_are_none_of_it() -> None:
    error = unsendable({"user": "\N{GRINNING FACE}", "tools": [deep(50)]}, OverflowError())
    assert "OverflowError" in str(error)
    assert error.field is None


@given(
    st.recursive(
        st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_is_an_error_and_not_a_crash(value: Any) -> None:
    str(unsendable({"field": value}, REASON)).encode()


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, 900, 100_000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    with pytest.raises(InvalidRequestError, match="is nested more than 200 levels deep") as raised:
        require_flat({"tools": [1, "a", None], "response_format": deep(levels)})
    assert raised.value.field == "response_format.a.a.a.a.a"
    require_flat({"tools": [], "response_format": deep(MAX_NESTING - 1), "prompt": "[" * 300})
