import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_models.datatypes import BuiltinTool, ToolCall, ToolPromptFormat
from llama_models.llama3.tool_utils import ToolUtils

from llama_stack_provider_nvidia.nim.responses.text_tool_call_parser import (
    HOLD_LIMIT,
    TextToolCalls,
)

OFFERED = ("f", "g", "get_weather", "brave_search")
F = ("f", {"a": 1})
G = ("g", {"b": "x"})


def recover(text, offered, style):
    """The text without its calls, and the calls; None if there are none."""
    reader = TextToolCalls(offered, style)
    shown = reader.feed(text)
    rest, calls = reader.close()
    return (shown + rest, calls) if calls else None


def read(text, style="llama", offered=OFFERED):
    found = recover(text, offered, style)
    return found and (found[0], [(name, json.loads(args)) for name, args in found[1]])


@pytest.mark.parametrize(
    ("text", "before", "calls"),
    [
        ('{"name": "f", "parameters": {"a": 1}}', "", [F]),
        ('\n\n{"name": "f", "parameters": {"a": 1}}\n', "", [F]),
        ('{"type": "function", "name": "f", "parameters": {"a": 1}}', "", [F]),
        ('{"type":"function","function":{"name":"f","arguments":{"a":1}}}', "", [F]),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', "", [F]),
        ('{"name": "f", "parameters": null}', "", [("f", {})]),
        ('{"parameters": {"a": 1}, "name": "f"}', "", [F]),
        ('{"name": "f", "parameters": {"a": "two\nlines"}}', "", [("f", {"a": "two\nlines"})]),
        (
            '{"name": "f", "parameters": {"a": "}{\\"]"}}',
            "",
            [("f", {"a": '}{"]'})],
        ),
        (
            '{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {"b": "x"}}',
            "",
            [F, G],
        ),
        (
            '{"name": "f", "parameters": {"a": 1}}\n{"name": "g", "parameters": {"b": "x"}}',
            "",
            [F, G],
        ),
        (
            '[{"name": "f", "parameters": {"a": 1}}, {"name": "g", "parameters": {"b": "x"}}]',
            "",
            [F, G],
        ),
        ('[{"type": "function", "name": "f", "parameters": {"a": 1}}]', "", [F]),
        ('<function=f>{"a": 1}</function>', "", [F]),
        ("<function=g>{'b': 'x'}</function>", "", [G]),
        ('<function=f>{"a": "it\'s"} </function>', "", [("f", {"a": "it's"})]),
        ('<function=f>{"a": 1}', "", [F]),
        ('<function=f>{"a": 1} then', " then", [F]),
        ('Sure. <function=f>{"a": 1}</function>', "Sure. ", [F]),
        ('<function=f>{"a": 1}</function><function=g>{"b": "x"}</function>', "", [F, G]),
        ("[f(a=1)]", "", [F]),
        ('[f(a=1), g(b="x")]', "", [F, G]),
        ("[f(a=[1, {'k': None}])]", "", [("f", {"a": [1, {"k": None}]})]),
        ("[f()]", "", [("f", {})]),
        (r'[g(b="\d")]', "", [("g", {"b": r"\d"})]),
        ('<|python_tag|>{"name": "f", "parameters": {"a": 1}}', "", [F]),
        ("Wait. <|python_tag|> [f(a=1)]", "Wait. ", [F]),
        ('<|python_tag|><function=f>{"a": 1}</function>', "", [F]),
        (
            '<|python_tag|>brave_search.call(query="who (is) that")',
            "",
            [("brave_search", {"query": "who (is) that"})],
        ),
        ('brave_search.call(query="x")', "", [("brave_search", {"query": "x"})]),
        ('Let me see:\n{"name": "f", "parameters": {"a": 1}}', "Let me see:\n", [F]),
        ('{"name": "f", "parameters": {"a": 1}}\nDone.', "\nDone.", [F]),
        ('{"name": "f", "parameters": {"a": 1}}' + " " * 99, " " * 99, [F]),
        (r'{"name": "f", "parameters": {"a": "\ud800"}}', "", [("f", {"a": "\ud800"})]),
        ('{"name": "f", "parameters": {"a": "é"}}', "", [("f", {"a": "é"})]),
    ],
)
def test_llama(text, before, calls):
    assert read(text) == (before, calls)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello.",
        "  \n ",
        "A list [f, g] and an object {}.",
        'Write {"name": "f", "parameters": {"a": 1}} to call it.',
        '{"name": "Alice", "parameters": {}}',
        '{"name": "other", "parameters": {"a": 1}}',
        '{"name": "f"}',
        '{"name": "f", "parameters": {"a": 1}, "arguments": {"a": 1}}',
        '{"name": "f", "description": "defines it", "parameters": {"type": "object"}}',
        '{"name": "f", "parameters": [1]}',
        '{"name": "f", "parameters": "no JSON"}',
        '{"name": "f", "parameters": {"a": NaN}}',
        '{"name": "f", "parameters": {"a": 1e999}}',
        '{"name": "f", "parameters": {"a": 1}',
        '{"name": "f", "parameters": {"a": 1)}}',
        '{"type": "object", "properties": {}}',
        '{"type": 1, "function": "f", "parameters": {}}',
        '{"name": "f", "parameters": ' + "[" * 500,
        '[{"name": "f", "parameters": {"a": 1}}, {"name": "other", "parameters": {}}]',
        '[{"name": "f", "parameters": {"a": 1}}, 5]',
        "[f(a=1), other(b=2)]",
        "[f(1)]",
        "[f(a=x)]",
        "[f(**{'a': 1})]",
        "[f(a={1: 2, 'b': {(1, 2): 3}})]",
        "[f(a=b'x')]",
        "[f(a=1)",
        "[f(a=1), f]",
        "[f(a=\x00)]",
        "[f(a=" + "-" * 20_000 + "1)]",
        "[f(a=1" + "0" * 5_000 + ")]",
        "<function=other>{}</function>",
        "<function=f>no</function>",
        "<function=f>{a}</function>",
        "<func",
        "<|python_tag|>",
        "<|python_tag|>print(1)",
        'brave_search.call(query="x", n=1)',
        'brave_search.call(q="x")',
        'other.call(query="x")',
        '<TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL>',
    ],
)
def test_text_stays_text(text):
    assert recover(text, OFFERED, "llama") is None
    reader = TextToolCalls(OFFERED, "llama")
    shown = reader.feed(text)
    assert (shown + reader.close()[0]) == text


