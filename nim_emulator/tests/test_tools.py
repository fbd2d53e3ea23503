"""Tool calls: when they happen, with which arguments, and how they are streamed."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from openai import OpenAI

from helpers import CLOCK, MODEL, WEATHER, Post, calls, content, error, events, message
from nim_emulator import EmulatorServer

TWO_CITIES = "What is the weather in Paris and in Tokyo?"
NAMED = {"type": "function", "function": {"name": "read_clock"}}


def tool(parameters: Any, name: str = "fill_form", description: str = "") -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        (TWO_CITIES, {}, [("get_weather", "Paris"), ("get_weather", "Tokyo")]),
        (TWO_CITIES, {"parallel_tool_calls": False}, [("get_weather", "Paris")]),
        ("The weather in New York, please", {}, [("get_weather", "New York")]),
        ("How is the weather?", {}, [("get_weather", "text")]),
        ("Use GET_WEATHER now", {}, [("get_weather", "GET_WEATHER")]),
        ("Read the clock", {}, [("read_clock", None)]),
        ("Weather and clock", {}, [("get_weather", "text"), ("read_clock", None)]),
        ("Hello", {}, []),
        ("Hello", {"tool_choice": "required"}, [("get_weather", "text")]),
        ("Read the clock", {"tool_choice": "required"}, [("read_clock", None)]),
        ("Hello", {"tool_choice": NAMED}, [("read_clock", None)]),
        (TWO_CITIES, {"tool_choice": NAMED}, [("read_clock", None)]),
        (TWO_CITIES, {"tool_choice": "none"}, []),
    ],
)
def test_which_tools_are_called(
    nim: EmulatorServer,
    chat: Post,
    said: str,
    fields: dict[str, Any],
    expected: list[tuple[str, str | None]],
) -> None:
    answer = chat(nim, said, tools=[WEATHER, CLOCK], **fields)
    found = [(name, arguments.get("city")) for name, arguments in calls(answer)]
    assert found == expected
    reason = answer.json()["choices"][0]["finish_reason"]
    named = fields.get("tool_choice") is NAMED
    # vLLM reports "stop" for a named tool.
    assert reason == ("stop" if named or not expected else "tool_calls")


def test_ids_are_unique_and_repeatable(nim: EmulatorServer, chat: Post) -> None:
    def ids(**fields: Any) -> list[str]:
        answer = chat(nim, TWO_CITIES, tools=[WEATHER], **fields)
        return [call["id"] for call in message(answer)["tool_calls"]]

    first = ids()
    assert len(set(first)) == 2
    assert all(item.startswith("chatcmpl-tool-") for item in first)
    assert ids() == first
    assert ids(seed=8) != first


def test_no_call_after_a_tool_result(nim: EmulatorServer, chat: Post) -> None:
    said = [
        {"role": "user", "content": TWO_CITIES},
        {"role": "tool", "tool_call_id": "x", "content": "sunny"},
    ]
    assert "sunny" in content(chat(nim, said, tools=[WEATHER]))


@pytest.mark.parametrize(
    ("said", "parameters", "expected"),
    [
        ("fill_form", None, {}),
        ("fill_form", True, {}),
        ("fill_form", {}, {}),
        ("fill_form for 3 and 4.5", {"properties": {
            "a": {"type": "integer"}, "b": {"type": "number"}},
            "required": ["a", "b"]}, {"a": 3, "b": 4.5}),
        ("fill_form", {"properties": {"n": {"type": "integer", "minimum": 7}},
            "required": ["n"]}, {"n": 7}),
        ("fill_form in fahrenheit", WEATHER["function"]["parameters"],
            {"city": "text", "unit": "fahrenheit"}),
        ("fill_form", {"type": "object", "properties": {"tags": {"type": "array",
            "items": {"type": "string"}}}, "required": ["tags"]}, {"tags": ["text"]}),
        ("fill_form: Ada in Paris", {"type": "object", "properties": {
            "who": {"type": "string"}, "where": {"type": "string"}},
            "required": ["who", "where"]}, {"who": "Paris", "where": "text"}),
    ],
)  # fmt: skip
def test_arguments(
    nim: EmulatorServer, chat: Post, said: str, parameters: Any, expected: dict[str, Any]
) -> None:
    ((name, arguments),) = calls(chat(nim, said, tools=[tool(parameters)]))
    assert name == "fill_form"
    assert arguments == expected or said.startswith("fill_form:")
    if parameters is not None:
        jsonschema.validate(arguments, parameters)


def test_names_that_do_not_fit_are_left_out(nim: EmulatorServer, chat: Post) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 5}},
        "required": ["city"],
    }
    said = "fill_form for Paris and Reykjavik and Tokyo"
    found = calls(chat(nim, said, tools=[tool(parameters)]))
    assert [arguments["city"] for _, arguments in found] == ["Paris", "Tokyo"]


def test_impossible_parameters_are_refused(nim: EmulatorServer, chat: Post) -> None:
    for parameters in (False, {"type": "string"}, {"properties": {"a": False}, "required": ["a"]}):
        answer = chat(nim, "fill_form", tools=[tool(parameters)])
        assert answer.status_code == 400
        assert "Invalid parameters of tool 'fill_form'" in error(answer)["message"]


def test_content_beside_calls(nim: EmulatorServer, chat: Post) -> None:
    assert message(chat(nim, "Clock?", tools=[CLOCK]))["content"] is None
    forced = message(chat(nim, "Hi", tools=[CLOCK], tool_choice="required"))
    assert forced["content"] == ("" if nim.settings.dialect == "nim2" else None)


def test_no_arguments(nim1: EmulatorServer, nim2: EmulatorServer, chat: Post) -> None:
    for nim, text in ((nim1, ""), (nim2, "{}")):
        (call,) = message(chat(nim, "Clock?", tools=[CLOCK]))["tool_calls"]
        assert call["function"]["arguments"] == text


def test_calls_count_as_tokens(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, "The weather in Paris", tools=[WEATHER]).json()
    assert answer["usage"]["completion_tokens"] > 4
    bare = chat(nim, "The weather in Paris").json()
    assert answer["usage"]["prompt_tokens"] > bare["usage"]["prompt_tokens"] + 10


@pytest.mark.parametrize("max_tokens", [1, 3, 4, 6])
def test_max_tokens_cuts_calls(nim: EmulatorServer, chat: Post, max_tokens: int) -> None:
    fields = {"tools": [WEATHER], "max_tokens": max_tokens}
    answer = chat(nim, TWO_CITIES, **fields)
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == max_tokens
    if max_tokens > 3:
        assert choice["message"]["content"].startswith('{"name": "get_weather", "parameters": {')
    assert not choice["message"].get("tool_calls")
    chunks = events(chat(nim, TWO_CITIES, stream=True, **fields))
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["choices"][0]["delta"] == {}


def test_max_tokens_leaves_complete_calls(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, TWO_CITIES, tools=[WEATHER], max_tokens=8)
    assert calls(answer) == [("get_weather", {"city": "Paris"})]
    assert answer.json()["choices"][0]["finish_reason"] == "length"


def test_constraint_beats_auto(nim2: EmulatorServer, chat: Post) -> None:
    fields = {"tools": [WEATHER], "structured_outputs": {"choice": ["sunny", "rainy"]}}
    answer = chat(nim2, TWO_CITIES, **fields)
    assert content(answer) in ("sunny", "rainy")
    answer = chat(nim2, TWO_CITIES, tool_choice="required", **fields)
    assert calls(answer)


def assembled(chunks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Put calls together as clients of every NIM must: by index, else to the last one."""
    found: list[list[str]] = []
    for chunk in chunks:
        for part in chunk["choices"][0]["delta"].get("tool_calls", []):
            if "id" in part:
                found.append([part["function"]["name"], ""])
            place = part.get("index", len(found) - 1)
            found[place][1] += part["function"].get("arguments", "")
    return [(name, arguments) for name, arguments in found]


