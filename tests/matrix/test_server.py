"""The server's answers about models and providers, and the chats that it keeps."""

import json
import time
import urllib.request
from typing import Any

import openai
import pytest

from llama_stack_provider_nvidia import stack
from scripts.stack_server import StackServer

from . import release
from .conftest import EMBEDDER, LLM, MODEL, RERANKER
from .test_chat import TOOL, WEATHER, chat, streamed

pytestmark = pytest.mark.server


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def ids(client: Any) -> set[str]:
    return {getattr(model, "identifier", None) or model.id for model in client.models.list()}


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert MODEL in {model.id for model in client.models.list()} | {
        model.id.split("/", 1)[1] for model in client.models.list()
    }


def test_the_release_s_own_client_lists_models(own_client: Any) -> None:
    listed = own_client.models.list()
    entries = getattr(listed, "data", listed)
    found = {getattr(entry, "identifier", None) or entry.id for entry in entries}
    assert any(name.endswith(MODEL) for name in found)


def test_the_nim_s_models_are_found_where_the_release_asks(
    server: StackServer, client: openai.OpenAI
) -> None:
    """In run.yaml there is no reranker."""
    names = {model.id for model in client.models.list()}
    has_kind = "rerank" in stack.KINDS
    assert (f"nvidia/{RERANKER}" in names) == (release.LISTS_MODELS and has_kind)
    assert any(name.endswith(f"nvidia/{EMBEDDER}") for name in names)


def test_the_provider_is_ours_and_tells_its_health(server: StackServer) -> None:
    providers = get(f"{server.url}/v1/providers")["data"]
    ours = {entry["provider_id"]: entry for entry in providers if entry["api"] == "inference"}
    assert {entry["provider_type"] for entry in ours.values()} == {"remote::nvidia"}
    told = {name: entry["health"]["status"] for name, entry in ours.items()}
    if release.TELLS_HEALTH:
        assert told == {"nvidia": "OK", "nim1": "OK", "guarded": "OK", "down": "Error"}
    else:
        assert set(told.values()) == {"Not Implemented"}


def kept(client: openai.OpenAI, chat_id: str) -> Any:
    """A chat that the server has stored: some releases store it a little later."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return client.chat.completions.retrieve(chat_id)
        except openai.APIError:  # some close the connection of an error
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_chats_can_be_read_back(client: openai.OpenAI) -> None:
    whole = chat(client)
    assert kept(client, whole.id).choices[0].message.content == whole.choices[0].message.content
    assert whole.id in {entry.id for entry in client.chat.completions.list().data}


def test_streamed_chats_can_be_read_back(client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    chunks = streamed(client, logprobs=True, top_logprobs=1, stream_options=options)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    (choice,) = kept(client, chunks[0].id).choices
    assert choice.message.content == text
    assert choice.finish_reason == "stop"
    assert "".join(token.token for token in choice.logprobs.content) == text


def test_streamed_tool_calls_can_be_read_back(client: openai.OpenAI) -> None:
    chunks = streamed(client, WEATHER, tools=[TOOL])
    calls = kept(client, chunks[0].id).choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Tokyo"]


def test_models_are_called_by_the_nim_s_names(adapter: Any) -> None:
    assert LLM in MODEL
    assert adapter.provider_data_api_key_field == "nvidia_api_key"
