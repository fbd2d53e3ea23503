import json

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.convert import convert_message
from llama_stack_provider_nvidia.convert.messages import convert_messages
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests.message_history import repair_tool_calls

TEXT = stack.TextContentItem
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def assistant(content="", calls=None):
    return stack.CompletionMessage(content=content, stop_reason="end_of_turn", tool_calls=calls)


def tool_call(arguments, name="get_weather", **fields):
    return stack.ToolCall(call_id="c1", tool_name=name, arguments=arguments, **fields)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(stack.UserMessage(content="hi"), {"role": "user", "content": "hi"}, id="user"),
        pytest.param(
            stack.SystemMessage(content="be brief"),
            {"role": "system", "content": "be brief"},
            id="system",
        ),
        pytest.param(
            stack.ToolResponseMessage(call_id="c1", content="22 C"),
            {"role": "tool", "tool_call_id": "c1", "content": "22 C"},
            id="tool response",
        ),
        pytest.param(assistant("hello"), {"role": "assistant", "content": "hello"}, id="assistant"),
        pytest.param(assistant(), {"role": "assistant", "content": ""}, id="assistant, empty"),
        pytest.param(
            {"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}, id="user dict"
        ),
        pytest.param(
            {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
            {"role": "system", "content": "be brief"},
            id="system dict with a list",
        ),
        pytest.param(
            {"role": "tool", "call_id": "c1", "content": "22 C"},
            {"role": "tool", "tool_call_id": "c1", "content": "22 C"},
            id="tool dict",
        ),
        pytest.param(
            {"role": "ipython", "call_id": "c1", "tool_name": "x", "content": "22 C"},
            {"role": "tool", "tool_call_id": "c1", "content": "22 C"},
            id="ipython dict of the first releases",
        ),
        pytest.param(
            {"role": "assistant", "content": "hello"},
            {"role": "assistant", "content": "hello"},
            id="assistant dict without a stop reason",
        ),
        pytest.param(
            {"role": "assistant", "content": "hello", "stop_reason": "out_of_tokens"},
            {"role": "assistant", "content": "hello"},
            id="assistant dict with a stop reason",
        ),
    ],
)
def test_message_of_each_role_becomes_a_chat_message(message, expected):
    assert convert_message(message) == expected


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        pytest.param({"content": "hi"}, "m.role", "is missing", id="no role"),
        pytest.param({"role": "wizard", "content": "hi"}, "m.role", "'wizard'", id="unknown role"),
        pytest.param({"role": None, "content": "hi"}, "m.role", "None", id="null role"),
        pytest.param({"role": "user"}, "m.content", "required", id="no content"),
        pytest.param({"role": "tool", "content": "x"}, "m.call_id", "required", id="no call id"),
        pytest.param("hi", "m", "str is not a message", id="no message at all"),
        pytest.param(None, "m", "NoneType is not a message", id="none"),
    ],
)
def test_message_that_is_none_is_refused_with_its_place(message, field, said):
    with pytest.raises(InvalidRequestError, match=said) as caught:
        convert_message(message, "m")
    assert isinstance(caught.value, ValueError)
    assert caught.value.field.startswith(field)
    assert caught.value.status_code == 400


def test_error_counts_the_messages_from_zero():
    with pytest.raises(InvalidRequestError, match=r"messages\[1\]\.role"):
        convert_messages([stack.UserMessage(content="hi"), {"role": "x"}])


def test_conversation_without_messages_is_refused():
    with pytest.raises(InvalidRequestError, match="messages: is empty"):
        convert_messages([])


