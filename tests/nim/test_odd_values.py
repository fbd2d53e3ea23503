"""Fields of requests that hold a value of another type: a plan, or an error that names one."""

from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.discovery.finding import Finding
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.plan import plan_request
from llama_stack_provider_nvidia.nim.requests.field_table import FIELD_ALIASES, FIELD_TABLE
from llama_stack_provider_nvidia.nim.settings import Settings

SAID = [{"role": "user", "content": "hi"}]
CALLER = {"role": "assistant", "content": None}
FUNCTION = {"type": "function"}
FORMAT = {"type": "json_schema"}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, float("nan"), 10**400, "", "x", "\ud800"),
    *([], [1], ["a"], [None], {}, {"a": 1}, {"type": "x"}),
    *(FORMAT, {**FORMAT, "json_schema": 5}, {**FORMAT, "json_schema": {"schema": 5}}),
    *([{}], [FUNCTION], [{**FUNCTION, "function": 5}], [{**FUNCTION, "function": {"name": 5}}]),
    [{"type": "custom", "name": "x"}],
]
"""Values of types that a field does not have."""

ODD_MESSAGES: list[Any] = [
    *([5], [{}], [{"role": 5}], [{"role": "user", "content": 5}]),
    [{"role": "user", "content": [5]}],
    *([{**CALLER, "tool_calls": one}] for one in (5, [5], [{}], [{"function": 5}])),
    [{**CALLER, "tool_calls": [{"function": {"arguments": 5}}]}],
]
OTHERS = (
    *("n", "stream", "stream_options", "tools", "tool_choice", "response_format", "nvext"),
    *("structured_outputs", "chat_template_kwargs", "chat_template_args", "max_tokens"),
    *("temperature", "top_p", "stop", "seed", "suffix", "functions", "thinking", "reasoning"),
)
INNER = {
    "structured_outputs": ("json", "regex", "choice", "grammar", "json_object", "x"),
    "nvext": (*FIELD_ALIASES, "x"),
    "chat_template_kwargs": ("enable_thinking", "thinking"),
    "stream_options": ("include_usage",),
}
FIELDS = sorted({row.field.partition(".")[0] for row in FIELD_TABLE} | {*FIELD_ALIASES, *OTHERS})


def odd_fields() -> list[dict[str, Any]]:
    """One field, or one within another, with each odd value."""
    top = [{name: value} for name in FIELDS for value in ODD]
    inner = [{name: {one: value}} for name, ones in INNER.items() for one in ones for value in ODD]
    return [*top, *inner, *({"messages": messages} for messages in ODD_MESSAGES)]


@pytest.mark.parametrize("validated", [False, True], ids=["trusted", "validated"])
@pytest.mark.parametrize("model", ["m", "nvidia/llama-3.3-nemotron-super-49b-v1"])
@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_value_of_another_type_is_sent_or_refused(
    dialect: Dialect, model: str, validated: bool
) -> None:
    finding, settings = Finding(dialect, "a test says so"), Settings(validate=validated)
    planned = 0
    for fields in odd_fields():
        for asked in ({"messages": SAID}, {"prompt": "a"}):
            if "prompt" in asked and "messages" in fields:
                continue
            try:
                plan_request({"model": model, **asked, **fields}, finding, settings)
            except InvalidRequestError:
                continue
            except Exception as error:
                error.add_note(f"{asked} with {fields}")
                raise
            planned += 1
    assert planned > 500
