"""Types of the native API, with the attributes that the converters read.

The classes themselves are the stack's, field for field alike from 0.2.2 to 0.2.24. Later releases
do not have them.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, Protocol, TypeAlias

from ..nim.json_types import JSONObject


class TextItem(Protocol):
    """``TextContentItem``."""

    text: str


class ImageURL(Protocol):
    """``URL``."""

    uri: str


class Image(Protocol):
    """The content of an ``ImageContentItem``: an address, or base64."""

    url: ImageURL | None
    data: str | None


class ImageItem(Protocol):
    """``ImageContentItem``."""

    image: Image


ContentItem: TypeAlias = str | TextItem | ImageItem
Content: TypeAlias = ContentItem | Sequence[ContentItem]
"""``InterleavedContent``."""


class ToolCall(Protocol):
    """``ToolCall``; the arguments are an object, or its JSON text."""

    call_id: str
    tool_name: str | Enum
    arguments: str | JSONObject
    arguments_json: str | None


class UserMessage(Protocol):
    """``UserMessage``; the context is what was retrieved for it."""

    content: Content
    context: Content | None


class SystemMessage(Protocol):
    """``SystemMessage``."""

    content: Content


class ToolResponseMessage(Protocol):
    """``ToolResponseMessage``."""

    call_id: str
    content: Content


class CompletionMessage(Protocol):
    """``CompletionMessage``: what the model said before."""

    content: Content
    tool_calls: Sequence[ToolCall] | None


Message: TypeAlias = UserMessage | SystemMessage | ToolResponseMessage | CompletionMessage


class ToolParameter(Protocol):
    """``ToolParamDefinition``."""

    param_type: str
    description: str | None
    required: bool | None
    default: object


class ToolDefinition(Protocol):
    """``ToolDefinition``."""

    tool_name: str | Enum
    description: str | None
    parameters: Mapping[str, ToolParameter] | None


class ToolConfig(Protocol):
    """``ToolConfig``; the choice is a member of ``ToolChoice``, or a tool's name."""

    tool_choice: str | Enum | None
    system_message_behavior: Enum | None


class Strategy(Protocol):
    """``GreedySamplingStrategy``, ``TopPSamplingStrategy`` or ``TopKSamplingStrategy``."""

    type: str


class TopPStrategy(Protocol):
    """``TopPSamplingStrategy``."""

    temperature: float | None
    top_p: float | None


class SamplingParams(Protocol):
    """``SamplingParams``; ``max_tokens`` of 0 is unset."""

    strategy: Strategy | None
    max_tokens: int | None
    repetition_penalty: float | None
    stop: Sequence[str] | None


class LogProbConfig(Protocol):
    """``LogProbConfig``."""

    top_k: int | None


class JSONSchemaFormat(Protocol):
    """``JsonSchemaResponseFormat``."""

    type: Literal["json_schema"]
    json_schema: JSONObject


class GrammarFormat(Protocol):
    """``GrammarResponseFormat``."""

    type: Literal["grammar"]
    bnf: JSONObject


ResponseFormat: TypeAlias = JSONSchemaFormat | GrammarFormat


class _Request(Protocol):
    model: str
    sampling_params: SamplingParams | None
    response_format: ResponseFormat | None
    stream: bool | None
    logprobs: LogProbConfig | None


class CompletionRequest(_Request, Protocol):
    """``CompletionRequest``."""

    content: Content


class ChatCompletionRequest(_Request, Protocol):
    """``ChatCompletionRequest``."""

    messages: Sequence[Message]
    tools: Sequence[ToolDefinition] | None
    tool_config: ToolConfig | None


class TokenLogProbs(Protocol):
    """``TokenLogProbs``: the log probability of each token that was considered."""

    logprobs_by_token: dict[str, float]
