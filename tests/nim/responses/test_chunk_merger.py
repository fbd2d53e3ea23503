"""Chunks that have piled up become fewer that say the same."""

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.responses import chunk_merger as module
from llama_stack_provider_nvidia.nim.responses.chunk_merger import merge_chunks
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT, COMPLETION
from llama_stack_provider_nvidia.nim.responses.structs import ToolCallDelta
from llama_stack_provider_nvidia.nim.responses.tool_call_assembler import ToolCallAssembler

from ...strategies import calls, streamed_calls

Form = Callable[[dict[str, Any]], Any]


def as_dict(chunk: dict[str, Any]) -> Any:
    # Not a deep copy: two parts of a drawn chunk may be one object, as in no decoded JSON.
    return json.loads(json.dumps(chunk))


def as_struct(chunk: dict[str, Any]) -> Any:
    return CHAT.decode_chunk(json.dumps(chunk).encode())


def as_completion(chunk: dict[str, Any]) -> Any:
    return COMPLETION.decode_chunk(json.dumps(chunk).encode())


def said(form: Form, *chunks: dict[str, Any]) -> list[dict[str, Any]]:
    """Join chunks; gives them as plain data without what is null."""
    made = [form(chunk) for chunk in chunks]
    return [_bare(msgspec.to_builtins(one)) for one in merge_chunks(made, [1] * len(made))]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if v is not None and v is not False}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def chunk(finish_reason: Any = None, *, index: int = 0, logprobs: Any = None, **delta: Any) -> Any:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
    return {"choices": [choice]}


def tokens(*texts: str) -> dict[str, Any]:
    return {"content": [{"token": text, "logprob": -1.0} for text in texts]}


def call(index: Any, arguments: Any, name: Any = None, call_id: Any = None) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
forms = pytest.mark.parametrize("form", [as_dict, as_struct])


