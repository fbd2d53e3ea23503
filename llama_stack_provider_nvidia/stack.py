"""The only module that imports Llama Stack: its names, found by what is installed.

Nothing here looks at a version. Two facts decide what differs between releases:
whether a ``RemoteProviderSpec`` has an ``adapter`` field, and whether the inference
protocol has ``chat_completion`` (``NATIVE``).
"""

import importlib
import inspect
from types import ModuleType
from typing import Any, NamedTuple

from openai.types.chat import ChatCompletionChunk, ChatCompletionTokenLogprob
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from pydantic import BaseModel

from .nim import errors


def _find(*names: str) -> ModuleType:
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A missing dependency of the stack itself must not pass for a missing release.
            if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
                raise
    raise ModuleNotFoundError(
        "Llama Stack is not installed: pip install 'llama-stack-provider-nvidia[llama-stack]'"
    )


def _has(*names: str) -> bool:
    try:
        _find(*names)
    except ModuleNotFoundError:
        return False
    return True


# Later homes first: the successor keeps no module under the earlier names.
_APIS = ("ogx_api", "llama_stack_api")
_CORES = ("ogx.core", "llama_stack.core", "llama_stack.distribution")

_inference = _find(*_APIS, "llama_stack.apis.inference")
_models = _find(*_APIS, "llama_stack.apis.models")
_specs = _find(*_APIS, "llama_stack.providers.datatypes")
_headers = _find(*(f"{core}.request_headers" for core in _CORES))
_datatypes = _find(*(f"{core}.datatypes" for core in _CORES))

Protocol: Any = getattr(_inference, "InferenceProvider", None) or _inference.Inference
NATIVE: bool = hasattr(Protocol, "chat_completion")
REASONING: bool = hasattr(Protocol, "openai_chat_completions_with_reasoning")
ANTHROPIC: bool = hasattr(Protocol, "anthropic_messages")

Model: Any = _models.Model
ModelType: Any = _models.ModelType
# The kinds of models that this release knows: ``rerank`` came with 0.4.
KINDS = frozenset(kind.value for kind in ModelType)
NeedsRequestProviderData: Any = _headers.NeedsRequestProviderData
HealthStatus: Any = _specs.HealthStatus
# The name of the telemetry that counts tokens up to 0.2.24, and whether OpenTelemetry does it.
TELEMETRY: Any = getattr(_specs.Api, "telemetry", None) if NATIVE else None
MEASURES: bool = _has("ogx.telemetry.inference_metrics", "llama_stack.telemetry.inference_metrics")


class _RerankData(BaseModel):
    """One ranked item, as releases from 0.2.19 on have it."""

    index: int
    relevance_score: float


class _RerankResponse(BaseModel):
    """Items by relevance, the most relevant first."""

    data: list[_RerankData]


RerankData: Any = getattr(_inference, "RerankData", _RerankData)
RerankResponse: Any = getattr(_inference, "RerankResponse", _RerankResponse)

if NATIVE:  # the native API's types, field for field alike from 0.2.2 to 0.2.24
    _content = _find("llama_stack.apis.common.content_types")
    _llama = _find("llama_stack.models.llama.datatypes")

    BatchChatCompletionResponse: Any = _inference.BatchChatCompletionResponse
    BatchCompletionResponse: Any = _inference.BatchCompletionResponse
    BuiltinTool: Any = _llama.BuiltinTool
    ChatCompletionRequest: Any = _inference.ChatCompletionRequest
    ChatCompletionResponse: Any = _inference.ChatCompletionResponse
    ChatCompletionResponseEvent: Any = _inference.ChatCompletionResponseEvent
    ChatCompletionResponseEventType: Any = _inference.ChatCompletionResponseEventType
    ChatCompletionResponseStreamChunk: Any = _inference.ChatCompletionResponseStreamChunk
    CompletionMessage: Any = _inference.CompletionMessage
    CompletionRequest: Any = _inference.CompletionRequest
    CompletionResponse: Any = _inference.CompletionResponse
    CompletionResponseStreamChunk: Any = _inference.CompletionResponseStreamChunk
    EmbeddingTaskType: Any = _inference.EmbeddingTaskType
    EmbeddingsResponse: Any = _inference.EmbeddingsResponse
    GreedySamplingStrategy: Any = _inference.GreedySamplingStrategy
    ImageContentItem: Any = _content.ImageContentItem
    SamplingParams: Any = _inference.SamplingParams
    StopReason: Any = _llama.StopReason
    SystemMessage: Any = _inference.SystemMessage
    SystemMessageBehavior: Any = _inference.SystemMessageBehavior
    TextContentItem: Any = _content.TextContentItem
    TextDelta: Any = _content.TextDelta
    TextTruncation: Any = _inference.TextTruncation
    TokenLogProbs: Any = _inference.TokenLogProbs
    ToolCall: Any = _llama.ToolCall
    ToolCallDelta: Any = _content.ToolCallDelta
    ToolCallParseStatus: Any = _content.ToolCallParseStatus
    ToolChoice: Any = _inference.ToolChoice
    ToolConfig: Any = _inference.ToolConfig
    ToolPromptFormat: Any = _llama.ToolPromptFormat
    ToolResponseMessage: Any = _inference.ToolResponseMessage
    TopKSamplingStrategy: Any = _inference.TopKSamplingStrategy
    TopPSamplingStrategy: Any = _inference.TopPSamplingStrategy
    UserMessage: Any = _inference.UserMessage


