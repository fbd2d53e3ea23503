"""What NIM sends, as small structs: decoded once, and only the fields that are read.

A chunk of a stream and a whole answer share a struct, because one path reads both: a
choice of a stream has a ``delta``, a choice of a whole answer has a ``message``. Fields that
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
    logprob: float


class TokenLogprob(msgspec.Struct, gc=False):
    """The generated token and its alternatives."""

    token: str
    logprob: float
    top_logprobs: list[TopLogprob] | None = None


class ChatLogprobs(msgspec.Struct, gc=False):
    """Log probabilities of the tokens of one choice or delta."""

    content: list[TokenLogprob] | None = None


class ChatDelta(msgspec.Struct, gc=False):
    """What the model wrote since the last chunk, or in all. Nobody reads its ``role``."""

    role: Any = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChatChoice(msgspec.Struct, gc=False):
    """One of the ``n`` answers asked for.

    ``thinking_was_answer`` is not NIM's: ``shaper`` sets it where the model stopped of its
    own accord in what only passed for thinking.
    """

    index: int | None = None
    delta: ChatDelta | None = None
    message: ChatDelta | None = None
    finish_reason: str | None = None
    logprobs: ChatLogprobs | None = None
    thinking_was_answer: bool = False


class Usage(msgspec.Struct, gc=False):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class ChatChunk(msgspec.Struct, gc=False):
    """A chunk of a chat stream, or a whole chat answer.

    Its ``usage`` is a ``Usage`` or None once it is decoded; a wrong one is no reason to fail.
    """

    choices: list[ChatChoice] | None = None
    usage: Any = None
    error: Any = None


class CompletionLogprobs(msgspec.Struct, gc=False):
    """Log probabilities of a completion, one entry per token in each list."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class CompletionChoice(msgspec.Struct, gc=False):
    """One of the ``n`` completions asked for."""

    index: int | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: CompletionLogprobs | None = None


class CompletionChunk(msgspec.Struct, gc=False):
    """A chunk of a completion stream, or a whole completion."""

    choices: list[CompletionChoice] | None = None
    usage: Any = None
    error: Any = None
