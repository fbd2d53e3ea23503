import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.responses.structs import FunctionDelta, ToolCallDelta
from llama_stack_provider_nvidia.nim.responses.tool_call_assembler import (
    ToolCallAssembler,
    ToolCallNumberer,
)

from ... import strategies


def part(index=None, id=None, name=None, arguments=None):
    return ToolCallDelta(index=index, id=id, function=FunctionDelta(name=name, arguments=arguments))


def assembled(*parts, whole=False):
    assembler = ToolCallAssembler(whole=whole)
    for fragment in parts:
        assembler.feed(fragment)
    return [(call.id, call.name, call.text) for call in assembler.finish()]


def sent_on(*parts):
    """Ids, names and arguments as a reader joins them from what goes out of a stream."""
    numberer = ToolCallNumberer()
    calls = {}
    for fragment in parts:
        head = numberer.feed(fragment)
        call = calls.setdefault(head.number, ["", "", ""])
        piece = fragment.function.arguments if fragment.function else None
        for place, text in enumerate((head.id, head.name, piece)):
            call[place] += text or ""
    return [tuple(call) for call in calls.values()]


A = ("a", "f", '{"x": 1}')
B = ("b", "g", '{"y": 2}')


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([part(0, *A)], id="one delta"),
        pytest.param([part(None, *A)], id="one delta without an index"),
        pytest.param([part(0, "a", "f", ""), part(0, None, None, A[2])], id="two deltas"),
        pytest.param([part(0, "a", "f"), part(0, None, None, A[2])], id="null, then arguments"),
        pytest.param([part(None, "a", "f", ""), part(None, None, None, A[2])], id="no index"),
        pytest.param([part(None, "a", "f", ""), part(None, "a", None, A[2])], id="by id alone"),
        pytest.param(
            [part(0, "a", "f"), part(0, None, None, '{"x'), part(0, None, None, '": 1}')],
            id="fragments",
        ),
        pytest.param(
            [part(None, "a", "f"), part(None, "", "", '{"x'), part(None, "", "", '": 1}')],
            id="fragments with empty id and name",
        ),
        pytest.param(
            [part(0, "a", "f"), part(0, "a", "f", '{"x'), part(0, "a", "f", '": 1}')],
            id="id and name in every fragment",
        ),
        pytest.param(
            [part(None, "a", "f"), part(None, None, "f", '{"x'), part(None, None, "f", '": 1}')],
            id="name in every fragment, no index",
        ),
        pytest.param([part(0, None, "f"), part(0, "a", None, A[2])], id="id comes later"),
        pytest.param([part(None, None, "f"), part(None, "a", None, A[2])], id="id later, no index"),
        pytest.param([part(0, "a"), part(0, None, "f"), part(0, None, None, A[2])], id="id first"),
        pytest.param(
            [ToolCallDelta(index=0, id="a"), part(0, None, "f", A[2])], id="no function at first"
        ),
    ],
)
def test_call_is_put_together_from_every_style_of_stream(parts):
    assert assembled(*parts) == [A]
    ((call_id, *rest),) = sent_on(*parts)
    # An id that comes later is too late: the first fragment has to have one.
    assert call_id == ("a" if parts[0].id else call_id)
    assert call_id.startswith(("a", "call_"))
    assert tuple(rest) == A[1:]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([part(0, "a", "get_"), part(0, None, "weather")], id="by index"),
        pytest.param([part(None, "a", "get_"), part(None, "a", "weather")], id="by id"),
        pytest.param([part(None, "a", "get_"), part(None, None, "weather")], id="by neither"),
        pytest.param(
            [part(0, "a", "get_"), part(0, None, "weather"), part(0, None, "get_weather", "{}")],
            id="and the whole name again",
        ),
    ],
)
def test_name_may_come_in_pieces(parts):
    assert [name for _, name, _ in assembled(*parts)] == ["get_weather"]
    assert [call[:2] for call in sent_on(*parts)] == [("a", "get_weather")]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([part(0, *A), part(1, *B)], id="indexes"),
        pytest.param([part(None, *A), part(None, *B)], id="ids"),
        pytest.param([part(0, *A), part(0, *B)], id="index 0 for all"),
        pytest.param([part(1, *B), part(0, *A)], id="indexes out of order"),
        pytest.param([part(7, *B), part(3, *A)], id="indexes with gaps"),
        pytest.param(
            [
                part(0, "a", "f"),
                part(1, "b", "g"),
                part(1, None, None, B[2][:4]),
                part(0, None, None, A[2][:3]),
                part(1, None, None, B[2][4:]),
                part(0, None, None, A[2][3:]),
            ],
            id="interleaved by index",
        ),
        pytest.param(
            [
                part(None, "a", "f"),
                part(None, "b", "g"),
                part(None, "b", None, B[2][:4]),
                part(None, "a", None, A[2]),
                part(None, "b", None, B[2][4:]),
            ],
            id="interleaved by id",
        ),
        pytest.param(
            [
                part(0, "a", "f"),
                part(0, "b", "g"),
                part(0, "a", None, A[2]),
                part(0, "b", None, B[2]),
            ],
            id="index 0 for all, interleaved by id",
        ),
        pytest.param(
            [part(0, "a", "f"), part(0, None, None, A[2]), part(0, "b", "g", B[2])],
            id="index 0 for all, in fragments",
        ),
    ],
)
def test_parallel_calls_are_told_apart(parts):
    assert assembled(*parts) == [A, B]
    assert sorted(sent_on(*parts)) == [A, B]


