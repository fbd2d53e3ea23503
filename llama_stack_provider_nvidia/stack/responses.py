"""Build the stack's own response types."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionTokenLogprob
from openai.types.chat.chat_completion_token_logprob import TopLogprob

from ..nim.responses.normalize import reasoning_of
from . import imports

Chunk = TypeVar("Chunk")


@functools.cache
def _logprob_classes() -> tuple[type, type]:
    """Return classes of log probabilities that are the SDK's and the stack's at once.

    Servers keep the log probabilities of a stream as objects of their own class, and those
    before 0.4 do not make them of the SDK's.
    """
    token = (ChatCompletionTokenLogprob, imports.OpenAITokenLogProb)
    top = (TopLogprob, imports.OpenAITopLogProb)
    return type("TokenLogprob", token, {}), type("TopLogprob", top, {})


def storable(chunk: Chunk) -> Chunk:
    """Fit a chunk of a chat to what the stack stores of it; other chunks stay as they are."""
    if not isinstance(chunk, ChatCompletionChunk):
        return chunk
    for choice in chunk.choices:
        if choice.logprobs and choice.logprobs.content:
            for token in choice.logprobs.content:
                _make_storable(token)
    return chunk


def _make_storable(token: ChatCompletionTokenLogprob) -> None:
    # The classes add nothing, so the object may change its own: a new one would cost more than
    # all else of a chunk.
    token.__class__, top_class = _logprob_classes()
    for top in token.top_logprobs:
        top.__class__ = top_class


def with_reasoning(chunk: ChatCompletionChunk) -> Any:
    """Wrap a chunk of a chat and its reasoning in ``OpenAIChatCompletionChunkWithReasoning``."""
    reasoning = (reasoning_of(choice.delta) for choice in chunk.choices)
    return imports.OpenAIChatCompletionChunkWithReasoning(
        chunk=storable(chunk), reasoning_content="".join(filter(None, reasoning)) or None
    )


def response_with_reasoning(response: ChatCompletion) -> Any:
    """Wrap a response and its first choice's reasoning in ``OpenAIChatCompletionWithReasoning``."""
    return imports.OpenAIChatCompletionWithReasoning(
        completion=response, reasoning_content=reasoning_of(response.choices[0].message)
    )


def anthropic_converters() -> Any:
    """Return the server's own module of converters between Anthropic's messages and chats."""
    name = "ogx.providers.utils.inference.anthropic_translation"
    module = imports.find_module(name)
    if module is None:
        package, _, short = name.rpartition(".")
        raise imports.MissingNameError(imports.Location((package,), (short,)))
    return module


async def count_tokens(create: Callable[[Any], Awaitable[Any]], params: Any) -> Any:
    """Count the tokens of an Anthropic message: a single one is generated, and usage read.

    Args:
        create: Carries out an ``AnthropicCreateMessageRequest``.
        params: An ``AnthropicCountTokensRequest``.

    Returns:
        An ``AnthropicCountTokensResponse``.
    """
    fields = {name: getattr(params, name) for name in ("model", "messages", "system", "tools")}
    request = imports.AnthropicCreateMessageRequest(**fields, max_tokens=1, stream=False)
    usage = (await create(request)).usage
    return imports.AnthropicCountTokensResponse(input_tokens=usage.input_tokens)


def model(model_id: str, kind: str, metadata: Mapping[str, object], provider_id: str) -> Any:
    """Build the stack's ``Model`` for what a NIM lists.

    Args:
        model_id: The NIM's id.
        kind: A value of the stack's ``ModelType``.
        metadata: What the registry keeps of it.
        provider_id: The provider's name in run.yaml.
    """
    return imports.Model(
        identifier=model_id,
        provider_resource_id=model_id,
        provider_id=provider_id,
        model_type=imports.ModelType(kind),
        metadata=dict(metadata),
    )
