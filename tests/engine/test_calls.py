"""The calls of an application, to every engine and on every route.

A model of random weights writes nonsense: a test relies on what an engine enforces, and on nothing
that a model knows.
"""

import json
import re
from typing import Any

import jsonschema
import pytest

from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.config import NVIDIAConfig
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT
from scripts.engine.kinds import Kind
from scripts.engine.running import Engine

from .callers import Answer, Caller
from .requests import COUNT, GRAMMAR, HELLO, NAMED, SCHEMA, WEATHER, conversation

feature = pytest.mark.feature


@feature("found")
async def test_it_is_found_without_being_named(engine: Engine, kind: Kind, served: str) -> None:
    adapter = await get_adapter_impl(NVIDIAConfig(url=engine.url), {})
    try:
        assert (await adapter.endpoint.finding()).dialect == kind.dialect
        assert (await adapter.health())["status"] == "OK"
        found = {one.id: one for one in await adapter.endpoint.catalogue.models()}
        assert found[served].context_length == 2048
    finally:
        await adapter.shutdown()


@feature("chat")
def test_chat(caller: Caller) -> None:
    answer = caller.chat(HELLO, max_tokens=16)
    assert answer.text
    assert len(answer.reasons) == 1


@feature("chat_stream")
def test_a_streamed_chat_is_the_whole_one_in_pieces(caller: Caller) -> None:
    pieces = []
    # What a fast engine has written while nobody looked comes in one piece.
    for said in (HELLO, COUNT, [{"role": "user", "content": "Say something of the sea."}]):
        whole = caller.chat(said, max_tokens=60)
        streamed = caller.chat(said, max_tokens=60, stream=True)
        assert (streamed.text, streamed.reasons) == (whole.text, whole.reasons)
        pieces.append(streamed.pieces)
    assert max(pieces) > 1


@feature("completion")
def test_completion(caller: Caller) -> None:
    answer = caller.completion("Once upon a time", max_tokens=12)
    assert answer.text
    assert len(answer.reasons) == 1


@feature("completion_stream")
def test_a_streamed_completion_is_the_whole_one_in_pieces(caller: Caller) -> None:
    pieces = []
    # A model with random weights may end a text after a few tokens, which come in one piece.
    for prompt in ("Once upon a time", "Count from one", "The sea is", "In the year 1900"):
        whole = caller.completion(prompt, max_tokens=60)
        streamed = caller.completion(prompt, max_tokens=60, stream=True)
        assert (streamed.text, streamed.reasons) == (whole.text, whole.reasons)
        pieces.append(streamed.pieces)
    assert max(pieces) > 1


@feature("max_tokens")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_max_tokens_end_the_answer(caller: Caller, stream: bool) -> None:
    assert caller.chat(COUNT, max_tokens=5, stream=stream).reasons == ["length"]


@feature("usage")
def test_token_counts(caller: Caller) -> None:
    assert caller.chat(COUNT, max_tokens=5).tokens == 5


@feature("usage_stream")
def test_token_counts_of_a_stream(caller: Caller) -> None:
    options = {"include_usage": True}
    assert caller.chat(COUNT, max_tokens=5, stream=True, stream_options=options).tokens == 5


@feature("stop")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_stop_sequences_end_the_answer(caller: Caller, stream: bool) -> None:
    full = caller.chat(COUNT, max_tokens=24).text
    stop = full[5:8]
    cut = caller.chat(COUNT, max_tokens=24, stop=[stop], stream=stream)
    assert (cut.text, cut.reasons) == (full[: full.index(stop)], ["stop"])


@feature("top_k")
def test_one_candidate_is_the_best(caller: Caller) -> None:
    best = caller.chat(HELLO, max_tokens=16).text
    assert caller.chat(HELLO, max_tokens=16, temperature=1, top_k=1).text == best


@feature("n")
def test_several_choices(caller: Caller) -> None:
    answer = caller.chat(HELLO, max_tokens=8, n=2, temperature=1)
    assert sorted(answer.texts) == [0, 1]
    assert len(answer.reasons) == 2


@feature("logprobs")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_log_probabilities_of_a_chat(caller: Caller, stream: bool) -> None:
    check_logprobs(caller.chat(COUNT, max_tokens=6, logprobs=2, stream=stream))


@feature("logprobs_completion")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_log_probabilities_of_a_completion(caller: Caller, stream: bool) -> None:
    check_logprobs(caller.completion("The quick", max_tokens=6, logprobs=2, stream=stream))


def check_logprobs(answer: Answer) -> None:
    assert len(answer.logprobs) == 6
    for token in answer.logprobs:
        assert 2 <= len(token) <= 3  # the one that was taken may come beside the best
        assert all(value <= 0 for value in token)


@feature("schema")
def test_a_json_schema_is_obeyed(caller: Caller) -> None:
    jsonschema.validate(json.loads(caller.chat(HELLO, schema=SCHEMA, max_tokens=200).text), SCHEMA)


