import copy
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.model_facts.registry import profile_of
from llama_stack_provider_nvidia.nim.requests.field_mapping import map_fields
from llama_stack_provider_nvidia.nim.requests.thinking import (
    apply_reasoning,
    is_reasoning_enabled,
    parse_reasoning_setting,
)

USER = {"role": "user", "content": "hi"}
SYSTEM = {"role": "system", "content": "Be brief."}

DETAILED = "nvidia/llama-3.3-nemotron-super-49b-v1"
SUPER15 = "nvidia/llama-3.3-nemotron-super-49b-v1.5"
NANO9 = "nvidia/nvidia-nemotron-nano-9b-v2"
NANO3 = "nvidia/nemotron-3-nano"
SUPER3 = "nvidia/nemotron-3-super-120b-a12b"
OMNI = "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning"
QWEN = "qwen/qwen3-235b-a22b"
DEEPSEEK = "deepseek-ai/deepseek-v4-flash"
KIMI = "moonshotai/kimi-k2.6"
MINIMAX = "minimaxai/minimax-m3"
MISTRAL = "mistralai/mistral-small-4-119b-2603"
GLM52 = "z-ai/glm-5.2"
GEMMA4 = "google/gemma-4-31b-it"
GPT_OSS = "openai/gpt-oss-120b"
R1 = "deepseek-ai/deepseek-r1"
LLAMA = "meta/llama-3.1-8b-instruct"

NIMS = [dialect for dialect in Dialect if dialect is not Dialect.GENERIC]


def body_of(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [SYSTEM, USER], **fields}


def added(model: str, setting: Any, dialect: str, **fields: Any) -> dict[str, Any]:
    """The fields that the setting adds to a request, or changes in it."""
    body = body_of(model, **fields)
    before = copy.deepcopy(body)
    result = apply_reasoning(body, setting, profile_of(model), Dialect(dialect))
    assert body == before
    return {key: value for key, value in result.items() if body.get(key) != value}


