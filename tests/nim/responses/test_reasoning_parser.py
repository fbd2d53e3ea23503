from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.model_facts.profile import Profile
from llama_stack_provider_nvidia.nim.model_facts.registry import profile_of
from llama_stack_provider_nvidia.nim.responses.normalize import reasoning_of
from llama_stack_provider_nvidia.nim.responses.reasoning_parser import (
    Mode,
    NativeText,
    ReasoningSplitter,
    splitter_for,
)
from llama_stack_provider_nvidia.nim.responses.structs import ChatDelta
from tests.strategies import cuts

MODES: list[Mode] = ["drop", "inline", "text"]

# Text, then its thinking and its content.
TAGGED = [
    ("", "", ""),
    ("answer", "", "answer"),
    ("<think>a</think>b", "a", "b"),
    ("<think>\nLet me see.\n</think>\n\nYes.", "Let me see.\n", "Yes."),
    ("<think></think>b", "", "b"),
    ("<think>\n\n</think>\n\nb", "", "b"),
    ("a<think>b</think> c<think>d</think>\te", "bd", "ace"),
    ("<think>never closed", "never closed", ""),
    ("<think>cut in its closing tag</thi", "cut in its closing tag</thi", ""),
    ("ends in <thi", "", "ends in <thi"),
    ("<think>a < b, a <think> c</think>d", "a < b, a <think> c", "d"),
    ("no thought</think>answer", "", "no thought</think>answer"),
    ("x<<think>y<</think>z", "y<", "x<z"),
    ("<think>a</think>  indented", "a", "indented"),
    ("1 < 2 <thin 3 <think 4", "", "1 < 2 <thin 3 <think 4"),
    ("<think>a</think><think>b</think>c", "ab", "c"),
]

# The same where the template wrote the opening tag.
OPENED = [
    ("", "", ""),
    ("a</think>b", "a", "b"),
    ("\nLet me see.\n</think>\n\nYes.", "Let me see.\n", "Yes."),
    ("<think>a</think>b", "a", "b"),
    ("\n<think>\na</think>b", "a", "b"),
    ("</think>b", "", "b"),
    ("cut short", "cut short", ""),
    ("<thi", "<thi", ""),
    ("<thinking>a</think>b", "<thinking>a", "b"),
    ("a</think>b<think>c</think>d</think>", "ac", "bd</think>"),
    ("a<think>b</think>c", "a<think>b", "c"),
]


def read(splitter: ReasoningSplitter, pieces: list[str]) -> tuple[str, str]:
    parts = [*(splitter.feed(piece) for piece in pieces), splitter.close()]
    return "".join(thought for thought, _ in parts), "".join(text for _, text in parts)


@pytest.mark.parametrize(("text", "thought", "content"), TAGGED)
def test_inline(text: str, thought: str, content: str) -> None:
    assert read(ReasoningSplitter(True), [text]) == (thought, content)
    assert read(ReasoningSplitter(True), list(text)) == (thought, content)


@pytest.mark.parametrize(("text", "thought", "content"), OPENED)
def test_opened_by_the_template(text: str, thought: str, content: str) -> None:
    assert read(ReasoningSplitter(True, opens_in_prompt=True), [text]) == (thought, content)
    assert read(ReasoningSplitter(True, opens_in_prompt=True), list(text)) == (thought, content)


@pytest.mark.parametrize("text", [text for text, _, _ in TAGGED])
def test_tags_are_text_where_models_do_not_think_inline(text: str) -> None:
    for opens in (False, True):
        assert read(ReasoningSplitter(False, opens_in_prompt=opens), [text]) == ("", text)


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "think>", "a", "b c", "\n", " ", "<thi"])
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@given(st.data(), PIECES, st.booleans(), st.booleans())
def test_cuts_change_nothing(data: Any, text: str, inline: bool, opens: bool) -> None:
    whole = read(ReasoningSplitter(inline, opens_in_prompt=opens), [text])
    pieces = data.draw(cuts(text, most=12))
    assert read(ReasoningSplitter(inline, opens_in_prompt=opens), pieces) == whole


def by_the_book(text: str, opens: bool) -> list[tuple[str, str]]:
    """All of a text in its order, but for tags and the white space beside them."""
    space, thinks, pieces = " \t\r\n", opens, []
    if opens:
        text = text.lstrip(space).removeprefix("<think>").lstrip(space)
    while True:
        piece, tag, text = text.partition("</think>" if thinks else "<think>")
        pieces.append((piece, "") if thinks else ("", piece))
        if not tag:
            return [piece for piece in pieces if any(piece)]
        text, thinks = text.lstrip(space), not thinks


@given(PIECES, st.booleans())
def test_nothing_is_lost_but_tags_and_the_space_beside_them(text: str, opens: bool) -> None:
    splitter = ReasoningSplitter(True, opens_in_prompt=opens)
    found = [*splitter.split(text), splitter.close()]
    expected = by_the_book(text, opens)
    assert "".join(thought for thought, _ in found) == "".join(t for t, _ in expected)
    assert "".join(content for _, content in found) == "".join(c for _, c in expected)


