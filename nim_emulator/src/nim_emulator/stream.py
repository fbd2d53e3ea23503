"""Streamed responses: chunks as server-sent events in the form of each dialect."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from . import tokenizer
from .generation_request import Choice, GeneratedToolCall
from .logprobs import chat_logprobs, completion_logprobs
from .response_bodies import GeneratedResponse, echo_tokens, encode, stopped_by, without_nulls

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event.

    Attributes:
        data: The bytes on the wire.
        tokens: Tokens of the response in it.
    """

    data: bytes
    tokens: int = 0


DONE = Frame(b"data: [DONE]\n\n")


def data_frame(value: Json, tokens: int = 0) -> Frame:
    """Return the event of a JSON value."""
    return Frame(b"data: " + encode(value) + b"\n\n", tokens)


def frames(response: GeneratedResponse, *, done: bool = True) -> Iterator[Frame]:
    """Yield the events of a streamed response.

    Args:
        response: The response.
        done: End with ``[DONE]``.

    Several choices take turns, one token each. The usage follows in a chunk without choices
    when it was asked for, then ``[DONE]``.
    """
    if response.dialect.annotations:
        yield from _annotations(response)
    writer: _Writer = (_ChatWriter if response.request.chat else _CompletionWriter)(response)
    for turn in zip_longest(*map(writer.choice, response.choices)):
        for frame in turn:
            if frame is not None:
                yield frame
    if response.request.include_usage:
        usage = {**response.usage(), **writer.last_usage}
        yield writer.frame([], extras={"usage": usage, **response.shapes.last_chunk})
    if done:
        yield DONE


def _annotations(response: GeneratedResponse) -> Iterator[Frame]:
    """Yield the events that ``nvext.annotations`` asks for; unknown ones are ignored."""
    text = response.request.prompts[0].text
    ids = [tokenizer.token_id(token) for token in tokenizer.tokenize(text)]
    values = {
        "request_id": response.id.partition("-")[2],
        "formatted_prompt": text,
        "token_ids": str(ids),
    }
    for name in response.request.annotations:
        if name in values:
            # A comment instead of data: clients that parse the data of every event stumble.
            yield Frame(f"event: {name}\n: ".encode() + encode(values[name]) + b"\n\n")


class _Writer(ABC):
    """The common part of streams of chats and of completions."""

    kind = ""
    finish_on_last_token: bool
    last_usage: Json

    def __init__(self, response: GeneratedResponse) -> None:
        self.response = response
        self.request = response.request
        self.shapes = response.shapes
        self.envelope = response.envelope(self.kind)
        self.sent = 0

    @abstractmethod
    def choice(self, choice: Choice) -> Iterator[Frame]:
        """Yield the chunks of a choice."""

    @abstractmethod
    def entry(self, choice: Choice, text: str, logprobs: Json | None) -> Json:
        """Return the choice of a chunk with text."""

    def frame(self, choices: list[Json], count: int = 0, extras: Json | None = None) -> Frame:
        self.sent += count
        chunk = {**self.envelope, "choices": choices}
        if self.request.continuous_usage and choices and (count or self.shapes.usage_everywhere):
            chunk["usage"] = {**self.response.usage(self.sent), **self.shapes.running_usage}
        return data_frame({**chunk, **(extras or {})}, count)

    def finish(self, choice: Choice, entry: Json, count: int = 0) -> Frame:
        """Return the chunk that says why the choice ended."""
        entry["finish_reason"] = choice.finish_reason
        entry.update(stopped_by(self.shapes, choice))
        extras = {} if self.request.include_usage else self.shapes.last_chunk
        return self.frame([entry], count, extras)

    def text(self, choice: Choice, offset: int = 0) -> Iterator[Frame]:
        """Yield the text of a choice, one token per chunk, and its end."""
        texts = choice.tokens
        # Where generation is cut, the engine of 2.x ends the stream with the last text;
        # at its natural end there is a stop token that shows no text.
        cut = choice.finish_reason == "length" or choice.stop_reason is not None
        merged = self.finish_on_last_token and cut and bool(texts)
        plain = self.request.logprobs is None and not self.request.continuous_usage
        last = len(texts) - 1 if merged else len(texts)
        if plain:
            yield from self.fast(choice, last)
        for place in range(0 if not plain else last, len(texts)):
            logprobs = self.logprobs(choice, place, offset)
            entry = self.entry(choice, texts[place], logprobs)
            offset += len(texts[place])
            yield self.frame([entry], 1) if place < last else self.finish(choice, entry, 1)
        if not merged:
            yield self.finish(choice, self.end(choice))

    def fast(self, choice: Choice, last: int) -> Iterator[Frame]:
        """Yield chunks cut from one encoded pattern: the hot path.

        NUL is written as an escape, and the text comes after ids and model names: the last
        such escape of the pattern is where the text goes.
        """
        pattern = self.frame([self.entry(choice, "\0", None)]).data
        head, _, tail = pattern.rpartition(b'"\\u0000"')
        for token in choice.tokens[:last]:
            yield Frame(head + encode(token) + tail, 1)

    @abstractmethod
    def logprobs(self, choice: Choice, place: int, offset: int) -> Json | None:
        """Return the log probabilities of the token at a place."""

    @abstractmethod
    def end(self, choice: Choice) -> Json:
        """Return the choice of a chunk without text."""


