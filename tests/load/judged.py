"""The outcomes of a chat under a fault, one word for each."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import openai

from llama_stack_provider_nvidia.nim.errors import NIMError

RIGHT = "right answer"
CLEAR = "clear error"
UNCLEAR = "unclear error"
SHORT = "cut short, looks complete"
WRONG = "wrong answer, looks complete"
HANGS = "no end"
GOOD = (RIGHT, CLEAR)

TEXT = "1 2 3 4 5 6"
_READ_AS_SENT = {"cut-arguments", "text-arguments", "list-arguments"}
_NAMES = {"unknown-tool": "no_such_tool"}


@dataclass
class Seen:
    """The part of an answer that a caller has.

    Attributes:
        text: Its text; anything else than a text is as it came.
        calls: Of each tool call its id, name and arguments: an object, or what cannot be read.
        failed: Tool calls that were reported as unreadable.
    """

    text: Any = ""
    calls: list[tuple[Any, Any, Any]] = field(default_factory=list)
    failed: int = 0

    def add(self, text: Any) -> None:
        """Take a piece of the text."""
        if isinstance(text, str) and isinstance(self.text, str):
            self.text += text
        elif text is not None:
            self.text = text


def of_error(error: Exception) -> str:
    """Tell whether an error says that the NIM, or the way there, is at fault.

    An error of Python's own kind, such as ``'NoneType' object is not iterable``, tells neither a
    caller nor an operator what has happened.
    """
    known = (NIMError, openai.APIError, ConnectionError, TimeoutError)
    return CLEAR if isinstance(error, known) and str(error).strip() else UNCLEAR


def of_answer(order: dict[str, Any], seen: Seen) -> str:
    """Judge an answer that ended without an error."""
    if order["fault"] == "tool-calls":
        return _of_calls(str(order.get("kind", "no-index")), seen)
    text = seen.text or ""
    if seen.calls or not isinstance(text, str):
        return WRONG
    if text == TEXT or text == _sent_instead(order):
        return RIGHT
    return SHORT if TEXT.startswith(text) else WRONG


def _sent_instead(order: dict[str, Any]) -> str | None:
    """The text that is all there is, where the fault leaves no trace: nobody can know of more."""
    if order["fault"] == "no-content" or order.get("field") == "choices.*.message.content":
        return "" if order["fault"] != "wrong-type" else None
    # An event without data is none, by the rules of server-sent events.
    return TEXT[1:] if (order["fault"], order.get("kind")) == ("bad-json", "empty") else None


def _of_calls(kind: str, seen: Seen) -> str:
    name = _NAMES.get(kind, "get_weather")
    ids = [call[0] for call in seen.calls]
    if not all(ids) or (len(set(ids)) != len(ids) and kind != "same-id"):
        return WRONG
    if kind in _READ_AS_SENT and seen.failed == 2:
        return RIGHT
    if any(call[1] != name for call in seen.calls) or seen.failed:
        return WRONG
    found = Counter(json.dumps(call[2]) for call in seen.calls)
    if kind == "null-arguments":
        return RIGHT if sum(found.values()) == 2 and set(found) <= {"{}", '""', "null"} else WRONG
    if kind == "many" and len(seen.calls) == 1:
        return RIGHT if found == Counter([json.dumps({"n": "x" * 1000})]) else WRONG
    sent: dict[str, list[Any]] = {
        "cut-arguments": ['{"n": '] * 2,
        "text-arguments": ["n is 1", "n is 2"],
        "list-arguments": [[1], [2]],
    }
    expected = sent.get(kind, [{"n": 1}, {"n": 2}])
    return RIGHT if found == Counter(map(json.dumps, expected)) else WRONG


def arguments(value: Any) -> Any:
    """Read the arguments of a call, as a client does; what is no JSON stays as it is."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
