"""A generation request and its choices, independent of any dialect."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any, Literal

from .constrained_output import Constraint


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool on offer.

    Attributes:
        name: Name of the function.
        description: What it does, perhaps empty.
        parameters: JSON schema of its arguments.
    """

    name: str
    description: str
    parameters: dict[str, Any] | bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, reduced to what the text generator reads.

    Attributes:
        text: The last text of the user, or the prompt of a completion.
        tool_results: Results of tools since then.
        images: One description per image of the last user message.
        tokens: Number of prompt tokens.
        key: Hash of everything the response may depend on.
        adapter: Name of the adapter that answers, empty for the model itself.
    """

    text: str
    tokens: int
    key: str
    tool_results: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    adapter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One validated request.

    Attributes:
        chat: A chat (True) or a completion (False).
        model: Id of the model.
        prompts: The prompts: one for a chat, any number for a completion.
        n: Responses per prompt.
        temperature: Sampling temperature; 0 is greedy.
        seed: Seed of the sampling, None counts as one fixed seed.
        max_tokens: The most tokens per response.
        min_tokens: The least tokens per response, unless a stop token ends it.
        ignore_eos: Go on to ``max_tokens``.
        stop: Strings that end the response.
        stop_token_ids: Ids of tokens that end the response.
        include_stop: Keep the stop string in the text.
        logprobs: Number of alternatives per token, None for no logprobs.
        echo: Repeat the prompt before a completion.
        stream: Respond with a stream.
        include_usage: End the stream with the usage.
        continuous_usage: Add the usage to every chunk.
        tools: Tools on offer that may be called.
        tool_choice: ``none``, ``auto``, ``required`` or ``named``; when ``named``, ``tools``
            holds only that tool.
        parallel_tool_calls: Several calls per response are allowed.
        constraint: The form of the response.
        reasoning_budget: The most tokens of visible reasoning; 0 for none, None for no limit.
        reasoning_in_content: Reasoning is part of the text.
        annotations: Names of events that a stream starts with.
    """

    chat: bool
    model: str
    prompts: tuple[Prompt, ...]
    n: int = 1
    temperature: float = 1.0
    seed: int | None = None
    max_tokens: int = 0
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    include_stop: bool = False
    logprobs: int | None = None
    echo: bool = False
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["none", "auto", "required", "named"] = "none"
    parallel_tool_calls: bool = True
    constraint: Constraint | None = None
    reasoning_budget: int | None = 0
    reasoning_in_content: bool = False
    annotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GeneratedToolCall:
    """A tool call of the response.

    Attributes:
        id: Its id, such as ``chatcmpl-tool-<hex>``.
        name: Name of the function.
        pieces: The JSON text of the arguments, cut into tokens; perhaps not all of them.
        empty: The call has no arguments at all.
        complete: Nothing of the arguments was cut off by a limit.
    """

    id: str
    name: str
    pieces: tuple[str, ...]
    empty: bool = False
    complete: bool = True


@dataclass(slots=True)
class Choice:
    """One response to one prompt.

    Attributes:
        prompt: The prompt it answers.
        index: Its place among all responses to the request.
        tokens: The tokens of the text, which join to it.
        finish_reason: ``stop``, ``length`` or ``tool_calls``.
        stop_reason: The stop string or stop token id that ended it.
        completion_tokens: Tokens generated, also those that do not show.
        reasoning: Tokens of the reasoning that comes before the text.
        calls: Tool calls instead of a text.
    """

    prompt: Prompt
    index: int
    tokens: list[str] = field(default_factory=list)
    finish_reason: str = "stop"
    stop_reason: str | int | None = None
    completion_tokens: int = 0
    reasoning: list[str] = field(default_factory=list)
    calls: list[GeneratedToolCall] = field(default_factory=list)


def digest(*parts: object) -> str:
    """Return a hex digest of the parts that is the same in every process."""
    text = "\x1f".join(repr(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seeded_random(request: GenerationRequest, prompt: Prompt, *parts: object) -> random.Random:
    """Return a random generator that depends on the prompt, the seed and ``parts`` only.

    At temperature 0 the seed has no say, as in greedy decoding.
    """
    seed = (request.seed or 0) if request.temperature > 0 else None
    return random.Random(digest(prompt.key, seed, *parts))  # noqa: S311 - not for secrets
