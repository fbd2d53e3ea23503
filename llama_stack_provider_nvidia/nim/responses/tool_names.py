"""Names of the tools of a request, and of calls that have a piece of the chat template behind."""

from collections.abc import Collection, Mapping
from typing import Any

_MARK = "<|"


def offered_names(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of a request's tools, as far as they are functions."""
    functions = [tool.get("function") for tool in body.get("tools") or () if isinstance(tool, dict)]
    names = [one.get("name") for one in functions if isinstance(one, dict)]
    return frozenset(name for name in names if isinstance(name, str))


class ToolNameCleaner:
    """Cuts a template's tokens off the names of tool calls, such as ``f<|channel|>commentary``.

    gpt-oss writes them, and engines hand them on (vLLM issue 32587). Only a name that was offered
    is made of one that was not. A stage of ``nim.completions``; it changes chunks in place.
    """

    def __init__(self, offered: Collection[str]) -> None:
        """Begin a response.

        Args:
            offered: Names of the tools of the request.
        """
        self._offered = offered

    def feed(self, chunk: Any) -> list[Any]:
        """Take a chunk of a stream, or a whole response."""
        for choice in chunk.choices or ():
            message = getattr(choice, "message", None)
            written = message if message is not None else choice.delta
            for call in getattr(written, "tool_calls", None) or ():
                function = getattr(call, "function", None)
                name = getattr(function, "name", None)
                if name and _MARK in name and name not in self._offered:
                    clean = name.partition(_MARK)[0].strip()
                    if function is not None and clean in self._offered:
                        function.name = clean
        return [chunk]

    def close(self) -> list[Any]:
        """Return nothing: nothing is held back."""
        return []
