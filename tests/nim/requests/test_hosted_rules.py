import copy
import dataclasses
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.model_facts.profile import HostedRules
from llama_stack_provider_nvidia.nim.model_facts.registry import profile_of
from llama_stack_provider_nvidia.nim.requests.hosted_rules import apply_hosted_rules
from llama_stack_provider_nvidia.nim.requests.refusals import explain_refusal

LLAMA = "meta/llama-3.1-8b-instruct"
LLAMA_3B = "meta/llama-3.2-3b-instruct"
VISION = "meta/llama-3.2-90b-vision-instruct"
NEMOTRON3 = "nvidia/nemotron-3-super-120b-a12b"
MUSE = "meta/muse-glimmer-30b"
KIMI = "moonshotai/kimi-k2.6"
GEMMA = "google/gemma-3-27b-it"
UNKNOWN = "who/knows"

USER = {"role": "user", "content": "hi"}
TEXT = {"type": "text", "text": "what is it?"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}


def inline(characters: int) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * characters}}


def shaped(model: str, **fields: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [USER], "stream": True, **fields}
    before = copy.deepcopy(body)
    result = apply_hosted_rules(body, profile_of(model))
    assert body == before
    return result


def asked(model: str, *messages: Any) -> list[Any]:
    return list(shaped(model, messages=list(messages))["messages"])


def explained(problem: str, model: str, **fields: Any) -> None:
    """It is sent, and a refusal of the NIM's is explained by what the schema has."""
    sent = shaped(model, **fields)
    for name, value in fields.items():
        assert sent[name] == value
    text = explain_refusal(sent, profile_of(model), Dialect.HOSTED)
    assert text
    assert text.startswith(f"By the published schema of 2026-10, {model} ")
    assert problem in text
    assert "`model_overrides`" in text


def unexplained(model: str, **fields: Any) -> None:
    assert explain_refusal(shaped(model, **fields), profile_of(model), Dialect.HOSTED) is None


@pytest.mark.parametrize("model", [LLAMA, NEMOTRON3, UNKNOWN])
def test_a_plain_request_stays_as_it_is(model: str) -> None:
    fields = {"temperature": 0.5, "max_tokens": 100, "stop": ["x"], "seed": 1, "tools": [TOOL]}
    body = {"model": model, "messages": [USER], "stream": True, **fields}
    assert apply_hosted_rules(body, profile_of(model)) == body


def test_what_says_nothing_is_left_out() -> None:
    result = shaped(LLAMA, stop=[], tools=[], logit_bias={}, seed=None, tool_choice="auto")
    assert result == {"model": LLAMA, "messages": [USER], "stream": True}
    message = {"role": "assistant", "content": None, "name": None, "tool_calls": [1]}
    assert asked(LLAMA, message) == [
        {"role": "assistant", "content": None, "tool_calls": [1]},
    ]


@pytest.mark.parametrize("choice", ["none", "auto"])
def test_the_use_of_no_tools(choice: str) -> None:
    assert "tool_choice" not in shaped(LLAMA, tool_choice=choice)
    assert "parallel_tool_calls" not in shaped(LLAMA, parallel_tool_calls=False)
    assert shaped(LLAMA, tools=[TOOL], tool_choice=choice)["tool_choice"] == choice
    # Who must have a call and offers no tools is told so by the server.
    assert shaped(LLAMA, tool_choice="required")["tool_choice"] == "required"


@pytest.mark.parametrize("stream", [None, False, True])
def test_stream_is_always_said(stream: bool | None) -> None:
    assert shaped(NEMOTRON3, stream=stream)["stream"] is bool(stream)
    body = {"model": NEMOTRON3, "messages": [USER]}
    assert apply_hosted_rules(body, profile_of(NEMOTRON3))["stream"] is False


@pytest.mark.parametrize("role", ["user", "system", "assistant", "tool"])
@pytest.mark.parametrize("model", [LLAMA, UNKNOWN])
def test_text_parts_become_a_string(model: str, role: str) -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "text"}]
    assert asked(model, {"role": role, "content": content}) == [{"role": role, "content": "a\nb\n"}]