def system(line: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": f"{line}\nBe brief."}, USER]}


def kwargs(**arguments: Any) -> dict[str, Any]:
    return {"chat_template_kwargs": arguments}


SWITCHES = [
    (DETAILED, system("detailed thinking on"), system("detailed thinking off")),
    (SUPER15, system("/think"), system("/no_think")),
    (NANO9, system("/think"), system("/no_think")),
    (NANO3, kwargs(enable_thinking=True), kwargs(enable_thinking=False)),
    (SUPER3, kwargs(enable_thinking=True), kwargs(enable_thinking=False)),
    (OMNI, kwargs(enable_thinking=True), kwargs(enable_thinking=False)),
    (QWEN, kwargs(enable_thinking=True), kwargs(enable_thinking=False)),
    (GEMMA4, kwargs(enable_thinking=True), kwargs(enable_thinking=False)),
    (DEEPSEEK, kwargs(thinking=True), kwargs(thinking=False)),
    (KIMI, kwargs(thinking=True), kwargs(thinking=False)),
    (MINIMAX, kwargs(thinking_mode="enabled"), kwargs(thinking_mode="disabled")),
    (MISTRAL, {"reasoning_effort": "high"}, {"reasoning_effort": "none"}),
    (GLM52, {"reasoning_effort": "high"}, {"reasoning_effort": "none"}),
]


@pytest.mark.parametrize("dialect", NIMS)
@pytest.mark.parametrize(("model", "on", "off"), SWITCHES)
def test_switch(model: str, on: Any, off: Any, dialect: Dialect) -> None:
    assert added(model, "on", dialect) == on
    assert added(model, "off", dialect) == off


@pytest.mark.parametrize(("model", "on", "off"), SWITCHES)
def test_another_server_is_sent_only_what_any_takes(model: str, on: Any, off: Any) -> None:
    for setting, expected in (("on", on), ("off", off)):
        if "chat_template_kwargs" in expected:
            with pytest.raises(InvalidRequestError, match=r"dialect generic: .*set `dialect`"):
                added(model, setting, "generic")
        else:
            assert added(model, setting, "generic") == expected


NVEXT = {"nvext": {"max_thinking_tokens": 500}}
VLLM = {"thinking_token_budget": 500}
TOP = {"reasoning_budget": 500}
ON = kwargs(enable_thinking=True)
TEMPLATE = kwargs(enable_thinking=True, reasoning_budget=500)
PAIR = {"max_thinking_tokens": 500, "min_thinking_tokens": 1}

# What a budget of 500 adds, by dialect; a dialect that is not named has none.
BUDGETS = {
    DETAILED: {
        "nim1": NVEXT | system("detailed thinking on"),
        "nim2-vllm": VLLM | system("detailed thinking on"),
    },
    SUPER15: {"nim1": NVEXT | system("/think"), "nim2-vllm": VLLM | system("/think")},
    NANO9: {
        "nim1": NVEXT | system("/think"),
        "nim2-vllm": VLLM | system("/think"),
        "hosted": PAIR | system("/think"),
    },
    NANO3: {"nim1": NVEXT | ON, "nim2-vllm": VLLM | ON, "hosted": TOP | ON},
    SUPER3: {"nim1": TEMPLATE, "nim2-vllm": VLLM | ON, "hosted": TOP | ON},
    OMNI: {"nim1": TEMPLATE, "nim2-vllm": VLLM | ON, "hosted": TOP | ON},
    QWEN: {"nim1": NVEXT | ON, "nim2-vllm": VLLM | ON},
    DEEPSEEK: {
        "nim1": NVEXT | kwargs(thinking=True),
        "nim2-vllm": VLLM | kwargs(thinking=True),
    },
    GLM52: {
        "nim1": NVEXT | {"reasoning_effort": "high"},
        "nim2-vllm": VLLM | {"reasoning_effort": "high"},
    },
    R1: {"nim1": NVEXT, "nim2-vllm": VLLM},
    GPT_OSS: {},
    MISTRAL: {},
    GEMMA4: {},
}


@pytest.mark.parametrize("dialect", NIMS)
@pytest.mark.parametrize("model", BUDGETS)
def test_budget(model: str, dialect: Dialect) -> None:
    if expected := BUDGETS[model].get(dialect):
        assert added(model, 500, dialect) == expected
        return
    with pytest.raises(InvalidRequestError) as caught:
        added(model, 500, dialect)
    text = str(caught.value)
    assert f"thinking: 500 cannot be had of {model} in the dialect {dialect}" in text
    assert "no such limit" in text
    assert "on or off" in text
    assert ("ask a NIM that has one (nim1, nim2-vllm" in text) == bool(BUDGETS[model])


def test_a_budget_above_what_the_catalogue_takes() -> None:
    assert added(SUPER3, 32_768, "hosted")["reasoning_budget"] == 32_768
    # The number ages: it is sent, and a refusal of the NIM's is explained.
    assert added(SUPER3, 32_769, "hosted")["reasoning_budget"] == 32_769


def test_what_is_there_stays_there() -> None:
    result = added(NANO3, 7, "nim1", nvext={"top_k": 3}, chat_template_kwargs={"a": 1})
    assert result == {
        "nvext": {"top_k": 3, "max_thinking_tokens": 7},
        "chat_template_kwargs": {"a": 1, "enable_thinking": True},
    }
    assert added(NANO3, "on", "nim1", nvext=None, chat_template_kwargs=None) == ON


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER], [{"role": "system", "content": "/think"}, USER]),
        ([], [{"role": "system", "content": "/think"}]),
        ([{"role": "system", "content": ""}], [{"role": "system", "content": "/think"}]),
        ([{"role": "system", "content": None}], [{"role": "system", "content": "/think"}]),
        (
            [{"role": "developer", "content": "x"}, USER],
            [{"role": "developer", "content": "/think\nx"}, USER],
        ),
        (
            [{"role": "system", "content": [{"type": "text", "text": "x"}]}],
            [
                {
                    "role": "system",
                    "content": [{"type": "text", "text": "/think"}, {"type": "text", "text": "x"}],
                }
            ],
        ),
        # A path, or a word in passing, is no switch.
        (
            [{"role": "system", "content": "See docs/think and /thinking, a/no_think, /think/x"}],
            [
                {
                    "role": "system",
                    "content": "/think\nSee docs/think and /thinking, a/no_think, /think/x",
                }
            ],
        ),
        # What the user says is not the caller's setting.
        (
            [{"role": "user", "content": "/no_think"}],
            [{"role": "system", "content": "/think"}, {"role": "user", "content": "/no_think"}],
        ),
    ],
)
def test_the_switch_is_the_first_line_of_the_first_message(messages: Any, expected: Any) -> None:
    body = {"model": NANO9, "messages": messages}
    result = apply_reasoning(body, "on", profile_of(NANO9), Dialect.NIM1)
    assert result["messages"] == expected


