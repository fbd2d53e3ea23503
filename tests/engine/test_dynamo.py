"""The scripted worker behind Dynamo's front end: what no other engine can be made to do."""

import json

import httpx
import pytest

from scripts.engine.kinds import Kind
from scripts.engine.running import Engine

from .callers import Caller
from .requests import LONG, WEATHER


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_two_calls_at_once(caller: Caller, stream: bool) -> None:
    asked = [{"role": "user", "content": "both"}]
    answer = caller.chat(asked, tools=[WEATHER], max_tokens=200, stream=stream)
    assert answer.calls == [
        ("get_weather", {"city": "Paris", "days": 3}),
        ("get_weather", {"city": "Rome", "days": 1}),
    ]
    assert answer.reasons == ["tool_calls"]


def test_a_prompt_that_is_too_long_says_limit_and_actual(caller: Caller, kind: Kind) -> None:
    with pytest.raises(Exception, match=r"limit\W+2048.*actual\W+\d+"):
        caller.chat(LONG, max_tokens=4)


@pytest.mark.parametrize("field", ["input_type", "truncate"])
def test_a_field_that_dynamo_drops(engine: Engine, kind: Kind, field: str) -> None:

    body = {"model": kind.embedder, "input": ["a cat"], field: "query"}
    httpx.post(f"{engine.url}/v1/embeddings", json=body, trust_env=False).raise_for_status()
    said = [line for line in engine.said().splitlines() if line.startswith("embedding ")]
    arrived = json.loads(said[-1].removeprefix("embedding "))
    assert arrived["input"] == ["a cat"]
    assert field not in arrived
