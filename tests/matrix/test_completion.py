"""OpenAI-style completion."""

from typing import Any

import openai
import pytest

from nim_emulator import EmulatorServer

from .conftest import LLM, MODEL

pytestmark = pytest.mark.server


def test_a_completion_has_the_same_text_whole_and_streamed(
    client: openai.OpenAI, nim: EmulatorServer
) -> None:
    fields: Any = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 12, "seed": 3}
    whole = client.completions.create(**fields)
    body = nim.requests[-1].body
    body.pop("stream", None)
    assert body == {**fields, "model": LLM}
    (choice,) = whole.choices
    assert choice.finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 12
    chunks = list(client.completions.create(**fields, stream=True))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == choice.text
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert [reason for reason in reasons if reason] == ["length"]


def test_log_probabilities_of_a_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="Once", max_tokens=4, logprobs=1)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert len(logprobs.tokens or ()) == len(logprobs.token_logprobs or ()) == 4
