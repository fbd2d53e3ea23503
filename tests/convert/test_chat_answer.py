import json

import pytest
from llama_stack.models.llama.datatypes import BuiltinTool

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.convert import convert_openai_chat_completion_choice
from llama_stack_provider_nvidia.convert.chat import stop_reason
from llama_stack_provider_nvidia.nim.errors import ServerError

from .answers import FORMS, call, calls, message

pytestmark = pytest.mark.parametrize("build", FORMS)

REASONS = [
    ("stop", "end_of_turn"),
    ("length", "out_of_tokens"),
    ("tool_calls", "end_of_turn"),  # without any call
    ("function_call", "end_of_turn"),
    ("content_filter", "end_of_turn"),
    ("repetition", "out_of_tokens"),
    ("of_its_own", "end_of_turn"),
    ("", "end_of_turn"),
    (None, "end_of_turn"),
]


@pytest.mark.parametrize(("finish_reason", "reason"), REASONS)
def test_finish_reason_becomes_the_stop_reason(build, finish_reason, reason):
    answer = message(build, content="hi", finish_reason=finish_reason)
    assert answer.completion_message.stop_reason == stack.StopReason(reason)
    assert answer.completion_message.content == "hi"
    assert answer.completion_message.tool_calls == []
    assert answer.logprobs is None


def test_choice_without_a_reason_sets_none(build):
    assert stop_reason(None) is None
    assert stop_reason("") is None


@pytest.mark.parametrize("content", [None, ""])
def test_answer_without_content_has_empty_content(build, content):
    assert message(build, content=content).completion_message.content == ""


def test_answer_without_a_message_is_empty(build):
    choice = build({"choices": [{"index": 0, "finish_reason": "length"}]}, "chat").choices[0]
    answer = convert_openai_chat_completion_choice(choice).completion_message
    assert (answer.content, answer.stop_reason.value) == ("", "out_of_tokens")


@pytest.mark.parametrize("absent", [None, []], ids=["null", "empty"])
def test_absent_tool_calls_are_an_empty_list(build, absent):
    assert message(build, content="a", tool_calls=absent).completion_message.tool_calls == []


@pytest.mark.parametrize(
    ("arguments", "decoded", "text"),
    [
        pytest.param('{"a": 1}', {"a": 1}, '{"a": 1}', id="object"),
        pytest.param("{}", {}, "{}", id="empty object"),
        pytest.param("", {}, "{}", id="empty text, as NIM 1 sends it"),
        pytest.param("  ", {}, "{}", id="blank text"),
        pytest.param(None, {}, "{}", id="null"),
        pytest.param("null", {}, "{}", id="null as text"),
        pytest.param({"a": 1}, {"a": 1}, '{"a":1}', id="already decoded"),
        pytest.param({}, {}, "{}", id="already decoded and empty"),
        pytest.param('{"a": [1, 2]}', {"a": [1, 2]}, '{"a": [1, 2]}', id="list inside"),
        pytest.param('{"a": {"b": null}}', {"a": {"b": None}}, '{"a": {"b": null}}', id="object"),
        pytest.param(json.dumps('{"a": "é"}'), {"a": "é"}, '{"a": "é"}', id="encoded twice"),
        pytest.param('{"n": 123456789012345678901}', {"n": 123456789012345678901}, None, id="big"),
    ],
)
def test_arguments_become_a_dict_and_its_json(build, arguments, decoded, text):
    made = calls(build, call(arguments, id="c1"))[0]
    assert made.arguments == decoded
    assert made.arguments_json == (text or arguments)
    assert made.call_id == "c1"
    assert made.tool_name == "get_weather"


@pytest.mark.parametrize(
    "arguments", ['{"a": [{"b": 1}]}', '{"a": {"b": {"c": 1}}}', '{"a": [[1]]}']
)
def test_arguments_nested_deeper_than_the_protocol_can_hold_travel_as_text(build, arguments):
    made = calls(build, call(arguments, id="c"))[0]
    assert made.arguments == made.arguments_json == arguments