def provider_spec(**fields: Any) -> Any:
    """Make the installed release's ``RemoteProviderSpec`` for an inference provider.

    Up to 0.2.22 the fields sit in a nested ``AdapterSpec``, from 0.2.23 on the spec itself.
    """
    if "adapter" in _specs.RemoteProviderSpec.model_fields:
        adapter = _specs.AdapterSpec(**fields)
        return _specs.remote_provider_spec(api=_specs.Api.inference, adapter=adapter)
    return _specs.RemoteProviderSpec(
        api=_specs.Api.inference,
        provider_type=f"remote::{fields['adapter_type']}",
        is_external=True,
        **fields,
    )


class RunConfigKeys(NamedTuple):
    """The keys that the installed release's run.yaml has.

    Attributes:
        top: At the top.
        provider: Of a provider.
        server: Under ``server:``.
    """

    top: frozenset[str]
    provider: frozenset[str]
    server: frozenset[str]


def run_config_keys() -> RunConfigKeys:
    """Tell which keys the installed release's run.yaml has."""
    names = ("StackConfig", "StackRunConfig")
    config = next(getattr(_datatypes, name) for name in names if hasattr(_datatypes, name))
    kinds = (config, _datatypes.Provider, _datatypes.ServerConfig)
    return RunConfigKeys(*(frozenset(kind.model_fields) for kind in kinds))


def in_request() -> bool:
    """Tell a call that a client's request has caused from one of the server's own, at start-up."""
    return _headers.PROVIDER_DATA_VAR.get() is not None


# Servers keep the log probabilities of a stream as objects of their own class, and those before
# 0.4 do not make them of the SDK's: these are both.
_TokenLogprob: Any = type(
    "TokenLogprob", (ChatCompletionTokenLogprob, _inference.OpenAITokenLogProb), {}
)
_TopLogprob: Any = type("TopLogprob", (TopLogprob, _inference.OpenAITopLogProb), {})


def storable(chunk: Any) -> Any:
    """Fit a chunk of a chat to what the stack keeps of it; other chunks stay as they are."""
    if not isinstance(chunk, ChatCompletionChunk):
        return chunk
    for choice in chunk.choices:
        if choice.logprobs and choice.logprobs.content:
            for token in choice.logprobs.content:
                _both(token)
    return chunk


def _both(token: Any) -> None:
    # Of a class that adds nothing: made anew, it would cost more than all else of a chunk.
    token.__class__ = _TokenLogprob
    for top in token.top_logprobs:
        top.__class__ = _TopLogprob


def with_reasoning(chunk: Any) -> Any:
    """Put a chunk of a chat and the reasoning in it into the stack's wrapper."""
    thoughts = [reasoning_of(choice.delta) for choice in chunk.choices]
    return _inference.OpenAIChatCompletionChunkWithReasoning(
        chunk=storable(chunk), reasoning_content="".join(filter(None, thoughts)) or None
    )


def answer_with_reasoning(answer: Any) -> Any:
    """Put a whole answer and the reasoning of its first choice into the stack's wrapper."""
    return _inference.OpenAIChatCompletionWithReasoning(
        completion=answer, reasoning_content=reasoning_of(answer.choices[0].message)
    )


def reasoning_of(message: Any) -> str | None:
    """What the model thought: vLLM calls the field ``reasoning``, all others the longer name."""
    return getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)


def anthropic_converters() -> Any:
    """The server's own converters between Anthropic's messages and OpenAI-style chats."""
    return _find("ogx.providers.utils.inference.anthropic_translation")


async def counted_by(answer: Any, params: Any) -> Any:
    """Count the tokens of an Anthropic message by having a single one written."""
    fields = {name: getattr(params, name) for name in ("model", "messages", "system", "tools")}
    request = _inference.AnthropicCreateMessageRequest(**fields, max_tokens=1, stream=False)
    usage = (await answer(request)).usage
    return _inference.AnthropicCountTokensResponse(input_tokens=usage.input_tokens)


def with_protocol_signature(method: Any) -> Any:
    """Give a method that takes ``**kwargs`` the signature its protocol namesake has, if any.

    The stack compares parameter names when it loads a provider, and they drift from release
    to release; ``inspect.signature`` reads ``__signature__``.
    """
    namesake = getattr(Protocol, method.__name__, None)
    if namesake is not None:
        method.__signature__ = inspect.signature(namesake)
    return method


def _not_found() -> type[Exception]:
    """The stack's error for what is not there. Before 0.2.18 it had none, and no status 404."""
    homes = (*(f"{api}.common.errors" for api in _APIS), "llama_stack.apis.common.errors")
    try:
        found: type[Exception] = _find(*homes).ResourceNotFoundError
    except (ModuleNotFoundError, AttributeError):
        return ValueError
    return found


_NotFoundError = _not_found()


async def registered(store: Any, name: str) -> Any | None:
    """Give the model that a stack's store knows by a name, None if there is none."""
    try:
        return await store.get_model(name)
    except _NotFoundError:
        return None


def _teach_errors() -> None:
    """Tie our errors to the classes that the installed stack's server knows a status for."""
    errors.AuthenticationError.also_as(_datatypes.AuthenticationRequiredError)
    if _NotFoundError is not ValueError:
        errors.ModelNotFoundError.also_as(_NotFoundError)
        errors.ModelWithdrawnError.also_as(_NotFoundError)


_teach_errors()
