"""NIM's completion responses as msgspec structs, with only the fields that are read.

A chunk of a stream and a whole response share a struct, because one path reads both: a
choice of a stream has a ``delta``, a choice of a whole response has a ``message``. Fields that
some server sends as null, leaves out or gives another type are typed so; see sections
"Streaming" and "Tool calling" of docs/nim.md for who does what.
"""

from typing import Any

import msgspec


class FunctionDelta(msgspec.Struct, gc=False):
    """Name and JSON text of a call's arguments, or a fragment of them."""

    name: str | None = None
    # Some servers send the arguments decoded.
    arguments: str | dict[str, Any] | None = None


class ToolCallDelta(msgspec.Struct, gc=False):
    """A tool call or a fragment of one. ``index`` and ``id`` may be missing."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class TopLogprob(msgspec.Struct, gc=False):
    """One alternative at a token's position."""

    token: str
    # A number, or what an engine sends for an impossible token.
    logprob: Any = None


class TokenLogprob(msgspec.Struct, gc=False):
    """The generated token and its alternatives."""

    token: str
    logprob: Any = None
    top_logprobs: list[TopLogprob] | None = None


class ChatLogprobs(msgspec.Struct, gc=False):
    """Log probabilities of the tokens of one choice or delta."""

    content: list[TokenLogprob] | None = None


class ChatDelta(msgspec.Struct, gc=False):
    """Output of the model since the last chunk, or in all. Its ``role`` is not read."""

    role: Any = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChatChoice(msgspec.Struct, gc=False):
    """One of the ``n`` choices.

    ``reasoning_was_answer`` is not NIM's: ``ContentParser`` sets it where the model stopped of
    its own accord in what only passed for reasoning.
    """

    index: int | None = None
    delta: ChatDelta | None = None
    message: ChatDelta | None = None
    finish_reason: str | None = None
    logprobs: ChatLogprobs | None = None
    reasoning_was_answer: bool = False


class Usage(msgspec.Struct, gc=False):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class ChatChunk(msgspec.Struct, gc=False):
    """A chunk of a chat stream, or a whole chat response.

    Its ``usage`` is a ``Usage`` or None once it is decoded; a wrong one is no reason to fail.
    """

    choices: list[ChatChoice] | None = None
    usage: Any = None
    error: Any = None


class CompletionLogprobs(msgspec.Struct, gc=False):
    """Log probabilities of a completion, one entry per token in each list.

    llama.cpp sends ``content`` in the place of the other three, as in a chat; see
    ``tokens_in_content``.
    """

    tokens: list[str] | None = None
    token_logprobs: list[Any] | None = None
    top_logprobs: list[dict[str, Any] | None] | None = None
    content: Any = None


def tokens_in_content(content: object) -> list[TokenLogprob]:
    """Return the tokens of a completion's ``content``; none where it is not of a chat's form."""
    try:
        return msgspec.convert(content or [], list[TokenLogprob])
    except msgspec.ValidationError:
        return []


class CompletionChoice(msgspec.Struct, gc=False):
    """One of the ``n`` completions."""

    index: int | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: CompletionLogprobs | None = None


class CompletionChunk(msgspec.Struct, gc=False):
    """A chunk of a completion stream, or a whole completion."""

    choices: list[CompletionChoice] | None = None
    usage: Any = None
    error: Any = None
