import copy

import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.discovery.finding import Finding
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError, ServerError
from llama_stack_provider_nvidia.nim.plan import (
    asks_for_usage,
    expected_choices,
    plan_request,
    with_usage,
)
from llama_stack_provider_nvidia.nim.responses.output_guard import OutputGuard, constraint_of
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT
from llama_stack_provider_nvidia.nim.responses.structs import (
    ChatChoice,
    ChatChunk,
    ChatDelta,
    CompletionChoice,
    CompletionChunk,
)
from llama_stack_provider_nvidia.nim.settings import Settings

GBNF = 'root ::= "a" | "b"'
HELLO = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "required": ["n"]}


def finding(dialect, release=None):
    return Finding(dialect, "a test says so", release)


@pytest.mark.parametrize(
    "model", ["meta/llama-3.1-8b-instruct", "bigcode/starcoder2-7b", "somebody/unknown"]
)
def test_the_catalogue_is_asked_for_text_completions_of_any_model(model):
    body = {"model": model, "prompt": "Once"}
    assert plan_request(body, finding(Dialect.HOSTED), Settings()).body["prompt"] == "Once"


def test_images_beyond_the_known_limits_are_sent():
    url = "data:image/png;base64," + "iVBORw0KGgoAAAA" * 20000 + "AAA="
    image = {"type": "image_url", "image_url": {"url": url}}
    body = {
        "model": "meta/llama-3.2-11b-vision-instruct",
        "messages": [{"role": "user", "content": [image]}],
    }
    made = plan_request(body, finding(Dialect.HOSTED), Settings())
    assert made.body["messages"] == body["messages"]


@pytest.mark.parametrize(
    ("dialect", "read"),
    [
        (Dialect.NIM2_VLLM, {"reasoning": "2 + 2"}),
        (Dialect.NIM2_SGLANG, {"reasoning_content": "2 + 2"}),
        (Dialect.DYNAMO, {"reasoning_content": "2 + 2"}),
        (Dialect.GENERIC, {"reasoning_content": "2 + 2"}),
        (Dialect.NIM1, None),
    ],
)
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_earlier_reasoning_goes_where_the_engine_reads_it(dialect, read, name):
    earlier = {"role": "assistant", "content": "4", name: "2 + 2"}
    body = {"model": "somebody/unknown", "messages": [*HELLO, earlier, *HELLO]}
    sent = plan_request(body, finding(dialect), Settings()).body["messages"][1]
    expected = {name: "2 + 2"} if read is None else read
    assert sent == {"role": "assistant", "content": "4", **expected}


@pytest.mark.parametrize(
    ("fields", "off"),
    [
        ({"chat_template_kwargs": {"enable_thinking": False}}, True),
        ({"chat_template_kwargs": {"thinking": False}}, True),
        ({"chat_template_kwargs": {"enable_thinking": True}}, False),
        ({"chat_template_kwargs": {"other": False}}, False),
        ({"reasoning_effort": "none"}, True),
        ({"reasoning_effort": "low"}, False),
        ({}, False),
    ],
)
def test_reasoning_of_an_unknown_model_is_off_where_the_request_says_so(fields, off):
    body = {"model": "somebody/unknown", "messages": HELLO, **fields}
    assert plan_request(body, finding(Dialect.NIM2_VLLM), Settings()).is_reasoning_off is off


CHECKS = [
    ({"structured_outputs": {"regex": "[0-9]+"}}, "12", "a1"),
    ({"nvext": {"guided_choice": ["yes", "no"]}}, "no", "perhaps"),
    ({"structured_outputs": {"json": SCHEMA}}, '{"n": 1}', "{}"),
    ({"response_format": {"type": "json_object"}}, "{}", "[]"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        '{"n": 1}',
        "n",
    ),
]


@pytest.mark.parametrize(("fields", "good", "bad"), CHECKS)
async def test_an_answer_is_checked_against_what_was_asked_for(fields, good, bad):
    constraint = constraint_of(fields)
    await constraint.check(good, finish_reason="stop")
    with pytest.raises(ServerError, match="did not enforce"):
        await constraint.check(bad, finish_reason="stop")
    with pytest.raises(
        InvalidRequestError, match=r"cut by max_tokens.*Raise `max_tokens`"
    ) as raised:
        await constraint.check(good, finish_reason="length")
    assert (raised.value.code, raised.value.status_code) == ("output_truncated", 400)


@pytest.mark.parametrize(
    "fields",
    [{}, {"structured_outputs": {"grammar": GBNF}}, {"response_format": {"type": "text"}}],
)
def test_nothing_is_checked_where_nothing_can_be(fields):
    assert constraint_of(fields) is None


async def test_each_choice_of_a_completion_is_checked_by_itself():
    guard = OutputGuard(constraint_of({"guided_regex": "ab"}))

    async def see(*choices):
        guard.feed(CompletionChunk(choices=list(choices)))
        await guard.check()

    await see(CompletionChoice(index=0, text="a"), CompletionChoice(index=1, text="a"))
    await see(CompletionChoice(index=0, text="b", finish_reason="stop"))
    with pytest.raises(ServerError):
        await see(CompletionChoice(index=1, text="x", finish_reason="stop"))


# What a plan says


def plan(dialect=Dialect.NIM1, settings=None, *, counts_tokens=False, **fields):
    body = {"model": "meta/llama-3.1-8b-instruct", "messages": HELLO, **fields}
    body = {name: value for name, value in body.items() if value is not None}
    settings = settings or Settings()
    return plan_request(body, finding(dialect), settings, counts_tokens=counts_tokens)