@forms
@pytest.mark.parametrize(
    ("chunks", "joined"),
    [
        pytest.param(
            [chunk(content="a"), chunk(content="b"), chunk(content="c")],
            [chunk(content="abc")],
            id="text",
        ),
        pytest.param(
            [chunk(role="assistant", content=""), chunk(content="b"), chunk("stop")],
            [chunk("stop", role="assistant", content="b")],
            id="role and finish reason",
        ),
        pytest.param(
            [chunk(role="assistant", content="a"), chunk(role="assistant", content="b")],
            [chunk(role="assistant", content="ab")],
            id="role every time",
        ),
        pytest.param(
            [chunk(reasoning_content="a"), chunk(reasoning_content="b"), chunk(content="c")],
            [chunk(reasoning_content="ab"), chunk(content="c")],
            id="thinking, then text",
        ),
        pytest.param(
            [chunk(reasoning="a"), chunk(reasoning="b", content=""), chunk(content="c")],
            [chunk(reasoning="ab"), chunk(content="c")],
            id="thinking as vLLM calls it",
        ),
        pytest.param(
            [chunk(content="a"), chunk(reasoning_content="b"), chunk(content="c")],
            [chunk(content="a"), chunk(reasoning_content="b"), chunk(content="c")],
            id="thinking between texts",
        ),
        pytest.param(
            [chunk(content="a", logprobs=tokens("a")), chunk(content="b", logprobs=tokens("b"))],
            [chunk(content="ab", logprobs=tokens("a", "b"))],
            id="log probabilities",
        ),
        pytest.param(
            [chunk(content="a"), chunk(content="b", logprobs=tokens("b"))],
            [chunk(content="a"), chunk(content="b", logprobs=tokens("b"))],
            id="log probabilities of one",
        ),
        pytest.param(
            [chunk("stop", content="a"), chunk(content="b")],
            [chunk("stop", content="a"), chunk(content="b")],
            id="text after the end",
        ),
        pytest.param(
            [chunk(content="a"), chunk(index=1, content="b"), chunk(content="c")],
            [
                {
                    "choices": [
                        chunk(content="ac")["choices"][0],
                        chunk(index=1, content="b")["choices"][0],
                    ]
                }
            ],
            id="two answers",
        ),
        pytest.param(
            [
                chunk("stop", content="a"),
                chunk(index=1, content="b"),
                {"choices": [], "usage": USAGE},
            ],
            [
                {
                    "choices": [
                        chunk("stop", content="a")["choices"][0],
                        chunk(index=1, content="b")["choices"][0],
                    ]
                },
                {"choices": [], "usage": USAGE},
            ],
            id="usage has a chunk of its own",
        ),
        pytest.param(
            [
                {**chunk(content="a"), "usage": {**USAGE, "completion_tokens": 1}},
                {**chunk(content="b"), "usage": USAGE},
            ],
            [{**chunk(content="ab"), "usage": USAGE}],
            id="usage so far",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call(0, "", "f", "x")]),
                chunk(tool_calls=[call(0, '{"a"')]),
                chunk(tool_calls=[call(0, ":1}")]),
                chunk(tool_calls=[call(1, "", "g", "y")]),
                chunk(tool_calls=[call(1, "{}")]),
                chunk("tool_calls"),
            ],
            [
                chunk(
                    "tool_calls", tool_calls=[call(0, '{"a":1}', "f", "x"), call(1, "{}", "g", "y")]
                )
            ],
            id="tool calls",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call(None, "", "f", "x")]),
                chunk(tool_calls=[call(None, "{")]),
                chunk(tool_calls=[call(None, "}")]),
                chunk(tool_calls=[call(None, "{}", "f")]),
            ],
            [chunk(tool_calls=[call(None, "{}", "f", "x"), call(None, "{}", "f")])],
            id="tool calls without index",
        ),
        pytest.param(
            [chunk(content="a"), chunk(tool_calls=[call(0, "{}", "f", "x")])],
            [chunk(content="a"), chunk(tool_calls=[call(0, "{}", "f", "x")])],
            id="text, then a call",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call(0, {"a": 1}, "f", "x")]),
                chunk(tool_calls=[call(0, {"a": 2})]),
            ],
            [chunk(tool_calls=[call(0, {"a": 1}, "f", "x"), call(0, {"a": 2})])],
            id="decoded arguments stay apart",
        ),
        pytest.param(
            [{"choices": []}, chunk(content="a")],
            [{"choices": []}, chunk(content="a")],
            id="no choices",
        ),
        pytest.param([chunk(content="a")], [chunk(content="a")], id="one chunk"),
        pytest.param([], [], id="none"),
    ],
)
def test_what_becomes_of_chunks(form: Form, chunks: list[Any], joined: list[Any]) -> None:
    assert said(form, *chunks) == _bare(joined)


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        pytest.param({"id": "a"}, {"id": "a"}, {"id": "a"}, id="the same id"),
        pytest.param({"id": "a"}, {"id": "b"}, None, id="another id"),
        pytest.param({"created": 1}, {"created": 2}, {"created": 1}, id="another moment"),
        pytest.param({"nvext": {"a": 1}}, {}, {"nvext": {"a": 1}}, id="unknown, before"),
        pytest.param({}, {"nvext": {"a": 1}}, None, id="unknown, after"),
        pytest.param({"nvext": {"a": 1}}, {"nvext": {"a": 2}}, None, id="unknown, twice"),
        pytest.param({"ids": [1]}, {"ids": [1]}, None, id="unknown list"),
    ],
)
def test_fields_beside_the_choices(first: Any, second: Any, joined: Any) -> None:
    made = said(as_dict, {**chunk(content="a"), **first}, {**chunk(content="b"), **second})
    apart = [{**chunk(content="a"), **first}, {**chunk(content="b"), **second}]
    assert made == _bare(apart if joined is None else [{**chunk(content="ab"), **joined}])


@pytest.mark.parametrize("place", ["choice", "delta"])
@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        pytest.param("x", None, "x", id="before"),
        pytest.param(None, "x", None, id="after"),
        pytest.param("x", "x", None, id="twice"),
        pytest.param(["x"], ["y"], None, id="lists"),
    ],
)
def test_unknown_fields_of_a_choice(place: str, first: Any, second: Any, joined: Any) -> None:
    def with_unknown(text: str, value: Any) -> dict[str, Any]:
        made = chunk(content=text)
        choice = made["choices"][0]
        (choice if place == "choice" else choice["delta"])["vendor"] = value
        return made

    apart = [with_unknown("a", first), with_unknown("b", second)]
    made = said(as_dict, *copy.deepcopy(apart))
    assert made == _bare(apart if joined is None else [with_unknown("ab", joined)])


def test_ids_of_tokens_stay_with_their_text() -> None:
    chunks = [
        {"choices": [{"index": 0, "token_ids": [n], "delta": {"content": "a"}}]} for n in (5, 5)
    ]
    assert said(as_dict, *chunks) == chunks