OWN = [
    {"reasoning_effort": "low"},
    {"reasoning": {"effort": "low"}},
    {"reasoning_budget": 5},
    {"thinking": {"type": "disabled"}},
    {"thinking_token_budget": 5},
    {"max_thinking_tokens": 5},
    {"min_thinking_tokens": 5},
    {"nvext": {"max_thinking_tokens": 0}},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"chat_template_kwargs": {"low_effort": True}},
    {"chat_template_args": {"thinking": True}},
]


@pytest.mark.parametrize("own", OWN, ids=str)
@pytest.mark.parametrize("model", [NANO3, DETAILED, MISTRAL, GPT_OSS, LLAMA, "who/knows"])
def test_a_request_that_decides_itself_stays_as_it_is(model: str, own: dict[str, Any]) -> None:
    for setting in ("on", "off", 100):
        assert added(model, setting, "nim1", **own) == {}


@pytest.mark.parametrize("field", ["reasoning_effort", "thinking", "thinking_token_budget"])
def test_null_decides_nothing(field: str) -> None:
    assert added(NANO3, "on", "nim1", **{field: None}) == ON


@pytest.mark.parametrize(
    "content", ["/no_think", "Be brief. /no_think", "/think\nBe brief.", [{"text": "/think"}]]
)
def test_a_system_message_that_switches_itself(content: Any) -> None:
    messages = [{"role": "system", "content": content}, USER]
    for setting in ("on", "off", 9):
        assert added(SUPER15, setting, "nim1", messages=messages) == {}


def test_unset_changes_nothing() -> None:
    for model in (NANO3, LLAMA, "who/knows"):
        assert added(model, None, "nim1") == {}


def test_what_holds_anyway_needs_nothing() -> None:
    for dialect in Dialect:
        assert added(LLAMA, "off", dialect) == {}
        assert added(GPT_OSS, "on", dialect) == {}
        assert added(R1, "on", dialect) == {}


