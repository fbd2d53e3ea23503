"""Properties of every answer and every request."""

import contextlib
import json
import warnings
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.convert import (
    convert_chat_completion_request,
    convert_completion_request,
)
from llama_stack_provider_nvidia.convert.param_types import json_schema_type
from llama_stack_provider_nvidia.convert.structured import check_schema, grammar_text
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError

from .. import strategies
from . import native_requests
from .answers import FORMS, completion, completions, events, message


def logprobs_of(entries: Any) -> list[dict[str, float]]:
    return [entry.logprobs_by_token for entry in entries or ()]


def check_grammar(made: list[Any]) -> None:
    """The order of events that clients of the native stream count on."""
    kinds = [event.event_type.value for event in made]
    assert kinds == ["start", *["progress"] * (len(made) - 2), "complete"]
    started = ended = 0
    for event in made[1:-1]:
        if event.delta.type == "text":
            assert event.stop_reason is None
            assert started == 0 or ended == 0
            continue
        status = event.delta.parse_status.value
        if status == "started":
            assert ended == 0
            started += 1
        elif status == "in_progress":
            assert started > 0
            assert ended == 0
            assert isinstance(event.delta.tool_call, str)
            assert event.delta.tool_call
        else:
            ended += 1
            if status == "succeeded":
                assert isinstance(event.delta.tool_call, stack.ToolCall)
        if status in ("started", "in_progress"):
            assert event.stop_reason is None
    assert started == ended
    assert made[0].stop_reason is None
    assert made[-1].stop_reason is not None


def as_read(calls: list[Any]) -> list[tuple[str, str, Any]]:
    return [(c.call_id, str(c.tool_name), json.loads(c.arguments_json)) for c in calls]


@given(st.data(), strategies.answers, st.sampled_from(FORMS))
async def test_streamed_and_whole_answers_read_the_same(data, answer, build):
    choice = strategies.whole_choice(answer)
    whole = message(
        build,
        **choice["message"],
        finish_reason=choice["finish_reason"],
        logprobs=choice["logprobs"],
    )
    made = await events(build, *data.draw(strategies.streamed_chunks(answer)))
    check_grammar(made)
    said = whole.completion_message

    texts = [event.delta.text for event in made if event.delta.type == "text"]
    assert "".join(texts) == said.content == answer.text

    ends = [e.delta for e in made if e.delta.type == "tool_call"]
    calls = [d.tool_call for d in ends if d.parse_status.value == "succeeded"]
    meant = [(call.id, call.name, call.arguments) for call in answer.calls]
    assert as_read(calls) == as_read(said.tool_calls) == meant

    assert made[-1].stop_reason == said.stop_reason
    told = [entry for event in made for entry in logprobs_of(event.logprobs)]
    expected = [token.native for token in answer.tokens] if answer.with_logprobs else []
    assert told == logprobs_of(whole.logprobs) == expected


@given(
    st.data(),
    st.lists(strategies.tokens, max_size=5),
    st.sampled_from(["stop", "length", "content_filter"]),
    st.sampled_from(FORMS),
)
async def test_streamed_and_whole_completions_read_the_same(data, tokens, finish_reason, build):
    def choice(group: list[Any], reason: str | None = None) -> dict[str, Any]:
        logprobs = {
            "tokens": [token.text for token in group],
            "token_logprobs": [token.logprob for token in group],
            "top_logprobs": [token.others for token in group],
        }
        text = "".join(token.text for token in group)
        return {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": reason}

    whole = completion(
        build, **{k: v for k, v in choice(tokens, finish_reason).items() if k != "index"}
    )
    groups = data.draw(strategies.cuts(tokens))
    chunks = [{"choices": [choice(group)]} for group in groups]
    chunks.append({"choices": [choice([], finish_reason)]})
    made = await completions(build, *chunks)

    assert "".join(chunk.delta for chunk in made) == whole.content
    told = [entry for chunk in made for entry in logprobs_of(chunk.logprobs)]
    assert told == logprobs_of(whole.logprobs) == [token.native for token in tokens]
    assert [c.stop_reason for c in made if c.stop_reason] == [whole.stop_reason]
    assert made[-1].stop_reason == whole.stop_reason


@given(native_requests.chat_requests)
def test_chat_request_becomes_json_that_keeps_every_text(request):
    payload = convert_chat_completion_request(request)
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    for native, sent in zip(request.messages, payload["messages"], strict=True):
        carried = sent.get("content", "")
        if isinstance(carried, list):
            carried = "\n".join(part.get("text", "") for part in carried)
        assert all(text in carried for text in native_requests.written(native.content))
        calls = getattr(native, "tool_calls", None) or []
        for call, told in zip(calls, sent.get("tool_calls", []), strict=True):
            assert json.loads(told["function"]["arguments"]) == call.arguments
            assert told["id"] == call.call_id
    assert payload["stream"] is request.stream
    assert ("logprobs" in payload) == (request.logprobs is not None)
    assert not {"n", "nvext", "tools", "tool_choice", "response_format"} & set(payload)


@given(native_requests.completion_requests)
def test_completion_request_becomes_json_that_keeps_every_text(request):
    payload = convert_completion_request(request)
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    assert all(text in payload["prompt"] for text in native_requests.written(request.content))
    assert payload.get("max_tokens", 0) == (request.sampling_params.max_tokens or 0)
    assert payload.get("stop", []) == (request.sampling_params.stop or [])


def problem_of(schema: Any) -> str | None:
    try:
        check_schema(schema, "f")
    except InvalidRequestError as error:
        return str(error)
    return None


type_texts = st.text(max_size=30) | st.lists(
    st.sampled_from([*"[]|,'(){}:. \"", "int", "str", "list", "Union", "Optional", "Literal", "x"]),
    max_size=14,
).map("".join)


@given(type_texts)
def test_parameter_type_is_converted_or_refused_and_never_crashes(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's parser warns of odd texts
        with contextlib.suppress(InvalidRequestError):
            schema = json_schema_type(text, "f")
            assert problem_of({"type": "object", "properties": {"x": schema}}) is None


@given(st.dictionaries(st.text(max_size=8) | st.just("root"), strategies.json_values, max_size=4))
def test_grammar_is_converted_or_refused_and_never_crashes(bnf):
    with contextlib.suppress(InvalidRequestError):
        assert grammar_text(bnf, "f").strip()


@given(strategies.json_values)
def test_schema_is_accepted_or_refused_and_never_crashes(schema):
    problem = problem_of(schema)
    assert problem is None or problem.startswith("f: ")
