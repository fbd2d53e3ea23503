"""Arbitrary answers, tool calls and JSON, for the property tests."""

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

# What JSON can carry as UTF-8; the protocol's own types hold no lone surrogates either.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-z][a-z_]{0,11}", fullmatch=True)
numbers = st.integers(-(2**40), 2**40) | st.floats(-1e6, 1e6, allow_nan=False)
plain_values = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    plain_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Call:
    """A tool call as a model means it."""

    id: str
    name: str
    arguments: dict[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.arguments)


@st.composite
def calls(draw: st.DrawFn, *, min_size: int = 0) -> list[Call]:
    """Tool calls with ids of their own."""
    meant = draw(
        st.lists(
            st.tuples(names, st.dictionaries(texts, json_values, max_size=3)),
            min_size=min_size,
            max_size=4,
        )
    )
    return [Call(f"call_{n}", name, arguments) for n, (name, arguments) in enumerate(meant)]


@st.composite
def cuts(draw: st.DrawFn, whole: Any, *, most: int = 6) -> list[Any]:
    """Pieces that make up a string or bytes, cut anywhere, none empty."""
    if not whole:
        return []
    marks = draw(st.lists(st.integers(0, len(whole)), max_size=most))
    edges = sorted({0, len(whole), *marks})
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


def element(call: Call, index: int | None, name: str | None, arguments: Any) -> dict[str, Any]:
    """One element of a delta's ``tool_calls``."""
    made: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    if name is not None:
        made |= {"id": call.id, "type": "function"}
    if index is not None:
        made["index"] = index
    return made


@st.composite
def _fragments(draw: st.DrawFn, call: Call, index: int | None) -> list[dict[str, Any]]:
    """One call in one of the styles of section "Tool calling" of docs/nim.md."""
    style = draw(st.sampled_from(["whole", "decoded", "two parts", "fragments", "name repeated"]))
    if style == "whole":
        return [element(call, index, call.name, call.text)]
    if style == "decoded":
        return [element(call, index, call.name, call.arguments)]
    if style == "two parts":
        return [
            element(call, index, call.name, draw(st.sampled_from(["", None]))),
            element(call, index, None, call.text),
        ]
    first = element(call, index, call.name, draw(st.sampled_from(["", None])))
    name = call.name if style == "name repeated" else None
    return [first, *(element(call, index, name, piece) for piece in draw(cuts(call.text)))]


@st.composite
def streamed_calls(draw: st.DrawFn, meant: list[Call]) -> list[list[dict[str, Any]]]:
    """The ``tool_calls`` lists of successive deltas that tell of these calls.

    With indexes the calls may come interleaved; without, one after the other.
    """
    indexed = draw(st.booleans())
    queues = [draw(_fragments(call, n if indexed else None)) for n, call in enumerate(meant)]
    told: list[list[dict[str, Any]]] = []
    while queues:
        position = draw(st.integers(0, len(queues) - 1)) if indexed else 0
        told.append([queues[position].pop(0)])
        if not queues[position]:
            queues.pop(position)
    return told


@dataclass(frozen=True)
class Token:
    """A generated token with its alternatives."""

    text: str
    logprob: float
    others: dict[str, float] = field(default_factory=dict)

    @property
    def chat(self) -> dict[str, Any]:
        tops = [{"token": t, "logprob": p} for t, p in self.others.items()]
        return {"token": self.text, "logprob": self.logprob, "top_logprobs": tops}

    @property
    def native(self) -> dict[str, float]:
        return {**self.others, self.text: self.logprob}


logprob_values = st.floats(-100, 0, allow_nan=False)
tokens = st.builds(Token, texts, logprob_values, st.dictionaries(texts, logprob_values, max_size=3))


@dataclass(frozen=True)
class Answer:
    """An answer as a model means it: its text is that of its tokens."""

    tokens: list[Token]
    calls: list[Call]
    finish_reason: str | None
    with_logprobs: bool

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


answers = st.builds(
    Answer,
    st.lists(tokens, max_size=5),
    calls(),
    st.sampled_from(["stop", "length", "tool_calls", "content_filter", None]),
    st.booleans(),
)


def whole_choice(answer: Answer) -> dict[str, Any]:
    """The choice of an unstreamed chat answer."""
    logprobs = {"content": [token.chat for token in answer.tokens]}
    return {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": answer.text or None,
            "tool_calls": [element(call, None, call.name, call.text) for call in answer.calls],
        },
        "logprobs": logprobs if answer.with_logprobs else None,
        "finish_reason": answer.finish_reason,
    }


@st.composite
def streamed_chunks(draw: st.DrawFn, answer: Answer) -> list[dict[str, Any]]:
    """Any legal sequence of chunks that tells of an answer."""
    noise: list[dict[str, Any]] = [
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
        {"choices": [{"index": 1, "delta": {"content": "another answer"}}]},
        {"choices": [{"index": 0, "delta": {}}]},
    ]
    deltas: list[dict[str, Any]] = []
    left = list(answer.tokens)
    while left:
        size = draw(st.integers(1, len(left)))
        group, left = left[:size], left[size:]
        choice: dict[str, Any] = {"delta": {"content": "".join(token.text for token in group)}}
        if answer.with_logprobs:
            choice["logprobs"] = {"content": [token.chat for token in group]}
        deltas.append(choice)
    deltas += [{"delta": {"tool_calls": c}} for c in draw(streamed_calls(answer.calls))]
    if deltas and draw(st.booleans()):  # the finish reason comes with the last content
        deltas[-1] = {**deltas[-1], "finish_reason": answer.finish_reason}
    elif answer.finish_reason is not None:
        deltas.append({"delta": {}, "finish_reason": answer.finish_reason})
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
    for choice in deltas:
        if draw(st.integers(0, 4)) == 0:
            chunks.append(draw(st.sampled_from(noise)))
        chunks.append({"choices": [{"index": 0, **choice}]})
    return [*chunks, noise[0]]
