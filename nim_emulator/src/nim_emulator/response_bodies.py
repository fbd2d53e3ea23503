"""JSON bodies of responses in the form of each dialect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import tokenizer
from .dialect import Dialect, ToolStream
from .generation_request import Choice, GeneratedToolCall, GenerationRequest
from .logprobs import chat_logprobs, completion_logprobs
from .shapes import Shapes


@dataclass(frozen=True, slots=True)
class GeneratedResponse:
    """The text of the model, and how it is to be sent.

    Attributes:
        dialect: The NIM's generation.
        request: The request.
        choices: The responses.
        id: Id of the response.
        created: Unix time in seconds.
        tool_stream: How streamed tool calls are cut.
    """

    dialect: Dialect
    request: GenerationRequest
    choices: Sequence[Choice]
    id: str
    created: int
    tool_stream: ToolStream

    @property
    def shapes(self) -> Shapes:
        """Constant parts of responses."""
        return self.dialect.shapes

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts."""
        return sum(item.tokens for item in self.request.prompts)

    def usage(self, completion: int | None = None) -> dict[str, Any]:
        """Return the ``usage`` object; ``completion`` is the number of tokens so far."""
        prompt = self.prompt_tokens
        if completion is None:
            completion = sum(choice.completion_tokens for choice in self.choices)
        return {
            "prompt_tokens": prompt,
            "total_tokens": prompt + completion,
            "completion_tokens": completion,
        }

    def envelope(self, kind: str) -> dict[str, Any]:
        """Return the fields that every body and chunk starts with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.request.model}

    def arguments(self, call: GeneratedToolCall) -> str:
        """Return the text of a call's arguments; older NIMs send none for an empty object."""
        return self.shapes.no_arguments if call.empty else "".join(call.pieces)


def stopped_by(shapes: Shapes, choice: Choice) -> dict[str, Any]:
    """Return the field that says what stopped a choice, where there is one."""
    if shapes.stop_reason is None:
        return {}
    reason = choice.stop_reason
    if reason is None and choice.finish_reason == "stop":
        reason = shapes.natural_stop
    return {shapes.stop_reason: reason}


def echo_tokens(request: GenerationRequest, choice: Choice) -> list[str]:
    """Return the tokens of the prompt that a completion repeats."""
    return tokenizer.tokenize(choice.prompt.text) if request.echo else []


def body(response: GeneratedResponse) -> dict[str, Any]:
    """Return the body of a response that is not streamed."""
    chat, shapes = response.request.chat, response.shapes
    extras = shapes.chat_choice if chat else shapes.completion_choice
    choices = [
        {
            "index": choice.index,
            **(_chat_choice(response, choice) if chat else _completion_choice(response, choice)),
            "finish_reason": choice.finish_reason,
            **stopped_by(shapes, choice),
            **extras,
        }
        for choice in response.choices
    ]
    if not chat and not shapes.completion_nulls:
        choices = [without_nulls(choice) for choice in choices]
    usage = response.usage()
    version = shapes.weight_version
    spans = [{"version": version, "start": 0, "end": usage["completion_tokens"]}]
    metadata = {"metadata": {"weight_version": version, "weight_versions": spans}}
    return {
        **response.envelope("chat.completion" if chat else "text_completion"),
        "choices": choices,
        "usage": {**usage, **shapes.usage},
        **(shapes.chat_body if chat else shapes.completion_body),
        **(metadata if version is not None else {}),
    }


def _chat_choice(response: GeneratedResponse, choice: Choice) -> dict[str, Any]:
    shapes = response.shapes
    # A call that a limit cut off cannot be parsed: its text stays in the content.
    cut = [call for call in choice.calls if not call.complete]
    calls = [] if cut else choice.calls
    content: str | None = "".join(choice.tokens)
    if cut:
        content = f'{{"name": "{cut[0].name}", "parameters": {"".join(cut[0].pieces)}'
    elif calls:
        auto = response.request.tool_choice == "auto"
        content = shapes.auto_content if auto else shapes.forced_content
    message: dict[str, Any] = {"role": "assistant", "content": content, **shapes.message}
    if choice.reasoning:
        message[shapes.reasoning] = "".join(choice.reasoning)
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                **({"index": index} if shapes.whole_tool_index else {}),
                "type": "function",
                "function": {"name": call.name, "arguments": response.arguments(call)},
            }
            for index, call in enumerate(calls)
        ]
    elif shapes.no_tool_calls is not None:
        message["tool_calls"] = shapes.no_tool_calls
    logprobs = None
    if not choice.calls:
        logprobs = chat_logprobs(shapes, response.request, choice.prompt, choice.tokens)
    return {"message": message, "logprobs": logprobs}


def _completion_choice(response: GeneratedResponse, choice: Choice) -> dict[str, Any]:
    request = response.request
    echoed = echo_tokens(request, choice)
    logprobs = completion_logprobs(
        response.shapes, request, choice.prompt, choice.tokens, echoed=echoed
    )
    return {"text": "".join([*echoed, *choice.tokens]), "logprobs": logprobs}


def without_nulls(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry without its fields that hold nothing."""
    return {name: value for name, value in entry.items() if value is not None}


def encode(value: Any) -> bytes:
    """Return compact JSON in UTF-8; a lone surrogate stays an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