@pytest.mark.parametrize(
    ("model", "setting", "problem"),
    [
        (LLAMA, "on", "does not reason: leave `thinking` unset"),
        (LLAMA, 5, "does not reason"),
        (GPT_OSS, "off", "always reasons: send `reasoning_effort`"),
        (R1, "off", "always reasons: choose a model"),
        ("who/knows", "on", "is not known: leave `thinking` unset"),
        ("who/knows", "off", "is not known"),
        ("who/knows", 5, "is not known"),
    ],
)
def test_refused(model: str, setting: Any, problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        added(model, setting, "nim2-vllm")
    assert caught.value.field == "thinking"
    assert model in str(caught.value)
    assert "nim2-vllm" in str(caught.value)


@pytest.mark.parametrize("setting", ["on", 100])
def test_early_nemotron_calls_tools_only_while_it_does_not_think(setting: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(InvalidRequestError, match="calls tools only while"):
        added(DETAILED, setting, "nim1", tools=tools)
    assert added(DETAILED, "off", "nim1", tools=tools) == system("detailed thinking off")
    assert added(SUPER15, "on", "nim1", tools=tools) == system("/think")


def test_a_text_completion_has_no_switch() -> None:
    body = {"model": NANO3, "prompt": "x"}
    with pytest.raises(InvalidRequestError, match="text completion"):
        apply_reasoning(body, "on", profile_of(NANO3), Dialect.NIM2_VLLM)
    assert apply_reasoning(body, None, profile_of(NANO3), Dialect.NIM2_VLLM) == body


@pytest.mark.parametrize("dialect", NIMS)
@pytest.mark.parametrize("setting", ["on", "off", 500])
@pytest.mark.parametrize("model", [NANO3, SUPER3, NANO9])
def test_it_fits_what_place_writes(model: str, setting: Any, dialect: Dialect) -> None:
    placed = map_fields(body_of(model, temperature=1), dialect)
    if setting == 500 and dialect not in BUDGETS[model]:
        return
    result = apply_reasoning(placed, setting, profile_of(model), dialect)
    assert apply_reasoning(result, setting, profile_of(model), dialect) == result


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        (None, None),
        ("", None),
        ("on", "on"),
        ("OFF", "off"),
        (True, "on"),
        (False, "off"),
        ("true", "on"),
        ("no", "off"),
        (2048, 2048),
        (" 2048 ", 2048),
        (1, 1),
    ],
)
def test_setting(value: object, setting: Any) -> None:
    assert parse_reasoning_setting(value) == setting


@pytest.mark.parametrize("value", ["maybe", 0, -1, "0", "-5", 1.5, [], {}, "1e3"])
def test_no_setting(value: object) -> None:
    with pytest.raises(InvalidRequestError, match="it must be on, off, or"):
        parse_reasoning_setting(value)


@pytest.mark.parametrize(
    ("model", "fields", "thinks"),
    [
        (LLAMA, {}, False),
        (R1, {}, True),
        ("who/knows", {}, None),
        (NANO3, {}, None),
        (NANO3, kwargs(enable_thinking=True), True),
        (NANO3, kwargs(enable_thinking=False), False),
        (NANO3, kwargs(enable_thinking=[]), None),
        (NANO3, {"chat_template_args": {"enable_thinking": True}}, True),
        (MINIMAX, kwargs(thinking_mode="enabled"), True),
        (MINIMAX, kwargs(thinking_mode="disabled"), False),
        (MINIMAX, kwargs(thinking_mode="adaptive"), None),
        (MISTRAL, {}, None),
        (MISTRAL, {"reasoning_effort": "high"}, True),
        (MISTRAL, {"reasoning_effort": "none"}, False),
        (NANO9, {}, None),
        (NANO9, system("/think"), True),
        (NANO9, system("/no_think"), False),
        (NANO9, {"messages": None}, None),
        *((model, {"reasoning_effort": "none"}, False) for model in ("who/knows", NANO3, NANO9)),
        *((model, {"thinking": False}, False) for model in ("who/knows", NANO3, NANO9)),
        ("who/knows", {"thinking": {"type": "disabled"}}, False),
        ("who/knows", {"thinking": {"type": "enabled"}}, None),
        ("who/knows", {"reasoning_effort": "low"}, None),
        # What the model's own switch says goes before, and what always reasons does.
        (NANO3, {"reasoning_effort": "none", **kwargs(enable_thinking=True)}, True),
        (NANO9, {"reasoning_effort": "none", **system("/think")}, True),
        (R1, {"reasoning_effort": "none"}, True),
        (GPT_OSS, {"reasoning_effort": "none"}, True),
    ],
)
def test_is_thinking(model: str, fields: dict[str, Any], thinks: bool | None) -> None:
    assert is_reasoning_enabled(body_of(model) | fields, profile_of(model)) is thinks