@pytest.mark.parametrize(
    ("text", "before", "calls"),
    [
        ('<TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL>', "", [F]),
        (
            'Yes.\n<TOOLCALL> [{"name": "f", "arguments": {"a": 1}}, '
            '{"name": "g", "arguments": {"b": "x"}}]\n</TOOLCALL>\n',
            "Yes.\n",
            [F, G],
        ),
        ('<TOOLCALL>{"name": "f"}</TOOLCALL> and more', " and more", [("f", {})]),
        ('<TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]', "", [F]),
        (
            '<TOOLCALL>[{"name": "g", "arguments": {"b": "</TOOLCALL>"}}]</TOOLCALL>',
            "",
            [("g", {"b": "</TOOLCALL>"})],
        ),
    ],
)
def test_nemotron(text, before, calls):
    assert read(text, "nemotron") == (before, calls)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "f", "parameters": {"a": 1}}',
        '<TOOLCALL>[{"name": "other", "arguments": {}}]</TOOLCALL>',
        "<TOOLCALL>none</TOOLCALL>",
        "<TOOLCALL>[]</TOOLCALL>",
        "<|python_tag|>x",
    ],
)
def test_text_of_nemotron_stays_text(text):
    assert recover(text, OFFERED, "nemotron") is None


def test_code_behind_the_tag_of_python_is_for_the_code_interpreter_where_it_was_offered():
    text = "<|python_tag|>print([1])\n"
    assert read(text, offered=("code_interpreter",)) == (
        "",
        [("code_interpreter", {"code": "print([1])"})],
    )
    assert read("<|python_tag|>  ", offered=("code_interpreter",)) is None
    long = "<|python_tag|>" + "x" * HOLD_LIMIT
    assert read(long, offered=("code_interpreter",)) is None


@pytest.mark.parametrize("offered", [(), ("",), ("a b", "(", "[f(")])
def test_without_tools_that_can_be_called_everything_is_text(offered):
    assert recover('{"name": "f", "parameters": {}}[f()', offered, "llama") is None


@pytest.mark.parametrize("style", list(ToolPromptFormat))
@pytest.mark.parametrize("arguments", [{"city": "Oslo", "days": 3}, {"city": None, "hot": True}])
def test_what_llama_models_writes_is_read(style, arguments):
    call = ToolCall(call_id="", tool_name="get_weather", arguments=arguments)
    assert read(ToolUtils.encode_tool_call(call, style)) == ("", [("get_weather", arguments)])


def test_what_llama_models_writes_for_search_is_read():
    call = ToolCall(call_id="", tool_name=BuiltinTool.brave_search, arguments={"query": "NIM"})
    text = ToolUtils.encode_tool_call(call, ToolPromptFormat.json)
    assert read(text) == ("", [("brave_search", {"query": "NIM"})])


