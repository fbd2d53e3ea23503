"""Earlier turns of a conversation are brought into a form that engines take."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.requests import message_history
from llama_stack_provider_nvidia.nim.requests.message_history import (
    rename_reasoning,
    repair_tool_calls,
)

from ...strategies import json_values

USER = {"role": "user", "content": "hi"}
RESULT = {"role": "tool", "tool_call_id": "call_abc", "content": "not run"}


def call(arguments: Any) -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": arguments}
    return {"id": "call_abc", "type": "function", "function": function}


def history(arguments: Any) -> list[dict[str, Any]]:
    assistant = {"role": "assistant", "content": None, "tool_calls": [call(arguments)]}
    return [USER, assistant, RESULT, {"role": "user", "content": "Continue."}]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"city": "Paris"}', '{"city": "Paris"}'),
        (' {"city" :"Paris"}\n', ' {"city" :"Paris"}\n'),
        ('{"n": NaN}', '{"n": NaN}'),  # no JSON, but every engine's decoder takes it
        ("", "{}"),
        (None, "{}"),
        ({"city": "Zürich"}, '{"city": "Zürich"}'),
        ('{"city": "Par', '{"invalid_json": "{\\"city\\": \\"Par"}'),
        ("Paris", '{"invalid_json": "Paris"}'),
        ("[1]", '{"invalid_json": "[1]"}'),
        ("5", '{"invalid_json": "5"}'),
        ("null", '{"invalid_json": "null"}'),
        ("[" * 100_000, json.dumps({"invalid_json": "[" * 100_000})),
        ([1], '{"invalid_json": "[1]"}'),
    ],
)
def test_arguments_of_earlier_calls(arguments: Any, sent: str) -> None:
    assert repair_tool_calls(history(arguments)) == history(sent)


def test_nothing_is_changed_where_nothing_is_broken() -> None:
    messages = history('{"a": 1}')
    for before, after in zip(messages, repair_tool_calls(messages), strict=True):
        assert after is before


def test_the_caller_s_messages_stay_as_they_are() -> None:
    messages = history("{")
    repair_tool_calls(messages)
    assert messages == history("{")


@given(arguments=st.one_of(st.text(), json_values, json_values.map(json.dumps)))
def test_any_arguments_become_an_object_and_are_not_lost(arguments: Any) -> None:
    [message] = repair_tool_calls([{"role": "assistant", "tool_calls": [call(arguments)]}])
    text = message["tool_calls"][0]["function"]["arguments"]
    decoded = json.loads(text)
    assert isinstance(decoded, dict)
    if isinstance(arguments, str) and arguments:
        assert text == arguments or decoded == {"invalid_json": arguments}


@given(messages=st.lists(st.dictionaries(st.sampled_from(["role", "tool_calls"]), json_values)))
def test_other_forms_are_the_nim_s_to_judge(messages: list[Any]) -> None:
    assert len(repair_tool_calls(messages)) == len(messages)


def test_it_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    message_history._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        repair_tool_calls(history("{"))
        repair_tool_calls(history("["))
        repair_tool_calls(history(""))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "invalid_json" in caplog.text


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("given", ["reasoning", "reasoning_content"])
def test_reasoning_goes_by_the_name_that_is_read(given: str, name: str) -> None:
    messages = [USER, {"role": "assistant", "content": "4", given: "2 + 2"}]
    assert rename_reasoning(messages, name) == [
        USER,
        {"role": "assistant", "content": "4", name: "2 + 2"},
    ]


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"role": "assistant", "reasoning": "a", "reasoning_content": "b"}, {"reasoning": "a"}),
        ({"role": "assistant", "reasoning": None, "reasoning_content": "b"}, {"reasoning": "b"}),
        ({"role": "assistant", "reasoning_content": ""}, {}),
    ],
)
def test_one_of_two_names_is_sent(message: dict[str, Any], sent: dict[str, Any]) -> None:
    assert rename_reasoning([message], "reasoning") == [{"role": "assistant", **sent}]


def test_users_may_write_what_they_like() -> None:
    messages = [{"role": "user", "content": "x", "reasoning": "y"}]
    assert rename_reasoning(messages, "reasoning_content") == messages