@given(PIECES, st.booleans())
def test_no_more_is_held_back_than_the_beginning_of_a_tag(text: str, opens: bool) -> None:
    splitter = ReasoningSplitter(True, opens_in_prompt=opens)
    for character in text:
        splitter.feed(character)
    held = "".join(splitter.close())
    assert any(tag.startswith(held) and tag != held for tag in ("<think>", "</think>"))


def test_a_server_that_sets_thinking_apart() -> None:
    for inline, opens in ((False, False), (True, False), (True, True)):
        splitter = ReasoningSplitter(inline, opens_in_prompt=opens)
        assert splitter.feed("", None) == ("", "")
        assert splitter.feed(None, "Let me") == ("Let me", "")
        assert splitter.feed(None, " see <think>") == (" see <think>", "")
        assert splitter.feed("\n\n") == ("", "\n\n")  # handed on as it is
        assert splitter.feed("\nWrite <think>, ") == ("", "\nWrite <think>, ")
        assert splitter.feed("</think>  ok") == ("", "</think>  ok")
        assert splitter.close() == ("", "")
        assert not splitter.in_reasoning


def test_a_whole_answer_of_such_a_server() -> None:
    assert ReasoningSplitter(True).feed("\n\nYes <think>", "Why?") == (
        "Why?",
        "\n\nYes <think>",
    )


def test_what_was_held_back_comes_before_a_change_of_mind() -> None:
    splitter = ReasoningSplitter(True)
    assert splitter.feed("a<th") == ("", "a")
    assert splitter.split("b", "thought") == [("", "<th"), ("thought", ""), ("", "b")]


def test_blocks_keep_their_order() -> None:
    splitter = ReasoningSplitter(True)
    assert splitter.split("a<think>b</think>c") == [("", "a"), ("b", ""), ("", "c")]


def test_what_is_assumed() -> None:
    splitter = ReasoningSplitter(True, opens_in_prompt=True)
    assert (splitter.in_reasoning, splitter.assumed) == (True, True)
    splitter.feed("the answer, in truth")
    assert splitter.assumed
    splitter.feed("</think>")
    assert (splitter.in_reasoning, splitter.assumed) == (False, False)
    for certain in ("<think>a", "</think>"):
        splitter = ReasoningSplitter(True, opens_in_prompt=True)
        splitter.feed(certain)
        assert not splitter.assumed
    splitter = ReasoningSplitter(True)
    splitter.feed("<think>a")
    assert (splitter.in_reasoning, splitter.assumed) == (True, False)


@pytest.mark.parametrize(
    ("written", "thought"),
    [
        (ChatDelta(reasoning_content="a"), "a"),
        (ChatDelta(reasoning="a"), "a"),
        (ChatDelta(reasoning="a", reasoning_content="a"), "a"),
        (ChatDelta(reasoning="a", reasoning_content=""), "a"),
        (ChatDelta(content="a"), None),
        (SimpleNamespace(reasoning={"odd": 1}), None),
        (None, None),
    ],
)
def test_reasoning_of(written: Any, thought: str | None) -> None:
    assert reasoning_of(written) == thought


R1 = "deepseek-ai/deepseek-r1"
NANO3 = "nvidia/nemotron-3-nano"
ON = {"chat_template_kwargs": {"enable_thinking": True}}
OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize(
    ("model", "body", "opened"),
    [
        (R1, {}, True),
        (R1, {"response_format": {"type": "text"}, "tool_choice": "auto"}, True),
        (R1, {"response_format": {"type": "json_schema"}}, False),
        (R1, {"response_format": {"type": "json_object"}}, False),
        (R1, {"structured_outputs": {"regex": "a"}}, False),
        (R1, {"nvext": {"guided_json": {}}}, False),
        (R1, {"nvext": {"top_k": 1}}, True),
        (R1, {"guided_choice": ["a"]}, False),
        (R1, {"ebnf": "root ::= a"}, False),
        (R1, {"tool_choice": "required"}, False),
        (NANO3, {}, False),
        (NANO3, ON, True),
        (NANO3, OFF, False),
        ("meta/llama-3.1-8b-instruct", {}, False),
        ("who/knows", ON, False),
    ],
)
def test_splitter_for(model: str, body: dict[str, Any], opened: bool) -> None:
    splitter = splitter_for(profile_of(model), body)
    assert splitter.in_reasoning is opened
    tagged = splitter_for(profile_of(model), body).feed("<think>a</think>b")
    inline = profile_of(model).inline_reasoning
    assert tagged == (("a", "b") if inline else ("", "<think>a</think>b"))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("minimaxai/minimax-m3", "<mm:think>why</mm:think>so"),
        ("bytedance/seed-oss-36b-instruct", "<seed:think>why</seed:think>so"),
        ("mistralai/magistral-small-2506", "[THINK]why[/THINK]so"),
        ("google/gemma-4-31b-it", "<|channel>thought\nwhy<channel|>so"),
        ("moonshotai/Kimi-VL-A3B-Thinking-2506", "◁think▷why◁/think▷so"),
        ("moonshotai/kimi-k2-thinking", "<think>why</think>so"),
        ("zai-org/glm-4.6", "<think>why</think>so"),
        (
            "openai/gpt-oss-20b",
            "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>so",
        ),
    ],
)
def test_tags_of_families_cut_anywhere(model: str, text: str) -> None:
    for cut in range(len(text)):
        splitter = splitter_for(profile_of(model), {})
        pieces = [*splitter.split(text[:cut]), *splitter.split(text[cut:]), splitter.close()]
        assert "".join(reasoning for reasoning, _ in pieces) == "why"
        assert "".join(content for _, content in pieces) == "so"


