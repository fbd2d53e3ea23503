"""Requests and checks that the suite shares."""

from typing import Any

HELLO = [{"role": "user", "content": "Hello."}]
COUNT = [{"role": "user", "content": "Please count to 500, one number after the other."}]
LONG = [{"role": "user", "content": "word " * 3000}]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Paris", "Tokyo"]},
        "people": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["city", "people"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Tokyo"]}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
GRAMMAR = 'root ::= word ("-" word)?\nword ::= "north" | "south"'


def conversation(arguments: str) -> list[dict[str, Any]]:
    """Return a conversation with a tool call and its result."""
    function = {"name": "get_weather", "arguments": arguments}
    call = {"id": "call_abc", "type": "function", "function": function}
    return [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_abc", "content": "Sunny."},
    ]