@pytest.mark.parametrize("style", [None, "fragments", "whole", "two-part"])
@pytest.mark.parametrize("said", [TWO_CITIES, "Read the clock", "weather, clock"])
def test_streamed_calls(nim: EmulatorServer, chat: Post, style: str | None, said: str) -> None:
    headers = {} if style is None else {"x-emulator-tool-stream": style}
    tools = [WEATHER, CLOCK]
    whole = [
        (name, json.dumps(arguments)) for name, arguments in calls(chat(nim, said, tools=tools))
    ]
    chunks = events(chat(nim, said, tools=tools, stream=True, headers=headers))
    found = [(name, arguments or "{}") for name, arguments in assembled(chunks)]
    assert found == whole
    first, *rest, last = [chunk["choices"][0] for chunk in chunks]
    nim2 = nim.settings.dialect == "nim2"
    assert first["delta"] == {"role": "assistant", "content": "" if nim2 else None}
    assert last["finish_reason"] == "tool_calls"
    assert all(choice["finish_reason"] is None for choice in rest)
    parts = [part for choice in rest for part in choice["delta"]["tool_calls"]]
    actual = style or ("fragments" if nim2 else "two-part")
    assert all(("index" in part) == (nim2 or actual == "fragments") for part in parts)
    if actual == "whole":
        assert len(parts) == len(whole)
    elif actual == "two-part":
        assert all(part["function"].get("arguments") == "" for part in parts if "id" in part)
    else:
        assert all("arguments" not in part["function"] for part in parts if "id" in part)


def test_missing_index_and_arguments_of_nim1(nim1: EmulatorServer, chat: Post) -> None:
    chunks = events(chat(nim1, "Read the clock", tools=[CLOCK], stream=True))
    (part,) = [c["choices"][0]["delta"] for c in chunks if "tool_calls" in c["choices"][0]["delta"]]
    (call,) = part["tool_calls"]
    assert "index" not in call
    assert call["function"] == {"name": "read_clock", "arguments": ""}


def test_unknown_style_is_refused(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, stream=True, headers={"x-emulator-tool-stream": "slices"})
    assert answer.status_code == 400
    assert "x-emulator-tool-stream" in error(answer)["message"]


def test_server_wide_style(chat: Post) -> None:
    with EmulatorServer(tool_stream="whole") as nim:
        chunks = events(chat(nim, "Weather in Paris", tools=[WEATHER], stream=True))
    assert len(chunks) == 3
    assert assembled(chunks) == [("get_weather", '{"city": "Paris"}')]


def test_openai_client(nim: EmulatorServer, client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": TWO_CITIES}],
        tools=[WEATHER],  # type: ignore[list-item]
    )
    tool_calls = answer.choices[0].message.tool_calls
    assert tool_calls is not None
    assert [call.type for call in tool_calls] == ["function", "function"]
