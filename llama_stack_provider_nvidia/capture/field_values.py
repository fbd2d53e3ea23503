"""A good and a bad value for each row of the field tables, and what shows that one was obeyed."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CITY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
_CHOICES = ["north", "south"]
_REGEX = "[a-c]{3}-[0-9]{2}"
_GRAMMAR = 'root ::= "yes" | "no"'


def _fits_schema(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return value in ({"city": "Paris"}, {"city": "Rome"})


@dataclass(frozen=True)
class FieldValues:
    """Values to send for one row.

    Attributes:
        good: A NIM that takes the feature accepts it.
        bad: A NIM that looks at the feature refuses it.
        beside: Fields that ``good`` makes sense with.
        is_obeyed: Whether a text shows that ``good`` was obeyed; None where none can.
        depends_on: What decides, beside the kind of NIM, whether ``good`` is taken.
    """

    good: Any
    bad: Any
    beside: Mapping[str, Any] | None = None
    is_obeyed: Callable[[str], bool] | None = None
    depends_on: str | None = None


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}


FIELD_VALUES: Mapping[str, FieldValues] = {
    "response_format": FieldValues(
        _format(CITY_SCHEMA), _format({"type": "no-such-type"}), is_obeyed=_fits_schema
    ),
    "structured_outputs.json": FieldValues(
        CITY_SCHEMA, {"type": "no-such-type"}, is_obeyed=_fits_schema
    ),
    "structured_outputs.regex": FieldValues(
        _REGEX, "[", is_obeyed=lambda text: re.fullmatch(_REGEX, text) is not None
    ),
    "structured_outputs.choice": FieldValues(_CHOICES, [], is_obeyed=lambda text: text in _CHOICES),
    "structured_outputs.grammar": FieldValues(
        _GRAMMAR, "root ::= (", is_obeyed=lambda text: text in ("yes", "no")
    ),
    "structured_outputs.whitespace_pattern": FieldValues(
        "[ ]?", 5, beside={"structured_outputs.json": CITY_SCHEMA}
    ),
    "top_k": FieldValues(5, -5),
    "repetition_penalty": FieldValues(1.1, -1),
    "ignore_eos": FieldValues(True, {"a": 1}),
    "min_p": FieldValues(0.1, 2),
    "min_tokens": FieldValues(2, -1),
    "stop_token_ids": FieldValues([5], "five"),
    "length_penalty": FieldValues(1.1, "long"),
    "thinking_token_budget": FieldValues(
        16, "much", depends_on="the model, and vLLM's option --reasoning-parser"
    ),
    "max_completion_tokens": FieldValues(4, -1),
    "logit_bias": FieldValues({"5": 1}, {"5": 101}),
    "best_of": FieldValues(2, {"a": 1}),
    "echo": FieldValues(True, {"a": 1}),
    "suffix": FieldValues("end", {"a": 1}, depends_on="the model"),
    "metadata": FieldValues({"a": "b"}, "text"),
    "prompt_cache_key": FieldValues("k", {"a": 1}),
    "prompt_cache_retention": FieldValues("24h", {"a": 1}),
    "safety_identifier": FieldValues("s", {"a": 1}),
    "service_tier": FieldValues("auto", {"a": 1}),
    "store": FieldValues(False, {"a": 1}),
    "user": FieldValues("me", {"a": 1}),
}
EMBEDDING_FIELD_VALUES: Mapping[str, FieldValues] = {
    "input_type": FieldValues("query", "no-such-type"),
    "truncate": FieldValues("END", "no-such-side"),
}