def test_developer_is_systems_newer_name() -> None:
    assert asked(LLAMA, {"role": "developer", "content": "x"})[0]["role"] == "system"


@pytest.mark.parametrize(
    ("model", "role"),
    [
        (GEMMA, "system"),
        (GEMMA, "developer"),
        (VISION, "system"),
        (VISION, "tool"),
        (LLAMA_3B, "tool"),
        (LLAMA, "function"),
    ],
)
def test_roles_a_family_does_not_have(model: str, role: str) -> None:
    messages = [USER, {"role": role, "content": "x"}]
    sent = "system" if role == "developer" else role
    written = [USER, {"role": sent, "content": "x"}]
    problem = f"has no role {sent} (`messages[1].role`): put its text into a user message"
    explained(problem, model, messages=written)
    assert shaped(model, messages=messages)["messages"] == written


@pytest.mark.parametrize("model", [VISION, MUSE, KIMI, UNKNOWN])
def test_images_for_models_that_see(model: str) -> None:
    message = {"role": "user", "content": [IMAGE, TEXT]}
    assert asked(model, message) == [message]


@pytest.mark.parametrize("model", [LLAMA, NEMOTRON3, "openai/gpt-oss-20b"])
def test_images_for_models_that_do_not(model: str) -> None:
    messages = [{"role": "user", "content": [TEXT, IMAGE]}]
    explained("only text (`messages[0].content[1]`): choose a model", model, messages=messages)


def test_only_users_show_images() -> None:
    messages = [{"role": "assistant", "content": [IMAGE]}]
    problem = "only text of the role assistant (`messages[0].content[0]`): put it into a user"
    explained(problem, VISION, messages=messages)


def test_too_many_images() -> None:
    messages = [{"role": "user", "content": [IMAGE]}, {"role": "user", "content": [TEXT, IMAGE]}]
    problem = "takes 1 image(s) in a request, and there are 2 (`messages[1].content[1]`)"
    explained(problem, VISION, messages=messages)
    unexplained(MUSE, messages=messages)
    unexplained("meta/llama-4-scout-17b-16e-instruct", messages=messages)


def test_an_inline_image_that_is_too_large() -> None:
    unexplained(VISION, messages=[{"role": "user", "content": [inline(180_000)]}])
    messages = [{"role": "user", "content": [inline(180_001)]}]
    problem = "takes 180,000 characters of base64 for an image, and `messages[0].content[0]` has"
    explained(problem, VISION, messages=messages)
    explained("use a NIM of your own", VISION, messages=messages)
    # The limit of clients of the catalogue, where a model states none.
    explained(problem, MUSE, messages=messages)


def test_an_image_may_be_its_url() -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": "https://e.com/a"}]}
    assert asked(VISION, message) == [message]


def test_no_system_message_with_an_image() -> None:
    # Its hosted schema has no system role to begin with; a NIM of one's own may have.
    profile = dataclasses.replace(profile_of(VISION), hosted=HostedRules())
    system = {"role": "system", "content": "x"}
    body = {"model": VISION, "messages": [system, {"role": "user", "content": [IMAGE]}]}
    for dialect in Dialect:
        text = explain_refusal(apply_hosted_rules(body, profile), profile, dialect)
        assert text
        assert "no system message with an image" in text
        assert explain_refusal({**body, "messages": [system, USER]}, profile, dialect) is None


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_earlier_thinking(name: str) -> None:
    message = {"role": "assistant", "content": "a", name: "because"}
    assert asked(LLAMA, message) == [{"role": "assistant", "content": "a"}]
    kept = {"role": "assistant", "content": "a", "reasoning_content": "because"}
    assert asked(KIMI, message) == [kept]
    assert asked(MUSE, {**message, name: ""}) == [{"role": "assistant", "content": "a"}]


@pytest.mark.parametrize("model", [VISION, LLAMA_3B, GEMMA])
def test_no_tools(model: str) -> None:
    explained("has no tools (`tools`)", model, tools=[TOOL])