def test_a_profile_that_opens_but_is_not_inline_finds_nothing() -> None:
    splitter = splitter_for(Profile("odd", opens_in_prompt=True), {})
    assert splitter.feed("a</think>b") == ("", "a</think>b")


def native(mode: Mode, pieces: list[tuple[str, str]]) -> str:
    writer = NativeText(mode)
    return "".join([*(writer.feed(*piece) for piece in pieces), writer.close()])


# Pieces, and what each mode makes of them.
NATIVE = [
    ([], "", "", ""),
    ([("", "a")], "a", "a", "a"),
    ([("t", ""), ("", "a")], "a", "<think>\nt\n</think>\n\na", "t\n\na"),
    ([("t", "a")], "a", "<think>\nt\n</think>\n\na", "t\n\na"),
    ([("t\n", "a")], "a", "<think>\nt\n</think>\n\na", "t\n\na"),
    ([("t\n\n", "a")], "a", "<think>\nt\n\n</think>\n\na", "t\n\na"),
    ([("t\n\n\n", "a")], "a", "<think>\nt\n\n\n</think>\n\na", "t\n\n\na"),
    ([("t", "")], "", "<think>\nt\n</think>\n\n", "t"),
    (
        [("", "a"), ("t", ""), ("", "b")],
        "ab",
        "a<think>\nt\n</think>\n\nb",
        "a\n\nt\n\nb",
    ),
]


@pytest.mark.parametrize(("pieces", "dropped", "inline", "text"), NATIVE)
def test_native_text(pieces: Any, dropped: str, inline: str, text: str) -> None:
    assert [native(mode, pieces) for mode in MODES] == [dropped, inline, text]


@given(
    st.data(),
    st.lists(st.tuples(st.booleans(), st.text("ab\n", min_size=1, max_size=6)), max_size=5),
    st.sampled_from(MODES),
)
def test_native_text_is_the_same_however_it_is_cut(data: Any, blocks: Any, mode: Mode) -> None:
    whole = [(text, "") if thinks else ("", text) for thinks, text in blocks]
    cut = [
        (piece, "") if thinks else ("", piece)
        for thinks, text in blocks
        for piece in data.draw(cuts(text))
    ]
    assert native(mode, cut) == native(mode, whole)


@given(st.data(), PIECES, st.booleans(), st.sampled_from(MODES))
def test_stream_and_whole_answer_read_the_same(
    data: Any, text: str, opens: bool, mode: Mode
) -> None:
    def written(pieces: list[str]) -> str:
        splitter = ReasoningSplitter(True, opens_in_prompt=opens)
        writer = NativeText(mode)
        parts = [writer.feed(*found) for piece in pieces for found in splitter.split(piece)]
        return "".join([*parts, writer.feed(*splitter.close()), writer.close()])

    assert written(data.draw(cuts(text, most=12))) == written([text])


def test_an_answer_that_passed_for_thinking_is_not_dropped() -> None:
    splitter = ReasoningSplitter(True, opens_in_prompt=True)
    writer = NativeText("drop")
    assert [writer.feed(*splitter.feed(piece)) for piece in ("The ", "answer.")] == ["", ""]
    assert splitter.assumed
    assert writer.close(was_answer=splitter.assumed) == "The answer."


@pytest.mark.parametrize(
    ("mode", "end"), [("drop", ""), ("inline", "\n</think>\n\n"), ("text", "")]
)
def test_thinking_alone_stays_thinking(mode: Mode, end: str) -> None:
    writer = NativeText(mode)
    writer.feed("t", "")
    assert writer.close() == end


def test_what_came_with_an_answer_is_dropped_for_good() -> None:
    writer = NativeText("drop")
    assert writer.feed("t", "") + writer.feed("u", "a") + writer.feed("v", "") == "a"
    assert writer.close(was_answer=True) == ""


@pytest.mark.parametrize(
    ("model", "opening", "closing"),
    [
        ("minimaxai/minimax-m3", "<mm:think>", "</mm:think>"),
        ("bytedance/seed-oss-36b-instruct", "<seed:think>", "</seed:think>"),
    ],
)
def test_each_family_has_its_own_tags(model: str, opening: str, closing: str) -> None:
    text = f"{opening}because{closing}\n\nyes, and <think> is text"
    for pieces in ([text], list(text)):
        splitter = splitter_for(profile_of(model), {})
        assert read(splitter, pieces) == ("because", "yes, and <think> is text")
