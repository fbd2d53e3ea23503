"""Chats that the server keeps, read back as they were answered."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from nim_emulator import EmulatorServer
from tests.conformance.answers import plain, summary, unlike
from tests.conformance.cases import CHAT, HELLO, TOOL, WEATHER, Case

from .conftest import MODEL
from .test_server import kept

pytestmark = pytest.mark.server

KEPT = [
    Case("text", CHAT, {"messages": HELLO}),
    Case("tool calls", CHAT, {"messages": WEATHER, "tools": [TOOL]}),
    Case("several answers", CHAT, {"messages": HELLO, "n": 3, "temperature": 1, "seed": 1}),
    Case("several calls", CHAT, {"messages": WEATHER, "tools": [TOOL], "n": 2, "seed": 1}),
    Case("log probabilities", CHAT, {"messages": HELLO, "logprobs": True, "top_logprobs": 2}),
]
# What a server keeps of a choice; some keep all of a whole answer.
PARTS = ("content", "finish_reason", "index", "logprobs", "tool_calls")


@pytest.fixture(scope="module")
def stored_by(openai_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=openai_url, api_key="none", max_retries=0) as made:
        yield made


def parts(answer: Any) -> dict[int, dict[str, Any]]:
    """The choices of an answer, without what a server may leave out of them."""
    found = {}
    for index, choice in summary(answer)["choices"].items():
        found[index] = {name: choice.get(name) for name in PARTS}
        calls = choice["tool_calls"].values()
        found[index]["tool_calls"] = [{k: call[k] for k in ("id", "function")} for call in calls]
    return found


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.name)
def test_what_was_answered_is_kept(
    stored_by: openai.OpenAI, nim: EmulatorServer, case: Case, streamed: bool
) -> None:
    fields: Any = {**case.fields, "model": MODEL}
    answer: Any = stored_by.chat.completions.create(**fields, stream=streamed)
    told = [plain(chunk) for chunk in answer] if streamed else plain(answer)
    name = told[0]["id"] if streamed else told["id"]
    found = plain(kept(stored_by, name))
    assert found["model"].endswith(MODEL)
    assert found["id"] == name
    assert [message["role"] for message in found["input_messages"]] == ["user"]
    assert found["input_messages"][0]["content"] == case.fields["messages"][0]["content"]
    assert unlike(parts(told), parts(found)) == []
    assert name in {entry.id for entry in stored_by.chat.completions.list().data}


def test_a_chat_with_reasoning_is_kept(stored_by: openai.OpenAI, nim: EmulatorServer) -> None:
    message = {"role": "assistant", "content": "4", "reasoning": "2 and 2"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    nim.script([{"path": "/v1/chat/completions", "body": body}])
    messages: Any = HELLO
    whole = stored_by.chat.completions.create(model=MODEL, messages=messages)
    assert kept(stored_by, whole.id).choices[0].message.content == "4"
    deltas = [{"role": "assistant", "reasoning": "2 and 2"}, {"content": "4"}]
    events: list[Any] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"]
    nim.script([{"path": "/v1/chat/completions", "sse": events}])
    chunks = list(stored_by.chat.completions.create(model=MODEL, messages=messages, stream=True))
    assert kept(stored_by, chunks[0].id).choices[0].message.content == "4"


def test_chats_are_listed_page_by_page(stored_by: openai.OpenAI) -> None:
    messages: Any = HELLO
    made = []
    for _ in range(3):
        made.append(stored_by.chat.completions.create(model=MODEL, messages=messages).id)
        kept(stored_by, made[-1])
    first = stored_by.chat.completions.list(limit=2)
    assert len(first.data) == 2
    assert first.has_more
    names = {entry.id for entry in stored_by.chat.completions.list(limit=100).data}
    assert names >= set(made)