@pytest.mark.parametrize("form", [as_dict, as_completion])
def test_completions(form: Form) -> None:
    def piece(text: str, finish_reason: Any = None, **logprobs: Any) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "finish_reason": finish_reason}
        return {"choices": [{**choice, "logprobs": logprobs or None}]}

    assert said(form, piece("a"), piece("b"), piece("", "stop")) == [_bare(piece("ab", "stop"))]
    both = [piece("a", tokens=["a"], token_logprobs=[-1.0]) for _ in range(2)]
    assert said(form, *both) == [_bare(piece("aa", tokens=["a"] * 2, token_logprobs=[-1.0] * 2))]
    # Alternatives of the second token only: joined, they would be those of the first.
    uneven = [
        piece("a", tokens=["a"], token_logprobs=[-1.0]),
        piece("b", tokens=["b"], token_logprobs=[-1.0], top_logprobs=[{"b": -1.0}]),
    ]
    assert said(form, *uneven) == _bare(uneven)


@forms
def test_whole_answer_in_a_stream_stays_alone(form: Form) -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "a"}}]}
    assert said(form, chunk(content="b"), whole, chunk(content="c")) == _bare(
        [chunk(content="b"), whole, chunk(content="c")]
    )


@forms
def test_one_chunk_does_not_grow_without_end(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    made = merge_chunks([form(chunk(content="a")) for _ in range(10)], [30] * 10)
    assert len(made) == 4
    made = merge_chunks([form(chunk(content="a")) for _ in range(3)], [10, 1000, 10])
    assert len(made) == 3  # what is larger stays alone


@forms
def test_choices_that_share_an_index_stay_in_their_order(form: Form) -> None:
    first = {
        "choices": [
            {"index": None, "delta": {"content": "a"}},
            {"index": 0, "delta": {"reasoning_content": "b"}},
        ]
    }
    assert said(form, first, chunk(content="c")) == _bare([first, chunk(content="c")])


# Chunks as engines send them, one token in each

_PIECES: dict[str, Callable[[int], dict[str, Any]]] = {
    "text": lambda _: chunk(content="a"),
    "reasoning": lambda _: chunk(reasoning_content="a"),
    "reasoning as vLLM calls it": lambda _: chunk(reasoning="a"),
    "log probabilities": lambda _: chunk(content="a", logprobs=tokens("a")),
    "a tool call": lambda n: chunk(
        tool_calls=[call(0, '"a"') if n else call(0, "", "f", "x")],
    ),
    "two choices": lambda n: chunk(content="a", index=n % 2),
    "usage so far": lambda n: {**chunk(content="a"), "usage": {**USAGE, "total_tokens": n}},
    "completion": lambda _: {"choices": [{"index": 0, "text": "a", "logprobs": None}]},
}


@pytest.mark.parametrize("name", _PIECES)
@pytest.mark.parametrize("form", [as_dict, as_struct])
@pytest.mark.parametrize("batch", [4, 32, 4000])
def test_a_batch_becomes_one_chunk(form: Form, name: str, batch: int) -> None:
    make = as_completion if (form, name) == (as_struct, "completion") else form
    pieces = [make(_PIECES[name](n)) for n in range(4000)]
    merged = [
        one
        for start in range(0, len(pieces), batch)
        for one in merge_chunks(pieces[start : start + batch], [15] * batch)
    ]
    assert len(merged) == 4000 // batch


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"delta": {"content": ["a"]}}, id="content"),
        pytest.param({"delta": {"content": "a"}, "logprobs": "none"}, id="log probabilities"),
        pytest.param({"delta": {"content": "a"}, "logprobs": {"content": 1}}, id="their content"),
        pytest.param({"delta": {"tool_calls": "none"}}, id="tool calls"),
        pytest.param({"text": 1}, id="text"),
    ],
)
def test_values_of_other_types_stay_as_they_are(odd: dict[str, Any]) -> None:
    apart = [{"choices": [{"index": 0, **odd}]} for _ in range(2)]
    assert said(as_dict, *apart) == apart


@pytest.mark.parametrize("odd", ["none", {"index": 0, "function": 1}, {"index": 0, "vendor": 1}])
def test_odd_tool_calls_stay_as_they_are(odd: Any) -> None:
    assert said(as_dict, *(chunk(tool_calls=[odd]) for _ in range(2))) == [
        _bare(chunk(tool_calls=[odd, odd]))
    ]


# Any stream, cut into any batches, says the same.