@pytest.mark.parametrize(
    "arguments", ["{not JSON", "[1, 2]", "5", '"text"', '{"a": NaN}', '{"a": 1} tail', "{" * 9999]
)
def test_arguments_that_are_no_object_never_raise_and_stay_text(build, arguments):
    made = calls(build, call(arguments, id="c"))[0]
    assert made.arguments == made.arguments_json == arguments


def test_every_tool_call_of_an_answer_is_there_in_order(build):
    made = calls(build, call(id="a", name="x"), call(id="b", name="x"), call(id="c", name="y"))
    assert [(c.call_id, c.tool_name) for c in made] == [("a", "x"), ("b", "x"), ("c", "y")]


def test_calls_of_a_whole_answer_are_told_apart_without_ids(build):
    now, date = call("", name="now"), call("", name="date")
    made = calls(build, now, now, date, date)
    assert [c.tool_name for c in made] == ["now", "now", "date", "date"]
    assert len({c.call_id for c in made}) == 4


def test_calls_of_a_whole_answer_are_told_apart_with_one_id(build):
    made = calls(build, call(id="c", name="x"), call(id="c", name="y"))
    assert [c.tool_name for c in made] == ["x", "y"]


@pytest.mark.parametrize("missing", [{}, {"id": None}, {"id": ""}], ids=["no", "null", "empty"])
def test_missing_id_is_made_up(build, missing):
    assert calls(build, call(**missing))[0].call_id.startswith("call_")


def test_builtin_tool_comes_back_as_such(build):
    made = calls(build, call('{"query": "x"}', name="brave_search", id="c"))[0]
    assert made.tool_name is BuiltinTool.brave_search


@pytest.mark.parametrize("name", ["", None])
def test_call_without_a_name_is_an_error(build, name):
    with pytest.raises(ServerError, match="a tool call without a name"):
        calls(build, call(name=name, id="c"))


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [
        ("tool_calls", "end_of_message"),
        ("stop", "end_of_message"),
        (None, "end_of_message"),
        ("length", "out_of_tokens"),
    ],
)
def test_answer_with_tool_calls_waits_for_their_results(build, finish_reason, reason):
    answer = message(build, content=None, tool_calls=[call()], finish_reason=finish_reason)
    assert answer.completion_message.stop_reason.value == reason


def test_text_beside_tool_calls_is_kept(build):
    answer = message(build, content="let me see", tool_calls=[call()], finish_reason="tool_calls")
    assert answer.completion_message.content == "let me see"
    assert len(answer.completion_message.tool_calls) == 1


TOP = [{"token": "hi", "logprob": -0.5}, {"token": "ho", "logprob": -1.5}]


@pytest.mark.parametrize(
    ("tops", "expected"),
    [
        pytest.param(TOP, {"hi": -0.5, "ho": -1.5}, id="alternatives"),
        pytest.param([], {"hi": -0.5}, id="none"),
        pytest.param(None, {"hi": -0.5}, id="null"),
        pytest.param(TOP[1:], {"hi": -0.5, "ho": -1.5}, id="without the token itself"),
        pytest.param(
            [{"token": "hi", "logprob": -9.0}], {"hi": -0.5}, id="another token of that text"
        ),
    ],
)
def test_each_token_has_its_log_probability_and_those_of_its_alternatives(build, tops, expected):
    token = {"token": "hi", "logprob": -0.5, "top_logprobs": tops}
    answer = message(build, content="hihi", logprobs={"content": [token, token]})
    assert [entry.logprobs_by_token for entry in answer.logprobs] == [expected, expected]


@pytest.mark.parametrize("content", [None, []], ids=["null", "empty"])
def test_empty_log_probabilities_are_none(build, content):
    assert message(build, content="hi", logprobs={"content": content}).logprobs is None


def test_log_probabilities_of_a_tool_call_are_kept(build):
    logprobs = {"content": [{"token": "{", "logprob": -0.1, "top_logprobs": []}]}
    answer = message(build, content=None, tool_calls=[call()], logprobs=logprobs)
    assert answer.logprobs[0].logprobs_by_token == {"{": -0.1}
