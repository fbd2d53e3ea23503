"""Fuzz target: reasoning and tool calls in a text, however it is cut."""

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.responses.reasoning_parser import (
    NativeText,
    ReasoningSplitter,
)
from llama_stack_provider_nvidia.nim.responses.text_tool_call_parser import (
    Style,
    TextToolCalls,
)

_WORDS = (
    *(
        "<think>",
        "</think>",
        "<think",
        ">",
        "\n",
        " ",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        '"',
        "'",
        "\\",
    ),
    *('{"name": "f", "parameters": {"a": 1}}', '{"type": "function", ', '"name": ', '"f"', '"id"'),
    *("<function=f>", "</function>", "<|python_tag|>", "<TOOLCALL>", "</TOOLCALL>", "f(a=1)"),
    *('brave_search.call(query="x")', "[f(", "a=", "1", ",", ";", "b'x'", "{1: 2}", "1e999", "-"),
)
_OFFERED = ("f", "brave_search", "code_interpreter")
_STYLES: tuple[Style, ...] = ("llama", "nemotron")
SEEDS = [bytes([0, *range(30)]), bytes([1, 15, 3, 16, 17, 40, 41, 18]), bytes(range(90, 10, -1))]


def check(data: bytes) -> None:
    """Feed a text whole and in pieces."""
    source = Source(data)
    style, inline, opens = source.pick(_STYLES), source.flag(), source.flag()
    mode = source.pick(("drop", "inline", "text"))
    pieces = []
    while source and len(pieces) < 200:
        word = source.byte()
        known = word < 200
        pieces.append(
            _WORDS[word % len(_WORDS)] if known else source.blob(8).decode("utf-8", "ignore")
        )
    found = []
    for parts in (["".join(pieces)], pieces, list("".join(pieces))):
        splitter = ReasoningSplitter(inline, opens_in_prompt=opens)
        calls = TextToolCalls(_OFFERED, style)
        native = NativeText(mode)  # type: ignore[arg-type]
        thoughts, shown, written = "", "", ""
        for thought, text in (*(splitter.feed(part) for part in parts), splitter.close()):
            thoughts += thought
            shown += calls.feed(text)
        for part in parts:
            written += native.feed("", part)
        rest, made = calls.close()
        found.append((thoughts, shown + rest, made, written + native.close()))
    assert found[0] == found[1] == found[2]
