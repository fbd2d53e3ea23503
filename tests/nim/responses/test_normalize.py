"""The parts of an answer that are passed on, put right or refused, in all forms of answers."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from llama_stack_provider_nvidia.nim.errors import NIMConnectionError, NIMError, ServerError
from llama_stack_provider_nvidia.nim.responses.normalize import (
    StreamProgress,
    check_whole,
    read_usage,
    usable_usage,
)
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT, COMPLETION
from llama_stack_provider_nvidia.nim.responses.structs import (
    ChatChoice,
)
from llama_stack_provider_nvidia.nim.retrieval.rerank_request import decode_ranking
from llama_stack_provider_nvidia.nim.retrieval.vectors import as_numbers, decode_vectors

from ...strategies import json_values


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


# Whole answers


def whole_chat(choice: Any, **fields: Any) -> ChatCompletion:
    return OpenAICodec("m").decode_response(dumped({"choices": [choice], **fields}))


def with_message(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"content": "a", **fields}, "finish_reason": "stop"}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (5, r"Expected `object`, got `int` - at `\$.choices\[0\]`"),
        ({}, "without a message"),
        ({"message": None}, "without a message"),
        ({"message": "text"}, r"`\$.choices\[0\].message`"),
        (with_message(content=5), r"`\$.choices\[0\].message.content`"),
        (with_message(reasoning_content=[]), r"message.reasoning_content`"),
        (with_message(refusal=5), "message.refusal"),
        (with_message(tool_calls=5), r"message.tool_calls`"),
        (with_message(tool_calls=[None]), r"message.tool_calls\[0\]`"),
        (with_message(tool_calls=[{}]), "a tool call without a name"),
        (with_message(tool_calls=[{"function": {"arguments": "{}"}}]), "without a name"),
        (with_message(tool_calls=[{"function": {"name": 5}}]), r"function.name`"),
        ({**with_message(), "finish_reason": 5}, r"finish_reason`"),
        ({**with_message(), "logprobs": "text"}, r"logprobs`"),
        ({**with_message(), "logprobs": {"content": [None]}}, r"logprobs.content\[0\]`"),
        ({**with_message(), "index": -1}, "index -1"),
        ({**with_message(), "index": 99}, "index 99"),
    ],
)
def test_whole_answer_with_a_wrong_value_is_an_error_that_names_it(choice: Any, said: str) -> None:
    with pytest.raises(ServerError, match=said):
        whole_chat(choice)


@pytest.mark.parametrize(
    ("call", "finish_reason", "arguments"),
    [
        ({"arguments": None}, "tool_calls", "{}"),
        ({"arguments": ""}, "tool_calls", "{}"),
        ({"arguments": ""}, "length", ""),
        ({"arguments": {"x": 1}}, "tool_calls", '{"x":1}'),
        ({"arguments": '{"cut'}, "tool_calls", '{"cut'),
        ({}, None, "{}"),
    ],
)
def test_tool_calls_of_a_whole_answer_are_completed(
    call: dict[str, Any], finish_reason: str | None, arguments: str
) -> None:
    message = {"content": None, "tool_calls": [{"id": None, "function": {"name": "f", **call}}]}
    (choice,) = whole_chat({"message": message, "finish_reason": finish_reason}).choices
    (made,) = choice.message.tool_calls or ()
    assert made.type == "function"
    assert made.function.arguments == arguments
    assert made.id.startswith("call_")
    expected = "length" if arguments == '{"cut' else finish_reason
    assert choice.finish_reason == (expected or "tool_calls")


def test_what_says_nothing_of_the_answer_is_put_right() -> None:
    idle = {"id": 7, "created": "now", "object": None, "service_tier": 5, "usage": "text"}
    answer = whole_chat(
        {**with_message(role=5, annotations="none"), "index": "0", "finish_reason": "odd"}, **idle
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.created > 0
    assert answer.service_tier is None
    assert answer.usage is not None
    assert answer.usage.total_tokens == 0
    (choice,) = answer.choices
    assert (choice.index, choice.message.role, choice.message.content) == (0, "assistant", "a")
    assert choice.message.annotations is None
    assert choice.finish_reason == "stop"


def test_extra_choices_are_borne_and_a_missing_first_one_is_not() -> None:
    message = msgspec.convert({"message": {"content": "a"}}, ChatChoice)
    check_whole([message, msgspec.structs.replace(message)], 1)
    with pytest.raises(ServerError, match="without the first choice"):
        check_whole([msgspec.structs.replace(message, index=1)], 2)


# Streams

SAID, END = {"delta": {"content": "a"}}, {"delta": {}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("choices", "answers", "done", "failure"),
    [
        pytest.param([SAID, END], 1, True, None, id="whole"),
        pytest.param([SAID], 1, True, None, id="no finish reason"),
        pytest.param([{"delta": {}}], 1, True, None, id="empty"),
        pytest.param([], 1, True, "without a response", id="no choice"),
        pytest.param([{}, {}], 1, True, "without a response", id="nothing said"),
        pytest.param([{"finish_reason": "stop"}], 1, True, "without a response", id="only an end"),
        pytest.param([SAID, {"index": 99}], 1, True, "index 99", id="nobody's choice"),
        pytest.param([{"index": -1}], 1, True, "index -1", id="negative"),
        pytest.param([SAID, {"index": 1, **SAID}], 1, True, None, id="one more"),
        pytest.param([SAID, {"index": 1, **END}], 1, True, None, id="another's end"),
        pytest.param([SAID, {"index": 1, **SAID}, END], 2, True, None, id="one end of two"),
        pytest.param([SAID, {"index": 1, **SAID}, END], 2, False, "in the middle", id="one of two"),
        pytest.param([{"index": 1, **SAID}], 2, True, "without a response", id="no first"),
        pytest.param([SAID], 1, False, "in the middle", id="broken off"),
        pytest.param([], 1, False, "in the middle", id="nothing at all"),
    ],
)
@pytest.mark.parametrize("form", ["struct", "dict"])
def test_how_streams_end(
    form: str, choices: list[Any], answers: int, done: bool, failure: str | None
) -> None:
    progress = StreamProgress(answers)
    codec = OpenAICodec("m")
    error = None
    try:
        for choice in choices:
            data = dumped({"choices": [choice]})
            chunk = (CHAT if form == "struct" else codec).decode_chunk(data)
            progress.see(chunk)
        progress.end(done=done)
    except NIMError as raised:
        error = raised
    if failure is None:
        assert error is None
    else:
        assert failure in str(error)
        assert isinstance(error, ServerError if done else NIMConnectionError)


def of_stream(*deltas: dict[str, Any]) -> tuple[list[Any], NIMError | None]:
    codec = OpenAICodec("m")
    made: list[Any] = []
    try:
        for delta in deltas:
            body = codec.decode_chunk(dumped({"choices": [{"delta": delta}]}))
            made.append(codec.build(body))
        codec.check_end()
    except NIMError as error:
        return made, error
    return made, None


def fragment(**fields: Any) -> dict[str, Any]:
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {"tool_calls": [{**fields, "function": function}]}


def test_a_streamed_call_without_id_gets_one_and_keeps_it() -> None:
    made, error = of_stream(
        fragment(index=0, name="f", arguments=None),
        fragment(index=0, arguments="{", id="late"),
        fragment(index=0, arguments="}"),
    )
    assert error is None
    (first,), (second,), (third,) = (chunk.choices[0].delta.tool_calls for chunk in made)
    assert first.id.startswith("call_")
    assert (second.id, third.id) == (None, None)  # readers join the ids of all fragments
    assert "".join(call.function.arguments for call in (first, second, third)) == "{}"


@pytest.mark.parametrize(
    ("indexes", "given"),
    [
        ((0, 0), [0, 1]),
        ((-1, -2), [0, 1]),
        ((3, 7), [3, 7]),
        ((None, 0), [0, 1]),
        (("1", 1), [1, 2]),
    ],
)
def test_two_calls_never_have_one_index(indexes: tuple[Any, Any], given: list[int]) -> None:
    made, _ = of_stream(
        *(fragment(index=n, id=f"c{k}", name="f", arguments="{}") for k, n in enumerate(indexes))
    )
    assert [chunk.choices[0].delta.tool_calls[0].index for chunk in made] == given


def test_a_streamed_call_that_never_gets_a_name_is_an_error_at_the_end() -> None:
    made, error = of_stream(fragment(index=0, id="c"), fragment(index=0, arguments="{}"))
    assert len(made) == 2
    assert "without a name" in str(error)
    _, error = of_stream(fragment(index=0, id="c"), fragment(index=0, name="f"))
    assert error is None


def test_a_whole_answer_in_a_stream_is_read() -> None:
    codec = OpenAICodec("m")
    chunk = codec.build(codec.decode_chunk(dumped({"choices": [with_message(tool_calls=[CALL])]})))
    delta = chunk.choices[0].delta
    assert (delta.content, delta.tool_calls[0].index, delta.tool_calls[0].id) == ("a", 0, "c")


# Counts


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (None, None),
        (5, None),
        ([], None),
        ({}, None),
        ({"prompt_tokens": "many"}, None),
        ({"prompt_tokens": -1, "total_tokens": 1.5}, None),
        ({"prompt_tokens": "3"}, (3, 0, 3)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4, 7)),
        ({"prompt_tokens": True, "completion_tokens": 4.0, "total_tokens": 9}, (0, 4, 9)),
    ],
)
def test_counts_are_read_as_far_as_they_can_be(value: Any, counts: Any) -> None:
    usable, read = usable_usage(value), read_usage(value)
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    if counts is None:
        assert usable is read is None
    else:
        assert usable is not None
        assert tuple(usable[name] for name in names) == counts
        assert read is not None
        assert all(
            getattr(read, name) in (count, None) for name, count in zip(names, counts, strict=True)
        )


def test_other_fields_of_the_usage_stay() -> None:
    given = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    more = {"prompt_tokens_details": {"cached_tokens": 1}, "reasoning_tokens": 3}
    assert usable_usage({**given, **more}) == {**given, **more}
    assert usable_usage({**given, "prompt_tokens_details": 5}) == given


# Anything

NAMES = st.sampled_from(
    [
        *("choices", "index", "delta", "message", "text", "finish_reason", "usage", "error"),
        *("content", "role", "tool_calls", "function", "name", "arguments", "id", "type"),
        *("logprobs", "tokens", "token", "logprob", "token_logprobs", "top_logprobs"),
        *("data", "embedding", "rankings", "results", "logit", "prompt_tokens"),
    ]
)
anything = st.recursive(
    json_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
deltas = st.dictionaries(NAMES, anything, max_size=4)
choices = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "index": anything | st.just(0),
            "delta": anything | deltas,
            "message": anything | deltas,
            "text": anything,
            "finish_reason": anything | st.just("stop"),
            "logprobs": anything,
        },
    ),
    max_size=2,
)
answers = anything | st.fixed_dictionaries(
    {"choices": anything | choices}, optional={"usage": anything}
)


def made_or_refused(make: Any, *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except NIMError:
        return None


@given(answers)
def test_any_json_is_an_answer_or_one_of_our_errors(value: Any) -> None:
    data = dumped(value)
    for struct in (CHAT, COMPLETION):
        chunk = made_or_refused(struct.decode_chunk, data)
        if chunk is not None:
            made_or_refused(check_whole, chunk.choices or (), 1)
    for chat in (True, False):
        answer = made_or_refused(OpenAICodec("m", chat=chat).decode_response, data)
        if answer is not None:
            (*_, choice) = answer.choices
            text = choice.message.content if chat else choice.text
            assert isinstance(text, str | None)
            assert answer.usage.total_tokens >= 0
            assert answer.model_dump_json(warnings=False)


@given(st.lists(answers, max_size=4))
def test_any_json_in_a_stream_is_a_chunk_or_one_of_our_errors(values: list[Any]) -> None:
    for chat in (True, False):
        codec, progress = OpenAICodec("m", chat=chat), StreamProgress(1)

        def read(
            data: bytes, codec: OpenAICodec = codec, progress: StreamProgress = progress
        ) -> Any:
            body = codec.decode_chunk(data)
            progress.see(body)
            return codec.build(body)

        for value in values:
            made = made_or_refused(read, dumped(value))
            if made is None:
                break
            for choice in made.choices:
                text = choice.delta.content if chat else choice.text
                assert isinstance(text, str | None)
            assert made.model_dump_json(warnings=False)
        made_or_refused(codec.check_end)


@given(
    anything
    | st.fixed_dictionaries({"data": st.lists(deltas, max_size=2)}, optional={"usage": anything})
    | st.fixed_dictionaries({"rankings": st.lists(deltas, max_size=2)})
)
def test_any_json_gives_vectors_or_a_ranking_or_one_of_our_errors(value: Any) -> None:
    for count in (0, 1, 2):
        embedded = made_or_refused(decode_vectors, dumped(value), count)
        for vector in embedded.vectors if embedded else ():
            made_or_refused(as_numbers, vector)
        made_or_refused(decode_ranking, dumped(value), count)


@given(st.binary(max_size=60))
def test_any_bytes_give_vectors_or_a_ranking_or_one_of_our_errors(data: bytes) -> None:
    made_or_refused(decode_vectors, data, 1)
    made_or_refused(decode_ranking, data, 1)