_texts = st.text("ab<{", min_size=1, max_size=3)
_fragments = st.builds(
    call,
    st.sampled_from([0, 0, 1]),
    st.sampled_from([None, "", "{}", "x", {"a": 1}]),
    st.sampled_from([None, None, "f", "g"]),
    st.sampled_from([None, None, "p", "q"]),
)
_deltas = st.one_of(
    st.builds(lambda t: {"content": t}, _texts),
    st.builds(lambda t: {"content": t, "role": "assistant"}, _texts),
    st.builds(lambda t: {"reasoning_content": t}, _texts),
    st.builds(lambda t: {"reasoning": t, "content": None}, _texts),
    st.builds(lambda t, u: {"reasoning_content": t, "content": u}, _texts, _texts),
    st.builds(lambda f: {"tool_calls": f}, st.lists(_fragments, min_size=1, max_size=2)),
    st.builds(lambda t, f: {"content": t, "tool_calls": [f]}, _texts, _fragments),
    st.builds(lambda t: {"content": "", "vendor": t}, _texts),
    st.sampled_from([{}, {"role": "assistant", "content": ""}, {"content": None}]),
)
_choices = st.builds(
    lambda index, delta, finish, logprobs, vendor: {
        "index": index,
        "delta": delta,
        "finish_reason": finish,
        "logprobs": logprobs,
        "vendor": vendor,
    },
    st.sampled_from([0, 0, 0, 1]),
    _deltas,
    st.sampled_from([None] * 5 + ["stop"]),
    st.none() | st.builds(lambda t: tokens(*t), st.lists(_texts, max_size=2)),
    st.sampled_from([None] * 5 + ["v"]),
)
_chunks = st.builds(
    lambda choices, usage, more: {"choices": choices, "usage": usage, **more},
    st.lists(_choices, max_size=2, unique_by=lambda choice: choice["index"]),
    st.sampled_from([None, None, None, USAGE, {**USAGE, "completion_tokens": 9}]),
    st.sampled_from([{}, {}, {"id": "a"}, {"id": "a", "nvext": {"n": 1}}, {"nvext": {"n": 2}}]),
)


def assembled(chunks: list[Any]) -> Any:
    """All that a stream says, in its order, whatever chunks it comes in."""
    answers: dict[int, dict[str, Any]] = {}
    usage, beside = None, dict[str, list[Any]]()
    for one in msgspec.to_builtins(chunks):
        usage = one.get("usage") or usage
        for name, value in one.items():
            if name not in ("choices", "usage") and value:
                values = beside.setdefault(name, [])
                values += [] if value in values[-1:] else [value]
        for choice in one["choices"] or ():
            answer = answers.setdefault(
                choice["index"] or 0,
                {"said": [], "calls": ToolCallAssembler(), "logprobs": [], "vendor": ([], [])},
            )
            _follow(answer, choice)
    for answer in answers.values():
        answer["calls"] = [
            (made.index, made.id, made.name, made.text) for made in answer["calls"]._calls
        ]
    return answers, usage, beside


def _follow(answer: dict[str, Any], choice: dict[str, Any]) -> None:
    delta, ended = choice["delta"], answer.get("finish_reason")
    for name in ("reasoning_content", "reasoning", "content"):
        if text := delta.get(name):
            if not answer["said"] or answer["said"][-1][:2] != [name, ended]:
                answer["said"].append([name, ended, ""])
            answer["said"][-1][2] += text
    for fragment in delta.get("tool_calls") or ():
        if not answer["said"] or answer["said"][-1][0] != "calls":
            answer["said"].append(["calls", ended, ""])
        answer["calls"].feed(msgspec.convert(fragment, ToolCallDelta))
    answer["logprobs"] += (choice.get("logprobs") or {}).get("content") or ()
    answer["finish_reason"] = choice["finish_reason"] or ended
    answer["role"] = answer.get("role") or delta.get("role")
    for seen, part in zip(answer["vendor"], (choice, delta), strict=True):
        seen += [part["vendor"]] if part.get("vendor") else []


def cut(draw: st.DrawFn, made: list[Any]) -> list[Any]:
    """Join a stream as if it had been read batch by batch."""
    joined: list[Any] = []
    while made:
        size = draw(st.integers(1, len(made)))
        joined += merge_chunks(made[:size], [draw(st.integers(1, 30_000)) for _ in range(size)])
        made = made[size:]
    return joined


@forms
@given(chunks=st.lists(_chunks, max_size=8), data=st.data())
def test_any_stream_says_the_same(form: Form, chunks: list[Any], data: st.DataObject) -> None:
    joined = cut(data.draw, [form(one) for one in chunks])
    assert assembled(joined) == assembled([form(one) for one in chunks])
    assert len(joined) <= len(chunks)


@forms
@given(data=st.data())
def test_calls_of_any_server_are_the_same(form: Form, data: st.DataObject) -> None:
    pieces = data.draw(streamed_calls(data.draw(calls())))
    chunks = [chunk(tool_calls=piece) for piece in pieces]
    joined = cut(data.draw, [form(one) for one in chunks])
    assert assembled(joined) == assembled([form(one) for one in chunks])
