"""Pydantic models of inference requests.

The models know the fields of all dialects. Which of them a dialect takes is the dialect's
data, checked before these models see the body; hence unknown fields are ignored here. Like
the vLLM server's own request models they convert leniently ("5" is a number).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JsonSchema = dict[str, Any] | bool


class _Fields(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class FunctionCall(_Fields):
    """The function part of a tool call in the history."""

    name: str
    arguments: str | None = None


class ToolCall(_Fields):
    """A tool call in the history."""

    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionCall


class ImageUrl(_Fields):
    """Where an image is: a URL or a ``data:`` URL."""

    url: Annotated[str, Field(pattern=r"^(https?://|data:)")]
    detail: Literal["auto", "low", "high"] | None = None


class TextPart(_Fields):
    """A piece of text in a message."""

    type: Literal["text"]
    text: str


class ImagePart(_Fields):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Message(_Fields):
    """A chat message of any role."""

    role: str
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class FunctionDefinition(_Fields):
    """The name, the purpose and the arguments of a tool."""

    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    parameters: JsonSchema | None = None


class Tool(_Fields):
    """A tool on offer."""

    type: Literal["function"] = "function"
    function: FunctionDefinition


class NamedFunction(_Fields):
    """The name inside a named tool choice."""

    name: str


class NamedChoice(_Fields):
    """A tool choice that names its tool."""

    type: Literal["function"] = "function"
    function: NamedFunction


class SchemaFormat(_Fields):
    """The ``json_schema`` part of a response format."""

    name: str = ""
    json_schema: JsonSchema | None = Field(default=None, alias="schema")


class ResponseFormat(_Fields):
    """A response format; which types exist is the dialect's matter."""

    type: str
    json_schema: SchemaFormat | None = None


class StructuredOutputs(_Fields):
    """NIM 2.x (vLLM): exactly one kind of constraint."""

    json_: JsonSchema | str | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | None = None
    whitespace_pattern: str | None = None
    disable_any_whitespace: bool = False


class Nvext(_Fields):
    """NVIDIA's extensions of the request: those of NIM 1.x, and some of Dynamo's."""

    guided_json: JsonSchema | str | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    guided_whitespace_pattern: str | None = None
    guided_decoding_backend: str | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    ignore_eos: bool | None = None
    max_thinking_tokens: Annotated[int, Field(ge=0)] | None = None
    annotations: list[str] | None = None


class StreamOptions(_Fields):
    """The parts of a stream beside text."""

    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


class _Sampling(_Fields):
    model: str | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    n: int | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    nvext: Nvext | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    length_penalty: float | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool | None = None
    min_tokens: int | None = None
    skip_special_tokens: bool = True
    thinking_token_budget: int | None = None
    regex: str | None = None
    ebnf: str | None = None
    guided_json: JsonSchema | str | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    guided_whitespace_pattern: str | None = None
    guided_decoding_backend: str | None = None


class ChatRequest(_Sampling):
    """``POST /v1/chat/completions``."""

    messages: list[Message]
    logprobs: bool | None = False
    top_logprobs: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = True
    reasoning_effort: str | float | None = None
    reasoning_budget: int | None = None
    separate_reasoning: bool = True
    include_reasoning: bool = True
    chat_template_kwargs: dict[str, Any] | None = None
    chat_template_args: dict[str, Any] | None = None
    thinking: bool | dict[str, Any] | None = None


class CompletionRequest(_Sampling):
    """``POST /v1/completions``."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: bool | None = False
    suffix: str | None = None
    logprobs: int | None = None
    # OpenAI's default for completions, kept by vLLM: a response is cut short unless the
    # caller asks for more. An explicit null means as much as fits.
    max_tokens: int | None = 16