def test_tool_choices_a_family_does_not_have() -> None:
    explained("takes auto, named, none", MUSE, tools=[TOOL], tool_choice="required")
    unexplained(MUSE, tools=[TOOL], tool_choice="auto")
    named = {"type": "function", "function": {"name": "f"}}
    assert shaped(MUSE, tools=[TOOL], tool_choice=named)["tool_choice"] == named
    assert shaped(MUSE, tools=[TOOL])["tools"] == [TOOL]


def test_tools_that_must_be_described() -> None:
    full = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}
    assert shaped(KIMI, tools=[TOOL])["tools"] == [{"type": "function", "function": full}]
    own = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    assert shaped(KIMI, tools=[{"function": own}])["tools"] == [{"function": own}]
    assert shaped(KIMI, tools=[{"type": "odd"}])["tools"] == [{"type": "odd"}]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_more_tokens_than_there_can_be(name: str) -> None:
    assert shaped(LLAMA, **{name: 4096})[name] == 4096
    unexplained(LLAMA, **{name: 4096})
    explained(f"takes 4096 at most for `{name}`: lower it", LLAMA, **{name: 4097})
    unexplained(UNKNOWN, **{name: 10**6})
    assert shaped(UNKNOWN, **{name: 10**6})[name] == 10**6


def test_seeds_are_not_negative() -> None:
    explained("takes no negative `seed`: it must be 0 or more", LLAMA, seed=-1)
    unexplained(LLAMA, seed=0)


def test_temperature() -> None:
    assert shaped(LLAMA, temperature=0)["temperature"] == 0
    assert shaped(LLAMA, temperature=1)["temperature"] == 1
    explained("takes 1.0 at most for `temperature`: lower it", LLAMA, temperature=1.5)
    unexplained(LLAMA, temperature=1)
    assert shaped(UNKNOWN, temperature=1.5)["temperature"] == 1.5


@pytest.mark.parametrize("zero", [0, 0.0])
def test_greedy_where_temperature_0_is_refused(zero: float) -> None:
    result = shaped(NEMOTRON3, temperature=zero, top_p=0.9)
    assert (result["temperature"], result["top_p"]) == (0.01, 0.01)
    assert shaped(NEMOTRON3, temperature=0.2)["temperature"] == 0.2
    assert "temperature" not in shaped(NEMOTRON3)


def test_a_text_completion() -> None:
    body = {"model": "bigcode/starcoder2-7b", "prompt": "def", "max_tokens": 5}
    assert apply_hosted_rules(body, profile_of(body["model"])) == {**body, "stream": False}


@pytest.mark.parametrize(
    ("model", "known"), [(LLAMA, True), ("bigcode/starcoder2-7b", False), (UNKNOWN, False)]
)
def test_a_text_completion_of_a_chat_model(model: str, known: bool) -> None:
    text = explain_refusal({"model": model, "prompt": "Once"}, profile_of(model), Dialect.HOSTED)
    assert ("has no text completion (`prompt`): ask for a chat" in (text or "")) == known


def test_a_budget_above_what_the_schema_has() -> None:
    fields = {"temperature": 0.5, "reasoning_budget": 32_769}
    explained("takes 32768 at most for `reasoning_budget`: lower `thinking`", NEMOTRON3, **fields)
    unexplained(NEMOTRON3, temperature=0.5, reasoning_budget=32_768)


@pytest.mark.parametrize("dialect", [d for d in Dialect if d is not Dialect.HOSTED])
def test_on_other_nims_only_what_the_model_cannot_do_explains_a_refusal(dialect: Dialect) -> None:
    body = {"model": VISION, "messages": [USER], "tools": [TOOL], "max_tokens": 10**6}
    text = explain_refusal(body, profile_of(VISION), dialect)
    assert text
    assert "By what was published by 2026-10" in text
    assert "was not made to call tools (`tools`)" in text
    assert "max_tokens" not in text
    blind = {"model": LLAMA, "messages": [{"role": "user", "content": [TEXT, IMAGE]}]}
    assert "sees no images (`messages[0].content[1]`)" in str(
        explain_refusal(blind, profile_of(LLAMA), dialect)
    )
    assert explain_refusal({"model": LLAMA, "messages": [USER]}, profile_of(LLAMA), dialect) is None