class _ChatWriter(_Writer):
    kind = "chat.completion.chunk"

    def __init__(self, response: GeneratedResponse) -> None:
        super().__init__(response)
        self.finish_on_last_token = self.shapes.finish_on_last_token
        self.last_usage = self.shapes.last_usage

    def choice(self, choice: Choice) -> Iterator[Frame]:
        content = self.shapes.first_call_content if choice.calls else ""
        first = self.delta(choice, {"role": "assistant", "content": content})
        for name in self.shapes.chat_chunk_choice if self.shapes.bare_first_chunk else ():
            del first[name]
        content_first = self.shapes.role_with_text and not choice.reasoning
        if content_first and (choice.calls or choice.tokens):
            yield from self.with_role(self.content(choice))
            return
        yield self.frame([first], extras=self.shapes.first_chunk)
        for token in choice.reasoning:
            yield self.frame([self.delta(choice, {self.shapes.reasoning: token})], 1)
        yield from self.content(choice)

    def content(self, choice: Choice) -> Iterator[Frame]:
        """Yield the text of a choice or its calls, and its end."""
        if not choice.calls:
            yield from self.text(choice)
            return
        for index, call in enumerate(choice.calls):
            for part, count in self.call_deltas(index, call):
                delta = self.delta(choice, {**self.shapes.call_delta, "tool_calls": [part]})
                yield self.frame([delta], count, self.shapes.call_chunk)
        yield self.finish(choice, self.delta(choice, self.last_delta(choice.calls)))

    def with_role(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Put the role into the first of some chunks."""
        first = next(frames)
        chunk = json.loads(first.data.removeprefix(b"data: "))
        chunk["choices"][0]["delta"]["role"] = "assistant"
        yield data_frame(chunk, first.tokens)
        yield from frames

    def delta(self, choice: Choice, delta: Json, logprobs: Json | None = None) -> Json:
        return {
            "index": choice.index,
            "delta": {**self.shapes.delta, **delta},
            "logprobs": logprobs,
            "finish_reason": None,
            **self.shapes.chat_chunk_choice,
        }

    def entry(self, choice: Choice, text: str, logprobs: Json | None) -> Json:
        return self.delta(choice, {"content": text}, logprobs)

    def end(self, choice: Choice) -> Json:
        return self.delta(choice, {})

    def logprobs(self, choice: Choice, place: int, offset: int) -> Json | None:
        tokens = [choice.tokens[place]]
        return chat_logprobs(self.shapes, self.request, choice.prompt, tokens, place)

    def call_deltas(self, index: int, call: GeneratedToolCall) -> Iterator[tuple[Json, int]]:
        """Yield the deltas of one tool call and the number of tokens in each."""
        style = self.response.tool_stream
        fragments = style == "fragments"
        number = {"index": index} if fragments or self.shapes.tool_index else {}
        opening = {"id": call.id, "type": "function", **number}
        name_tokens = tokenizer.count(call.name)
        if style == "whole":
            function = {"name": call.name, "arguments": self.response.arguments(call)}
            yield {**opening, "function": function}, name_tokens + len(call.pieces)
            return
        if fragments:
            pieces = [] if call.empty else list(call.pieces)
            function = {"name": call.name}
            if self.shapes.opening_arguments == "empty":
                function["arguments"] = ""
            elif self.shapes.opening_arguments == "piece" and pieces:
                function["arguments"] = pieces.pop(0)
            yield {**opening, "function": function}, name_tokens
            for piece in pieces:
                later = {**self.shapes.later_function, "arguments": piece}
                yield {**number, **self.shapes.later_call, "function": later}, 1
            return
        yield {**opening, "function": {"name": call.name, "arguments": ""}}, name_tokens
        if arguments := self.response.arguments(call):
            yield {**number, "function": {"arguments": arguments}}, len(call.pieces)

    def last_delta(self, calls: list[GeneratedToolCall]) -> Json:
        """Return the delta of the finishing chunk after tool calls."""
        if self.response.tool_stream != "fragments" or calls[-1].empty or not calls[-1].complete:
            return {}
        if self.shapes.opening_arguments != "none":
            return {}
        # Recorded from vLLM: the end comes with one more, empty, piece of arguments.
        return {"tool_calls": [{"index": len(calls) - 1, "function": {"arguments": ""}}]}


class _CompletionWriter(_Writer):
    kind = "text_completion"

    def __init__(self, response: GeneratedResponse) -> None:
        super().__init__(response)
        ends = self.shapes.completion_finish_on_last_token
        self.finish_on_last_token = self.shapes.finish_on_last_token if ends is None else ends
        self.last_usage = self.shapes.completion_last_usage
        self.envelope |= self.shapes.completion_chunk

    def choice(self, choice: Choice) -> Iterator[Frame]:
        echoed = echo_tokens(self.request, choice)
        if echoed:
            logprobs = completion_logprobs(
                self.shapes, self.request, choice.prompt, [], echoed=echoed
            )
            yield self.frame([self.entry(choice, "".join(echoed), logprobs)])
        yield from self.text(choice, sum(map(len, echoed)))

    def entry(self, choice: Choice, text: str, logprobs: Json | None) -> Json:
        entry = {
            "index": choice.index,
            "text": text,
            "logprobs": logprobs,
            "finish_reason": None,
            **self.shapes.completion_chunk_choice,
        }
        return entry if self.shapes.completion_nulls else without_nulls(entry)

    def end(self, choice: Choice) -> Json:
        return self.entry(choice, "", None)

    def logprobs(self, choice: Choice, place: int, offset: int) -> Json | None:
        token = choice.tokens[place]
        return completion_logprobs(self.shapes, self.request, choice.prompt, [token], place, offset)
