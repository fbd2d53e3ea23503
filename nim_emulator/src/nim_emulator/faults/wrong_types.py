"""Wrong values for each field of a response."""

from __future__ import annotations

from typing import Any

_LISTS: tuple[Any, ...] = (None, "text", 5, {})

WRONG_TYPES: dict[str, tuple[Any, ...]] = {
    "id": (None, 7, {}),
    "object": (None, 7, "something.else"),
    "created": (None, "now", -1, 1e300, 1.5),
    "model": (None, 7, []),
    "choices": (None, {}, "text", 5, [None], [5], ["text"], [[]], [{}]),
    "choices.*.index": (None, "0", -1, 99, 0.5, {}),
    "choices.*.finish_reason": (5, {}, [], True),
    "choices.*.logprobs": (5, "text", [], {"content": 5}, {"content": [None]}, {"content": [{}]}),
    "choices.*.message": (None, [], "text", 5),
    "choices.*.message.role": (None, 5, "robot", []),
    "choices.*.message.content": (5, {}, True, [{"type": "text", "text": "part"}], [None]),
    "choices.*.message.reasoning_content": (5, {}, []),
    "choices.*.message.tool_calls": (5, {}, "text", [None], [5], [[]], [{}]),
    "choices.*.text": (5, {}, [], True),
    "usage": (5, "text", [], {"prompt_tokens": "many"}, {"prompt_tokens": 1.5}),
    "data": _LISTS,
    "data.*.index": (None, "0", -1, 99),
    "data.*.embedding": (None, 5, {}, "no base64!", [None], ["text"], [[]]),
    "rankings": _LISTS,
    "rankings.*.index": (None, "0", -1, 99),
    "rankings.*.logit": (None, "high", {}),
}
"""By path of the field; see the fault ``wrong-type``."""

EXAMPLES = tuple(
    {"field": path, "value": value} for path, values in WRONG_TYPES.items() for value in values
)
