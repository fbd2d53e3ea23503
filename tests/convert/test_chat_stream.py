import pytest

from llama_stack_provider_nvidia.convert import convert_openai_chat_completion_stream
from llama_stack_provider_nvidia.nim.errors import ServerError
from llama_stack_provider_nvidia.nim.responses.structs import ChatChunk

from .answers import FORMS, USAGE, arriving, call, delta, events, sdk, shown, struct

FIRST = delta(role="assistant", content="")
LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}

both = pytest.mark.parametrize("build", FORMS)


def fragment(arguments=None, name=None, **fields):
    return {"function": {"name": name, "arguments": arguments}, **fields}


@both
async def test_text_streams_as_start_progress_and_complete(build):
    made = await events(build, FIRST, delta(content="Hel"), delta(content="lo"), delta("stop"))
    assert [shown(event) for event in made] == ["start", "Hel", "lo", "complete"]
    assert made[0].delta.text == made[-1].delta.text == ""
    assert [event.stop_reason for event in made[:-1]] == [None, None, None]
    assert made[-1].stop_reason.value == "end_of_turn"


@both
@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [
        ("stop", "end_of_turn"),
        ("length", "out_of_tokens"),
        ("tool_calls", "end_of_turn"),  # without any call
        ("content_filter", "end_of_turn"),
        ("repetition", "out_of_tokens"),
        ("of_its_own", "end_of_turn"),
    ],
)
async def test_complete_carries_the_stop_reason(build, finish_reason, reason):
    made = await events(build, FIRST, delta(finish_reason, content="x"))
    assert [shown(event) for event in made] == ["start", "x", "complete"]
    assert made[-1].stop_reason.value == reason


@both
@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        pytest.param([delta(content="x")], "end_of_turn", id="text"),
        pytest.param([delta("", content="x")], "end_of_turn", id="empty reason"),
        pytest.param([delta(tool_calls=[call()])], "end_of_message", id="tool call"),
        pytest.param([], "end_of_turn", id="nothing"),
    ],
)
async def test_stream_that_ends_without_a_reason_is_still_completed(build, chunks, reason):
    made = await events(build, *chunks)
    assert shown(made[-1]) == "complete"
    assert made[-1].stop_reason.value == reason


@both
@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(USAGE, id="usage alone"),
        pytest.param({"choices": None, "usage": {"prompt_tokens": 1}}, id="null choices"),
        pytest.param({"choices": [], "usage": None}, id="nothing"),
        pytest.param({"choices": [{"index": 0}]}, id="choice without a delta"),
        pytest.param(delta(content="other", index=1), id="another of n"),
        pytest.param(delta("length", index=2), id="end of another of n"),
        pytest.param(delta(), id="empty delta"),
    ],
)
async def test_chunk_without_news_changes_nothing(build, chunk):
    made = await events(build, chunk, delta(content="x"), chunk, delta("stop"), chunk)
    assert [shown(event) for event in made] == ["start", "x", "complete"]
    assert made[-1].stop_reason.value == "end_of_turn"


@both
async def test_choice_without_an_index_is_the_answer(build):
    made = await events(build, delta("stop", content="x", index=None))
    assert [shown(event) for event in made] == ["start", "x", "complete"]


@both
async def test_choice_zero_is_read_wherever_it_stands(build):
    two = {"choices": [*delta(content="no", index=1)["choices"], *delta(content="x")["choices"]]}
    assert [shown(event) for event in await events(build, two)] == ["start", "x", "complete"]


NAMED = ("succeeded", "get_weather")


@both
@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([delta(tool_calls=[call('{"a": 1}', id="c", index=0)])], id="one delta"),
        pytest.param(
            [delta(tool_calls=[call('{"a": 1}', id="c")])], id="one delta without an index"
        ),
        pytest.param(
            [
                delta(tool_calls=[call("", id="c", index=0)]),
                delta(tool_calls=[fragment('{"a": 1}', index=0)]),
            ],
            id="two deltas",
        ),
        pytest.param(
            [
                delta(tool_calls=[call(None, id="c", index=0)]),
                delta(tool_calls=[fragment('{"a', index=0)]),
                delta(tool_calls=[fragment('": 1}', index=0)]),
            ],
            id="fragments",
        ),
        pytest.param([delta(tool_calls=[call({"a": 1}, id="c", index=0)])], id="decoded"),
    ],
)
@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
async def test_tool_call_starts_progresses_and_succeeds(build, chunks, finish):
    made = await events(build, FIRST, *chunks, delta(finish), USAGE)
    states = [shown(event) for event in made]
    assert states[:2] == ["start", "started"]
    assert states[-2:] == [NAMED, "complete"]
    assert all(state[0] == "in_progress" for state in states[2:-2])
    text = "".join(state[1] for state in states[2:-2])
    assert text.replace(" ", "") == '{"a":1}'
    assert made[-2].delta.tool_call.arguments == {"a": 1}
    assert made[-2].delta.tool_call.call_id == "c"
    assert made[-1].stop_reason.value == made[-2].stop_reason.value == "end_of_message"


@both
async def test_call_without_arguments_succeeds_with_none_in_progress(build):
    made = await events(build, delta(tool_calls=[call("", id="c", name="now")]), delta("stop"))
    assert [shown(e) for e in made] == ["start", "started", ("succeeded", "now"), "complete"]
    assert made[2].delta.tool_call.arguments == {}