def test_text_is_shown_at_once_and_the_beginning_of_a_call_is_held():
    reader = TextToolCalls(OFFERED, "llama")
    assert reader.feed("Hello") == "Hello"
    assert reader.feed(" [1]\n") == " [1]\n"
    assert reader.feed("get") == ""
    assert reader.feed("ting") == "getting"
    assert reader.feed('\n{"na') == "\n"
    assert reader.feed('me": "Al') == '{"name": "Al'
    assert reader.feed("\n") == "\n"
    assert reader.feed('{"name": "f", "parameters": {"a": 1}}') == ""
    assert reader.feed("\n") == ""
    assert reader.feed("<function=f>{}</func") == ""
    assert reader.close() == ("</func", [("f", '{"a": 1}'), ("f", "{}")])


def test_an_unfinished_call_is_text_in_the_end():
    reader = TextToolCalls(OFFERED, "llama")
    assert reader.feed('{"name": "f", ') == ""
    assert reader.close() == ('{"name": "f", ', [])


def test_a_call_is_held_up_to_the_limit():
    head, tail = '{"name": "f", "parameters": {"a": "', '"}}'
    fitting = head + "x" * (HOLD_LIMIT - len(head) - len(tail)) + tail
    assert read(fitting)[1]
    assert recover(head + "x" + fitting[len(head) :], OFFERED, "llama") is None
    reader = TextToolCalls(OFFERED, "llama")
    assert reader.feed(head + "x" * (HOLD_LIMIT - len(head) - 1)) == ""
    assert len(reader.feed("x")) == HOLD_LIMIT
    assert reader.feed("x") == "x"


@pytest.mark.parametrize(
    "text",
    [
        "{" * 60_000,
        '\n{"type":' * 20_000,
        '\n{"type":"\\' * 10_000,
        "\n[f(" * 20_000,
        "\n{" + " " * 60_000,
        "<function=f>{" * 10_000,
        "<|python_tag|>" * 6_000,
        "\n" * 60_000,
        '{"name":"f","parameters":{}}' * 1_000,
        "\n[f()" * 10_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_texts_take_little_time(text):
    before = time.process_time()
    recover(text, OFFERED, "llama")
    reader = TextToolCalls(OFFERED, "llama")
    for at in range(0, len(text), 100):
        reader.feed(text[at : at + 100])
    reader.close()
    assert time.process_time() - before < 15


PIECES = [
    *(
        '{"name": "f", "parameters": {"a": 1}}',
        '{"name": "',
        "f",
        '"',
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
    ),
    *("f(", "a=1", "get_weather", "brave_search", ".call(", 'query="x"', "<", "<function=", "f>"),
    *('{"a": 1}', "</function>", "<TOOLCALL>", "</TOOLCALL>", '[{"name": "g", "arguments": {}}]'),
    *("<|python_tag|>", "\n", " ", ";", ",", "\\", "'", '"', ":", "x", "é", "print(1)", '"type":'),
    *("[f(a=1)]", "\t" * 63, " " * 70),
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)
styles = st.sampled_from(["llama", "nemotron"])


@given(
    texts,
    styles,
    st.data(),
    st.sampled_from([OFFERED, ("f", "code_interpreter"), ()]),
)
def test_streamed_and_whole_agree_however_the_text_is_cut(text, style, data, offered):
    whole = recover(text, offered, style)
    reader = TextToolCalls(offered, style)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    shown = ""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        shown += reader.feed(text[start:end])
    rest, calls = reader.close()
    assert (shown + rest, calls) == (whole or (text, []))
    assert all(name in offered and isinstance(json.loads(args), dict) for name, args in calls)


@given(st.text() | texts, styles)
def test_one_character_at_a_time_gives_the_same(text, style):
    whole = recover(text, OFFERED, style)
    reader = TextToolCalls(OFFERED, style)
    shown = "".join(reader.feed(character) for character in text)
    rest, calls = reader.close()
    assert (shown + rest, calls) == (whole or (text, []))


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=3,
    )
)
def test_arguments_come_through_unchanged(arguments):
    text = json.dumps(arguments)
    for written in (f'{{"name": "f", "parameters": {text}}}', f"<function=f>{text}</function>"):
        assert read(written) == ("", [("f", arguments)])
    written = f'<TOOLCALL>[{{"name": "f", "arguments": {text}}}]</TOOLCALL>'
    assert read(written, "nemotron") == ("", [("f", arguments)])