@pytest.mark.parametrize(
    "names", [("f", "f", "f"), ("f", "g", "f")], ids=["the same tool", "several tools"]
)
def test_whole_calls_without_ids_or_indexes_are_told_apart(names):
    made = assembled(*(part(None, None, name, '{"n": 1}') for name in names))
    assert [name for _, name, _ in made] == list(names)
    assert len({call_id for call_id, _, _ in made}) == len(names)


@pytest.mark.parametrize("index", [None, 0])
@pytest.mark.parametrize("call_id", [None, "", "same"])
def test_every_element_of_a_whole_answer_is_a_call(index, call_id):
    made = assembled(*[part(index, call_id, "now", "")] * 3, whole=True)
    assert [name for _, name, _ in made] == ["now"] * 3


def test_missing_ids_are_made_up_and_differ():
    ids = [call_id for call_id, _, _ in assembled(part(0, None, "f"), part(1, "", "g"))]
    assert len(set(ids)) == 2
    assert all(call_id.startswith("call_") for call_id in ids)


def test_feed_tells_of_each_piece_what_it_is():
    assembler = ToolCallAssembler()
    assert not assembler
    first, is_new, piece = assembler.feed(part(0, "a", "f", '{"x'))
    assert (is_new, piece) == (True, '{"x')
    second, is_new, piece = assembler.feed(part(0, None, None, '": 1}'))
    assert (is_new, piece) == (False, '": 1}')
    assert first is second
    assert assembler


def test_a_thousand_fragments_make_one_call():
    text = json.dumps({"text": "x" * 1000})
    parts = [part(0, "a", "write")] + [part(0, None, None, character) for character in text]
    assert assembled(*parts) == [("a", "write", text)]


@pytest.mark.parametrize(
    ("last", "out_of_tokens", "readable"),
    [
        pytest.param("", True, False, id="cut before the arguments"),
        pytest.param("", False, True, id="a call without arguments"),
        pytest.param("{}", True, True, id="cut after the arguments"),
        pytest.param('{"x', True, False, id="cut in the arguments"),
    ],
)
def test_call_that_was_cut_is_not_one_without_arguments(last, out_of_tokens, readable):
    assembler = ToolCallAssembler()
    assembler.feed(part(0, "a", "f", ""))
    assembler.feed(part(1, "b", "g", last))
    first, second = assembler.finish(out_of_tokens=out_of_tokens)
    assert first.arguments == {}
    assert (second.arguments is not None) == readable


def test_no_calls_finish_to_none():
    assert ToolCallAssembler().finish(out_of_tokens=True) == []
    assert ToolCallAssembler().finish() == []


@given(st.data(), strategies.calls())
def test_calls_streamed_in_any_style_assemble_to_those_of_the_whole_answer(data, meant):
    told = data.draw(strategies.streamed_calls(meant))
    streamed, unstreamed = ToolCallAssembler(), ToolCallAssembler(whole=True)
    for fragment in [made for made_together in told for made in made_together]:
        streamed.feed(_struct(fragment))
    for call in meant:
        unstreamed.feed(_struct(strategies.element(call, None, call.name, call.text)))
    made, expected = streamed.finish(), unstreamed.finish()
    assert [(c.id, c.name, c.arguments) for c in made] == [
        (call.id, call.name, call.arguments) for call in meant
    ]
    assert [(c.id, c.name, c.arguments) for c in expected] == [
        (call.id, call.name, call.arguments) for call in meant
    ]


def _struct(fragment):
    return part(fragment.get("index"), fragment.get("id"), **fragment["function"])
