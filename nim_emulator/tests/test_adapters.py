"""LoRA adapters: listed with their base model, and they answer in their own way."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from helpers import MODEL, WEATHER, Post, calls, content
from nim_emulator import EmulatorServer

ADAPTER = "team/adapter-a@v1"
OTHER = "team/adapter-b@v1"
EMBED = "nvidia/llama-nemotron-embed-1b-v2"
ADAPTERS = {ADAPTER: MODEL, OTHER: MODEL}


@pytest.mark.parametrize(
    ("dialect", "root"),
    [
        ("nim1", f"hf://{ADAPTER}"),
        ("nim1-1.15", f"hf://{ADAPTER}"),
        ("nim2", f"/loras/{ADAPTER}"),
        ("nim2-sglang", f"/loras/{ADAPTER}"),
        ("vllm", f"/loras/{ADAPTER}"),
    ],
)
def test_the_list(http: httpx.Client, dialect: str, root: str) -> None:
    with EmulatorServer(dialect, adapters={ADAPTER: MODEL}) as nim:
        base, adapter = http.get(f"{nim.url}/v1/models").json()["data"]
    assert (base["id"], base["root"], base["parent"]) == (MODEL, MODEL, None)
    assert (adapter["id"], adapter["root"], adapter["parent"]) == (ADAPTER, root, MODEL)
    assert (base["max_model_len"], adapter["max_model_len"]) == (8192, None)
    assert set(base) == set(adapter)
    assert base["owned_by"] == adapter["owned_by"]


@pytest.mark.parametrize("dialect", ["nim1", "nim2"])
def test_answers(chat: Post, complete: Post, dialect: str) -> None:
    with EmulatorServer(dialect, adapters=ADAPTERS) as nim:
        answers = [chat(nim, model=model) for model in (MODEL, ADAPTER, OTHER)]
        assert [answer.json()["model"] for answer in answers] == [MODEL, ADAPTER, OTHER]
        texts = [content(answer) for answer in answers]
        assert len(set(texts)) == 3
        assert ADAPTER in texts[1]
        assert content(chat(nim, model=ADAPTER)) == texts[1]
        assert content(chat(nim)) == texts[0]
        text = complete(nim, model=ADAPTER, max_tokens=50).json()["choices"][0]["text"]
        assert text.startswith(f" This is {ADAPTER}. ")
        called = chat(nim, "Weather in Paris", model=ADAPTER, tools=[WEATHER])
        assert calls(called)[0][0] == "get_weather"


def test_answers_of_the_base_stay_as_they_are(chat: Post) -> None:
    with EmulatorServer(adapters=ADAPTERS) as nim, EmulatorServer() as plain:
        assert content(chat(nim)) == content(chat(plain))


def test_an_adapter_of_an_embedding_model(http: httpx.Client) -> None:
    with EmulatorServer("vllm", [EMBED], adapters={ADAPTER: EMBED}) as nim:
        answers = [
            http.post(f"{nim.url}/v1/embeddings", json={"model": model, "input": "hi"}).json()
            for model in (EMBED, ADAPTER)
        ]
    base, own = (answer["data"][0]["embedding"] for answer in answers)
    assert len(base) == len(own) == 2048
    assert base != own


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"adapters": {"a": "no/model"}}, "none of the models"),
        ({"adapters": {MODEL: MODEL}}, "a name that no model has"),
        ({"adapters": {"": MODEL}}, "a name that no model has"),
        ({"adapters": {"a": MODEL}, "dialect": "hosted"}, "hosted has no adapters"),
        ({"max_batch": 0}, "max_batch must be at least 1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        EmulatorServer(**settings)