@both
async def test_arguments_in_the_chunk_that_ends_the_answer_are_read(build):
    last = delta("tool_calls", tool_calls=[fragment("{}", index=0)])
    made = await events(build, delta(tool_calls=[call("", id="c", index=0)]), last)
    assert shown(made[-2]) == NAMED


@both
async def test_text_and_tool_call_in_one_chunk_are_both_told(build):
    made = await events(build, delta("tool_calls", content="see", tool_calls=[call(id="c")]))
    assert [shown(event) for event in made][1:3] == ["see", "started"]
    assert shown(made[-2]) == NAMED


@both
async def test_parallel_calls_come_out_in_the_order_of_their_indexes(build):
    made = await events(
        build,
        delta(tool_calls=[call("", "b", id="2", index=1), call("", "a", id="1", index=0)]),
        delta(tool_calls=[fragment('{"x":', index=0), fragment('{"y":', index=1)]),
        delta(tool_calls=[fragment("2}", index=1), fragment("1}", index=0)]),
        delta("tool_calls"),
    )
    whole = [e.delta.tool_call for e in made if shown(e)[0] == "succeeded"]
    assert [(c.tool_name, c.arguments) for c in whole] == [("a", {"x": 1}), ("b", {"y": 2})]
    assert [shown(event) for event in made].count("started") == 2


@both
@pytest.mark.parametrize(
    ("arguments", "name", "raw"),
    [
        pytest.param("{cut", "f", "f({cut)", id="no JSON"),
        pytest.param("[1]", "f", "f([1])", id="a list"),
    ],
)
async def test_call_that_cannot_be_read_fails_with_its_text(build, arguments, name, raw):
    made = await events(build, delta("tool_calls", tool_calls=[call(arguments, name, id="c")]))
    assert shown(made[-2]) == ("failed", raw)
    assert shown(made[-1]) == "complete"


@both
@pytest.mark.parametrize("name", ["", None])
async def test_call_without_a_name_is_an_error(build, name):
    with pytest.raises(ServerError, match="a tool call without a name"):
        await events(build, delta("tool_calls", tool_calls=[call("{}", name, id="c")]))


@both
async def test_call_cut_off_by_the_token_limit_fails_and_says_so(build):
    made = await events(build, delta("length", tool_calls=[call('{"a', id="c")]))
    assert shown(made[-2])[0] == "failed"
    assert made[-1].stop_reason.value == "out_of_tokens"


@both
async def test_log_probabilities_stand_with_the_text_they_belong_to(build):
    made = await events(
        build, delta(content="a", logprobs=LOGPROBS), delta(content="b"), delta("stop")
    )
    assert made[1].logprobs[0].logprobs_by_token == {"a": -0.5}
    assert [event.logprobs for event in (made[0], *made[2:])] == [None, None, None]


@both
@pytest.mark.parametrize("fields", [{}, {"content": ""}, {"content": None}])
async def test_log_probabilities_without_text_are_not_lost(build, fields):
    made = await events(build, delta(logprobs=LOGPROBS, **fields), delta("stop"))
    assert [shown(event) for event in made] == ["start", "", "complete"]
    assert made[1].logprobs[0].logprobs_by_token == {"a": -0.5}


@both
async def test_log_probabilities_of_a_chunk_are_told_once(build):
    chunk = delta(content="a", tool_calls=[call(id="c")], logprobs=LOGPROBS)
    made = await events(build, chunk, delta("tool_calls"))
    assert [event.logprobs is not None for event in made].count(True) == 1
    assert made[1].logprobs


class Closable:
    """A stream that knows whether it was closed, as the SDK's does."""

    def __init__(self, chunks, *, awaitable=True):
        self._chunks = arriving(chunks)
        self._awaitable = awaitable
        self.closed = False

    def __aiter__(self):
        return self._chunks

    def close(self):
        self.closed = True
        return self._done() if self._awaitable else None

    async def _done(self):
        await self._chunks.aclose()


@pytest.mark.parametrize("awaitable", [True, False])
async def test_stream_is_closed_at_its_end(awaitable):
    stream = Closable([struct(delta("stop", content="x"), "chat stream")], awaitable=awaitable)
    assert len([event async for event in convert_openai_chat_completion_stream(stream)]) == 3
    assert stream.closed


async def test_stream_is_closed_when_its_reader_goes_away():
    stream = Closable([sdk(delta(content="x"), "chat stream")] * 9)
    reading = convert_openai_chat_completion_stream(stream)
    await anext(reading)
    await anext(reading)
    await reading.aclose()
    assert stream.closed


async def test_iterator_that_cannot_be_closed_is_read_all_the_same():
    class Iterator:
        def __init__(self):
            self.left = [struct(delta("stop", content="x"), "chat stream")]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    made = [event async for event in convert_openai_chat_completion_stream(Iterator())]
    assert len(made) == 3


async def test_failure_in_the_middle_reaches_the_reader_and_closes_the_stream():
    async def failing():
        try:
            yield ChatChunk(choices=[])
            raise ServerError("boom")
        finally:
            closed.append(True)

    closed = []
    with pytest.raises(ServerError, match="boom"):
        [event async for event in convert_openai_chat_completion_stream(failing())]
    assert closed == [True]