@feature("schema_stream")
def test_a_json_schema_is_obeyed_in_a_stream(caller: Caller) -> None:
    answer = caller.chat(HELLO, schema=SCHEMA, max_tokens=200, stream=True)
    jsonschema.validate(json.loads(answer.text), SCHEMA)


@feature("schema_completion")
def test_a_json_schema_is_obeyed_in_a_completion(caller: Caller) -> None:
    answer = caller.completion("A city:", schema=SCHEMA, max_tokens=200)
    jsonschema.validate(json.loads(answer.text), SCHEMA)


@feature("regex")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_regular_expression_is_obeyed(caller: Caller, stream: bool) -> None:
    answer = caller.chat(HELLO, regex="[a-c]{4}", max_tokens=20, stream=stream)
    assert re.fullmatch("[a-c]{4}", answer.text)


@feature("choice")
@pytest.mark.parametrize("api", ["chat", "completion"])
def test_a_choice_is_obeyed(caller: Caller, api: str) -> None:
    ask: Any = caller.chat if api == "chat" else caller.completion
    given = HELLO if api == "chat" else "Go:"
    assert ask(given, choice=["left", "right"], max_tokens=20).text in ("left", "right")


@feature("grammar")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_grammar_is_obeyed(caller: Caller, stream: bool) -> None:
    answer = caller.chat(HELLO, grammar=GRAMMAR, max_tokens=40, stream=stream)
    assert re.fullmatch("(north|south)(-(north|south))?", answer.text)


@feature("tool_auto")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tools_that_may_be_called(caller: Caller, stream: bool) -> None:
    answer = caller.chat(HELLO, tools=[WEATHER], max_tokens=60, stream=stream)
    assert answer.text or answer.calls
    for name, arguments in answer.calls:
        assert (name, type(arguments)) == ("get_weather", dict)
    assert answer.reasons in (["tool_calls"], ["stop"], ["length"])


@feature("tool_required")
def test_a_required_tool_is_called(caller: Caller) -> None:
    check_call(caller.chat(HELLO, tools=[WEATHER], tool_choice="required", max_tokens=300))


@feature("tool_named")
def test_a_named_tool_is_called(caller: Caller) -> None:
    check_call(caller.chat(HELLO, tools=[WEATHER], tool_choice=NAMED, max_tokens=200))


@feature("tool_stream")
def test_a_streamed_call_is_put_together(caller: Caller) -> None:
    fields = {"tools": [WEATHER], "tool_choice": NAMED, "max_tokens": 200}
    streamed = caller.chat(HELLO, stream=True, **fields)
    check_call(streamed)
    assert streamed.calls == caller.chat(HELLO, **fields).calls


def check_call(answer: Answer) -> None:
    name, arguments = answer.calls[0]
    assert name == "get_weather"
    jsonschema.validate(arguments, WEATHER["function"]["parameters"])  # type: ignore[index]


@feature("tool_result")
def test_a_tools_result_goes_back(caller: Caller) -> None:
    messages = conversation('{"city": "Paris", "days": 1}')
    assert caller.chat(messages, tools=[WEATHER], max_tokens=24).text


@feature("broken_call")
@pytest.mark.parametrize("arguments", ['{"city": "Par', "Paris", "", "[1]"])
async def test_a_broken_call_does_not_end_the_conversation(
    engine: Engine, served: str, arguments: str
) -> None:
    messages = [*conversation(arguments), {"role": "user", "content": "Continue."}]
    assert (await provider_answer(engine, served, messages)).choices


@feature("reasoning")
async def test_the_model_sees_its_earlier_reasoning(engine: Engine, served: str) -> None:
    async def tokens(**turn: str) -> int:
        earlier = {"role": "assistant", "content": "4", **turn}
        messages = [*HELLO, earlier, {"role": "user", "content": "And?"}]
        return int((await provider_answer(engine, served, messages)).usage.prompt_tokens)

    thoughts = "Two and two are four, as we all know."
    added = {
        name: await tokens(**{name: thoughts}) - await tokens()
        for name in ("reasoning", "reasoning_content")
    }
    assert not [name for name, more in added.items() if more < 6], added


async def provider_answer(engine: Engine, served: str, messages: list[Any]) -> Any:
    """Ask without a server: older ones refuse such a history, or drop fields of it."""
    adapter = await get_adapter_impl(NVIDIAConfig(url=engine.url), {})
    try:
        body = {"model": served, "messages": messages, "max_tokens": 8, "stream": False}
        return await adapter.endpoint.complete(body, CHAT, key=None)
    finally:
        await adapter.shutdown()


@feature("embeddings")
def test_embeddings(caller: Caller, kind: Kind) -> None:
    assert kind.embedder is not None
    first, second = caller.embeddings(kind.embedder, input=["a cat", "a dog"])
    assert len(first) == len(second) == 8
    assert first != second
    assert caller.embeddings(kind.embedder, input=["a cat"], dimensions=4)[0] != first
