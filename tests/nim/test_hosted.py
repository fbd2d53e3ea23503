import copy
import dataclasses
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests.hosted import check_hosted
from llama_stack_provider_nvidia.nim.requests.profiles import HostedRules, profile_of

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
    result = check_hosted(body, profile_of(model))
    assert body == before
    return result


def asked(model: str, *messages: Any) -> list[Any]:
    return list(shaped(model, messages=list(messages))["messages"])


def refused(field: str, problem: str, model: str, **fields: Any) -> None:
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        shaped(model, **fields)
    assert caught.value.field == field
    assert f"{model} on NVIDIA's hosted catalogue" in str(caught.value)


@pytest.mark.parametrize("model", [LLAMA, NEMOTRON3, UNKNOWN])
def test_a_plain_request_stays_as_it_is(model: str) -> None:
    fields = {"temperature": 0.5, "max_tokens": 100, "stop": ["x"], "seed": 1, "tools": [TOOL]}
    body = {"model": model, "messages": [USER], "stream": True, **fields}
    assert check_hosted(body, profile_of(model)) == body


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
    assert check_hosted(body, profile_of(NEMOTRON3))["stream"] is False


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
    refused("messages[1].role", "put its text into a user message", model, messages=messages)


@pytest.mark.parametrize("model", [VISION, MUSE, KIMI, UNKNOWN])
def test_images_for_models_that_see(model: str) -> None:
    message = {"role": "user", "content": [IMAGE, TEXT]}
    assert asked(model, message) == [message]


@pytest.mark.parametrize("model", [LLAMA, NEMOTRON3, "openai/gpt-oss-20b"])
def test_images_for_models_that_do_not(model: str) -> None:
    messages = [{"role": "user", "content": [TEXT, IMAGE]}]
    refused("messages[0].content[1]", "no image_url: choose a model", model, messages=messages)


def test_only_users_show_images() -> None:
    messages = [{"role": "assistant", "content": [IMAGE]}]
    refused("messages[0].content[0]", "put it into a user message", VISION, messages=messages)


def test_too_many_images() -> None:
    messages = [{"role": "user", "content": [IMAGE]}, {"role": "user", "content": [TEXT, IMAGE]}]
    refused("messages[1].content[1]", "takes 1 in a request", VISION, messages=messages)
    assert asked(MUSE, *messages) == messages
    assert asked("meta/llama-4-scout-17b-16e-instruct", *messages) == messages


def test_an_inline_image_that_is_too_large() -> None:
    message = {"role": "user", "content": [inline(180_000)]}
    assert asked(VISION, message) == [message]
    messages = [{"role": "user", "content": [inline(180_001)]}]
    refused("messages[0].content[0]", "make it smaller, send its URL", VISION, messages=messages)
    assert asked(MUSE, *messages) == messages


def test_an_image_may_be_its_url() -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": "https://e.com/a"}]}
    assert asked(VISION, message) == [message]


def test_no_system_message_with_an_image() -> None:
    # Its hosted schema has no system role to begin with; a NIM of one's own may have.
    profile = dataclasses.replace(profile_of(VISION), hosted=HostedRules())
    system = {"role": "system", "content": "x"}
    body = {"model": VISION, "messages": [system, {"role": "user", "content": [IMAGE]}]}
    with pytest.raises(InvalidRequestError, match="no system message with an image"):
        check_hosted(body, profile)
    assert check_hosted({**body, "messages": [system, USER]}, profile)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_earlier_thinking(name: str) -> None:
    message = {"role": "assistant", "content": "a", name: "because"}
    assert asked(LLAMA, message) == [{"role": "assistant", "content": "a"}]
    kept = {"role": "assistant", "content": "a", "reasoning_content": "because"}
    assert asked(KIMI, message) == [kept]
    assert asked(MUSE, {**message, name: ""}) == [{"role": "assistant", "content": "a"}]


@pytest.mark.parametrize("model", [VISION, LLAMA_3B, GEMMA])
def test_no_tools(model: str) -> None:
    refused("tools", "takes no tools", model, tools=[TOOL])


def test_tool_choices_a_family_does_not_have() -> None:
    refused("tool_choice", "takes auto, named, none", MUSE, tools=[TOOL], tool_choice="required")
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
    refused(name, "takes 4096 at most, and it is 4097: lower it", LLAMA, **{name: 4097})
    assert shaped(UNKNOWN, **{name: 10**6})[name] == 10**6


def test_seeds_are_not_negative() -> None:
    refused("seed", "must be 0 or more", LLAMA, seed=-1)


def test_temperature() -> None:
    assert shaped(LLAMA, temperature=0)["temperature"] == 0
    assert shaped(LLAMA, temperature=1)["temperature"] == 1
    refused("temperature", "takes 1.0 at most, and it is 1.5", LLAMA, temperature=1.5)
    assert shaped(UNKNOWN, temperature=1.5)["temperature"] == 1.5


@pytest.mark.parametrize("zero", [0, 0.0])
def test_greedy_where_temperature_0_is_refused(zero: float) -> None:
    result = shaped(NEMOTRON3, temperature=zero, top_p=0.9)
    assert (result["temperature"], result["top_p"]) == (0.01, 0.01)
    assert shaped(NEMOTRON3, temperature=0.2)["temperature"] == 0.2
    assert "temperature" not in shaped(NEMOTRON3)


def test_a_text_completion() -> None:
    body = {"model": "bigcode/starcoder2-7b", "prompt": "def", "max_tokens": 5}
    assert check_hosted(body, profile_of(body["model"])) == {**body, "stream": False}
