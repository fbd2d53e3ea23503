"""The tool of the examples: the function, and its description for a model."""

from typing import Any

_KNOWN = {"Paris": "21 degrees, clear sky", "Oslo": "4 degrees, snow"}


def get_weather(city: str) -> str:
    """Get the current weather in a city.

    :param city: Name of the city
    """
    print(f"  get_weather({city!r})")
    return _KNOWN.get(city, "unknown")


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
        },
    },
}