@pytest.mark.parametrize(
    ("fields", "path", "stream", "choices"),
    [
        ({}, "/chat/completions", False, 1),
        ({"stream": True, "n": 3}, "/chat/completions", True, 3),
        ({"messages": None, "prompt": "a"}, "/completions", False, 1),
        ({"messages": None, "prompt": ["a", "b"], "n": 2}, "/completions", False, 4),
    ],
)
def test_where_a_request_goes_and_what_comes_back(fields, path, stream, choices):
    made = plan(**fields)
    assert (made.path, made.stream, made.choices) == (path, stream, choices)
    assert made.model == made.body["model"] == "meta/llama-3.1-8b-instruct"
    assert made.dialect is Dialect.NIM1


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("validate", [False, True])
@pytest.mark.parametrize("response_format", [None, {"type": "json_object"}])
def test_a_nim_that_enforces_constraints_is_trusted(dialect, validate, response_format):
    made = plan(dialect, Settings(validate=validate), response_format=response_format)
    doubted = validate or dialect in (Dialect.GENERIC, Dialect.HOSTED)
    assert (made.constraint is not None) == bool(response_format and doubted)


@pytest.mark.parametrize(
    ("model", "recover", "tools", "parsed"),
    [
        ("meta/llama-3.1-8b-instruct", False, True, False),
        ("meta/llama-3.1-8b-instruct", True, False, False),
        ("meta/llama-3.1-8b-instruct", True, True, True),
        ("deepseek-ai/deepseek-r1", False, False, True),
    ],
)
def test_content_is_parsed_where_the_family_writes_more_than_an_answer(
    model, recover, tools, parsed
):
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    offered = [{"type": "function", "function": function}] if tools else None
    made = plan(settings=Settings(recover_tool_calls=recover), model=model, tools=offered)
    assert (made.make_content_parser is not None) == parsed


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("counts_tokens", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_a_nim_is_asked_for_the_counts_that_llama_stack_reads(dialect, counts_tokens, asked):
    options = {"include_usage": True} if asked else None
    made = plan(dialect, counts_tokens=counts_tokens, stream=True, stream_options=options)
    assert (made.wants_usage, made.counts_tokens) == (asked, counts_tokens)
    asks = asked or (counts_tokens and dialect is not Dialect.HOSTED)
    assert made.body.get("stream_options") == ({"include_usage": True} if asks else None)


def test_a_model_that_is_told_to_reason_begins_its_content_with_reasoning():
    model = "nvidia/nemotron-3-nano-30b-a3b"
    for setting, reasoning in (("on", "a"), ("off", "")):
        made = plan(Dialect.NIM2_VLLM, Settings(thinking=setting), model=model)
        parser = made.make_content_parser(CHAT)
        choice = ChatChoice(index=0, delta=ChatDelta(content="a</think>b"), finish_reason="stop")
        (chunk,) = parser.feed(ChatChunk(choices=[choice]))
        assert (chunk.choices[0].delta.reasoning_content or "") == reasoning


def test_a_request_is_left_as_it_is():
    body = {"model": "m", "messages": HELLO, "stream": True, "top_k": 1}
    before = copy.deepcopy(body)
    plan_request(body, finding(Dialect.NIM1), Settings(thinking=None), counts_tokens=True)
    assert body == before


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
def test_whether_it_is_asked_for(body, expected):
    assert asks_for_usage(body) == expected
    assert asks_for_usage(with_usage(body))


def test_other_stream_options_stay():
    body = {"model": "m", "stream_options": {"continuous_usage_stats": True}}
    assert with_usage(body) == {
        "model": "m",
        "stream_options": {"continuous_usage_stats": True, "include_usage": True},
    }
    assert "include_usage" not in body["stream_options"]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 1),
        ({"n": None}, 1),
        ({"n": 3}, 3),
        ({"prompt": "a"}, 1),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": []}, 1),
    ],
)
def test_how_many_choices_are_expected(body, count):
    assert expected_choices(body) == count


@pytest.mark.parametrize("calls", [None, []])
async def test_a_choice_without_calls_is_checked_whatever_its_finish_reason(calls):
    delta = ChatDelta(content="perhaps", tool_calls=calls)
    choice = ChatChoice(index=0, delta=delta, finish_reason="tool_calls")
    guard = OutputGuard(constraint_of({"nvext": {"guided_choice": ["yes", "no"]}}))
    guard.feed(ChatChunk(choices=[choice]))
    with pytest.raises(ServerError, match="did not enforce"):
        await guard.check()


@pytest.mark.parametrize("text", ["yes", "perhaps"])
async def test_a_choice_that_the_nim_has_not_ended_is_checked_at_the_end(text):
    guard = OutputGuard(constraint_of({"nvext": {"guided_choice": ["yes", "no"]}}))
    for piece in (text[:2], text[2:]):
        guard.feed(ChatChunk(choices=[ChatChoice(index=0, delta=ChatDelta(content=piece))]))
    called = ChatDelta(tool_calls=[{"index": 0, "id": "c"}])
    guard.feed(ChatChunk(choices=[ChatChoice(index=1, delta=called)]))
    await guard.check()
    assert guard.close() == []
    if text == "yes":
        await guard.check()
    else:
        with pytest.raises(ServerError, match="did not enforce"):
            await guard.check()


async def test_a_choice_whose_call_came_before_its_end_is_not_checked():
    called = ChatDelta(tool_calls=[{"index": 0, "id": "c"}])
    guard = OutputGuard(constraint_of({"nvext": {"guided_choice": ["yes", "no"]}}))
    guard.feed(ChatChunk(choices=[ChatChoice(index=0, delta=called)]))
    end = ChatChoice(index=0, delta=ChatDelta(), finish_reason="tool_calls")
    guard.feed(ChatChunk(choices=[end]))
    await guard.check()