def test_conversation_keeps_its_order():
    spoken = [stack.SystemMessage(content="s"), stack.UserMessage(content="u"), assistant("a")]
    assert [m["role"] for m in convert_messages(spoken)] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda c: stack.SystemMessage(content=c), id="system"),
        pytest.param(lambda c: stack.ToolResponseMessage(call_id="c", content=c), id="tool"),
        pytest.param(assistant, id="assistant"),
        pytest.param(lambda c: stack.UserMessage(content=c), id="user"),
    ],
)
def test_list_of_texts_becomes_one_string(make):
    converted = convert_message(make([TEXT(text="one"), TEXT(text="two")]))
    assert converted["content"] == "one\ntwo"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda c: stack.SystemMessage(content=c), id="system"),
        pytest.param(lambda c: stack.ToolResponseMessage(call_id="c", content=c), id="tool"),
        pytest.param(assistant, id="assistant"),
    ],
)
def test_image_outside_a_user_message_is_refused(make):
    image = stack.ImageContentItem(image={"data": PNG})
    with pytest.raises(InvalidRequestError, match=r"message\.content\[1\].*user message"):
        convert_message(make([TEXT(text="see"), image]))


@pytest.mark.parametrize(
    ("content", "context", "expected"),
    [
        pytest.param("q", "facts", "q\n\nfacts", id="texts"),
        pytest.param("q", [TEXT(text="a"), TEXT(text="b")], "q\n\na\nb", id="list"),
        pytest.param("q", None, "q", id="none"),
        pytest.param("q", "", "q", id="empty"),
        pytest.param(
            [stack.ImageContentItem(image={"url": {"uri": "http://h/a.png"}})],
            "facts",
            [
                {"type": "image_url", "image_url": {"url": "http://h/a.png"}},
                {"type": "text", "text": "facts"},
            ],
            id="image",
        ),
    ],
)
def test_context_follows_what_the_user_wrote(content, context, expected):
    message = stack.UserMessage(content=content, context=context)
    assert convert_message(message)["content"] == expected


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        pytest.param(
            tool_call({"city": "Paris"}), "get_weather", '{"city": "Paris"}', id="decoded arguments"
        ),
        pytest.param(
            tool_call({"city": "Köln"}), "get_weather", '{"city": "Köln"}', id="not only ASCII"
        ),
        pytest.param(tool_call({}), "get_weather", "{}", id="no arguments"),
        pytest.param(tool_call(""), "get_weather", "{}", id="empty text"),
        pytest.param(tool_call('{"a": 1}'), "get_weather", '{"a": 1}', id="JSON text"),
        pytest.param(
            tool_call({"a": 1}, arguments_json='{"a":1}'),
            "get_weather",
            '{"a":1}',
            id="the model's own text comes first",
        ),
        pytest.param(
            tool_call({"query": "x"}, name="brave_search"),
            "brave_search",
            '{"query": "x"}',
            id="built-in tool goes by its value",
        ),
    ],
)
def test_tool_call_in_the_history_carries_id_name_and_json_text(call, name, arguments):
    converted = convert_message(assistant(calls=[call]))
    function = {"name": name, "arguments": arguments}
    assert converted["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]


def test_empty_content_beside_tool_calls_is_left_out():
    assert "content" not in convert_message(assistant(calls=[tool_call({})]))


def test_content_beside_tool_calls_is_kept():
    converted = convert_message(assistant("let me see", calls=[tool_call({}), tool_call({})]))
    assert converted["content"] == "let me see"
    assert len(converted["tool_calls"]) == 2


@pytest.mark.parametrize(
    ("call", "text"),
    [
        pytest.param(tool_call("not JSON"), "not JSON", id="no JSON"),
        pytest.param(tool_call("[1]"), "[1]", id="a list"),
        pytest.param(tool_call('{"a":' * 100_000), '{"a":' * 100_000, id="endless nesting"),
        pytest.param(tool_call({}, arguments_json="{"), "{", id="bad original"),
    ],
)
def test_arguments_in_the_history_that_are_no_json_object_are_repaired_on_the_way(call, text):
    message = convert_message(assistant(calls=[call]))
    assert message["tool_calls"][0]["function"]["arguments"] == text
    (repaired,) = repair_tool_calls([message])
    sent = json.loads(repaired["tool_calls"][0]["function"]["arguments"])
    assert sent == {"invalid_json": text}
