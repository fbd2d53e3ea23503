"""Constant fields of responses, as data per dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


def _nulls(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Fields that responses carry beside the standard ones, mostly nulls.

    Attributes:
        id_digits: Hex digits in ids of responses.
        bare_ids: Ids of responses have no prefix such as ``chatcmpl-``.
        tool_id: What ids of tool calls start with.
        tool_id_digits: Hex digits in ids of tool calls.
        message: Fields of a chat message.
        chat_choice: Fields of a choice of a chat.
        chat_body: Fields of the body of a chat.
        completion_choice: Fields of a choice of a completion.
        completion_body: Fields of the body of a completion.
        usage: Fields of the usage of a response that is not streamed.
        running_usage: Fields of the usage that every chunk of a stream may carry.
        first_chunk: Fields of the first chunk of a chat stream.
        chat_chunk_choice: Fields of a choice in a later chunk of a chat stream.
        completion_chunk_choice: Fields of a choice in a chunk of a completion stream.
        last_chunk: Fields of the last chunk of a stream.
        delta: Fields of every delta of a chat stream.
        stop_reason: Name of the field for what stopped a choice, None where there is none.
        natural_stop: What that field says at the natural end of a text.
        finish_on_last_token: A length limit or stop string is reported with the last text
            (True) or in a chunk of its own (False). The natural end always has its own.
        role_with_text: The first chunk of a chat carries the role and the first text.
        text_offset: What log probabilities of completions say of the places of tokens: the
            ``place``, nothing (``empty``), or -1 (``unknown``).
        chosen_in_top: The chosen token is among the alternatives, also if none are wanted;
            None where that holds for completions only.
        token_ids: Log probabilities of chats have the ids of tokens.
        chat_logprobs: Fields of the log probabilities of a choice of a chat.
        completion_nulls: Choices of completions have fields that hold null.
        completion_chunk: Fields of every chunk of a completion stream.
        completion_finish_on_last_token: As ``finish_on_last_token``, where completions differ.
        bare_first_chunk: The first chunk of a chat stream lacks the fields of the later ones.
        usage_everywhere: A running usage is also in chunks without text.
        last_usage: Fields of the usage at the end of a chat stream.
        completion_last_usage: Fields of the usage at the end of a completion stream.
        weight_version: What ``metadata`` calls the weights, None where there is no metadata.
        call_delta: Fields of a delta of a stream with tool calls.
        call_chunk: Fields of a chunk with tool calls.
        opening_arguments: Arguments beside the name of a streamed call: ``none``, an ``empty``
            text, or the first ``piece``.
        later_call: Fields of a further fragment of a call.
        later_function: Fields of its function.
        whole_tool_index: Tool calls that are not streamed carry ``index``.
        reasoning: Name of the field for visible thinking.
        no_tool_calls: The ``tool_calls`` of a message without calls; None to leave it out.
        no_arguments: Text of the arguments of a call that has none, not streamed.
        auto_content: Content beside tool calls that the model chose to make.
        forced_content: Content beside tool calls that the request asked for.
        first_call_content: Content of the first chunk of a stream of tool calls.
        tool_index: Whole and two-part tool deltas carry ``index``.
        named_finish: ``finish_reason`` of a response to a named tool choice.
    """

    id_digits: int
    bare_ids: bool = False
    tool_id: str = "chatcmpl-tool-"
    tool_id_digits: int
    message: dict[str, Any] = field(default_factory=dict)
    chat_choice: dict[str, Any] = field(default_factory=dict)
    chat_body: dict[str, Any] = field(default_factory=dict)
    completion_choice: dict[str, Any] = field(default_factory=dict)
    completion_body: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    running_usage: dict[str, Any] = field(default_factory=dict)
    first_chunk: dict[str, Any] = field(default_factory=dict)
    chat_chunk_choice: dict[str, Any] = field(default_factory=dict)
    completion_chunk_choice: dict[str, Any] = field(default_factory=dict)
    last_chunk: dict[str, Any] = field(default_factory=dict)
    delta: dict[str, Any] = field(default_factory=dict)
    stop_reason: str | None = "stop_reason"
    natural_stop: int | None = None
    finish_on_last_token: bool
    role_with_text: bool = False
    text_offset: Literal["place", "empty", "unknown"] = "place"
    chosen_in_top: bool | None = None
    token_ids: bool = False
    chat_logprobs: dict[str, Any] = field(default_factory=dict)
    completion_nulls: bool = True
    completion_chunk: dict[str, Any] = field(default_factory=dict)
    completion_finish_on_last_token: bool | None = None
    bare_first_chunk: bool = True
    usage_everywhere: bool = True
    last_usage: dict[str, Any] = field(default_factory=dict)
    completion_last_usage: dict[str, Any] = field(default_factory=dict)
    weight_version: str | None = None
    call_delta: dict[str, Any] = field(default_factory=dict)
    call_chunk: dict[str, Any] = field(default_factory=dict)
    opening_arguments: Literal["none", "empty", "piece"] = "none"
    later_call: dict[str, Any] = field(default_factory=dict)
    later_function: dict[str, Any] = field(default_factory=dict)
    whole_tool_index: bool = False
    reasoning: str
    no_tool_calls: list[Any] | None
    no_arguments: str
    auto_content: str | None
    forced_content: str | None
    first_call_content: str | None
    tool_index: bool
    named_finish: str


# Recorded responses of 1.x NIMs in NVIDIA's deployment guides; tool call quirks as clients of
# older NIMs met them (missing index, "" for no arguments).
NIM1_SHAPES = Shapes(
    id_digits=32,
    tool_id_digits=32,
    message=_nulls("reasoning_content"),
    chat_body=_nulls("prompt_logprobs"),
    usage=_nulls("prompt_tokens_details"),
    completion_chunk_choice=_nulls("stop_reason"),
    finish_on_last_token=False,
    reasoning="reasoning_content",
    no_tool_calls=[],
    no_arguments="",
    auto_content=None,
    forced_content=None,
    first_call_content=None,
    tool_index=False,
    named_finish="stop",
)

# Recorded responses of vLLM 0.31, the engine of NIM 2.1.5.
NIM2_SHAPES = Shapes(
    id_digits=16,
    tool_id_digits=16,
    message=_nulls("refusal annotations audio function_call reasoning"),
    chat_choice=_nulls("token_ids routed_experts"),
    chat_body={
        "service_tier": None,
        "system_fingerprint": "vllm-0.31.0-emulated",
        **_nulls("prompt_logprobs prompt_token_ids prompt_text"),
        **_nulls("kv_transfer_params ec_transfer_params metrics"),
    },
    completion_choice=_nulls("token_ids prompt_logprobs prompt_token_ids routed_experts"),
    completion_body={
        "service_tier": None,
        "system_fingerprint": "vllm-0.31.0-emulated",
        **_nulls("kv_transfer_params ec_transfer_params metrics"),
    },
    usage=_nulls("prompt_tokens_details completion_tokens_details"),
    running_usage=_nulls("completion_tokens_details"),
    first_chunk=_nulls("prompt_token_ids prompt_text"),
    chat_chunk_choice=_nulls("token_ids"),
    completion_chunk_choice=_nulls("stop_reason prompt_token_ids token_ids"),
    last_chunk={"system_fingerprint": "vllm-0.31.0-emulated"},
    finish_on_last_token=True,
    reasoning="reasoning",
    no_tool_calls=None,
    no_arguments="{}",
    auto_content=None,
    forced_content="",
    first_call_content="",
    tool_index=True,
    named_finish="stop",
)

_SGLANG_USAGE = {
    "prompt_tokens_details": None,
    "reasoning_tokens": 0,
    "completion_tokens_details": None,
}

# Recorded responses of SGLang 0.5.23.
SGLANG_SHAPES = Shapes(
    id_digits=32,
    bare_ids=True,
    tool_id="call_",
    tool_id_digits=24,
    message=_nulls("reasoning_content"),
    weight_version="default",
    usage=_SGLANG_USAGE,
    running_usage=_SGLANG_USAGE,
    last_usage=_SGLANG_USAGE,
    completion_last_usage={"reasoning_tokens": 0},
    usage_everywhere=False,
    chat_chunk_choice=_nulls("matched_stop"),
    bare_first_chunk=False,
    completion_chunk_choice=_nulls("matched_stop"),
    completion_chunk=_nulls("usage"),
    delta=_nulls("reasoning_content"),
    stop_reason="matched_stop",
    natural_stop=128_009,
    finish_on_last_token=False,
    completion_finish_on_last_token=True,
    text_offset="unknown",
    chosen_in_top=False,
    call_delta=_nulls("role content reasoning_content"),
    call_chunk=_nulls("usage"),
    opening_arguments="empty",
    later_call={"id": None, "type": "function"},
    later_function=_nulls("name"),
    whole_tool_index=True,
    reasoning="reasoning_content",
    no_tool_calls=None,
    no_arguments="{}",
    auto_content=None,
    forced_content="",
    first_call_content="",
    tool_index=True,
    named_finish="tool_calls",
)

# Recorded responses of Dynamo 1.6.1: OpenAI's fields and one more, for thinking.
DYNAMO_SHAPES = Shapes(
    id_digits=32,
    tool_id="call-",
    tool_id_digits=32,
    message=_nulls("refusal"),
    stop_reason=None,
    finish_on_last_token=True,
    role_with_text=True,
    text_offset="empty",
    chosen_in_top=True,
    token_ids=True,
    chat_logprobs=_nulls("refusal"),
    completion_nulls=False,
    completion_body=_nulls("system_fingerprint"),
    completion_chunk=_nulls("system_fingerprint usage"),
    call_delta={"content": ""},
    opening_arguments="piece",
    reasoning="reasoning_content",
    no_tool_calls=None,
    no_arguments="{}",
    auto_content=None,
    forced_content=None,
    first_call_content=None,
    tool_index=True,
    named_finish="tool_calls",
)

# The hosted models differ among themselves; this is what most of them have in common.
HOSTED_SHAPES = Shapes(
    id_digits=32,
    tool_id_digits=32,
    message=_nulls("reasoning_content"),
    usage=_nulls("prompt_tokens_details"),
    completion_chunk_choice=_nulls("stop_reason"),
    finish_on_last_token=False,
    reasoning="reasoning_content",
    no_tool_calls=None,
    no_arguments="{}",
    auto_content=None,
    forced_content=None,
    first_call_content=None,
    tool_index=True,
    named_finish="stop",
)

# OpenAI's own.
GENERIC_SHAPES = Shapes(
    id_digits=24,
    tool_id="call_",
    tool_id_digits=24,
    message=_nulls("refusal"),
    chat_body=_nulls("system_fingerprint"),
    stop_reason=None,
    finish_on_last_token=False,
    reasoning="reasoning_content",
    no_tool_calls=None,
    no_arguments="{}",
    auto_content=None,
    forced_content=None,
    first_call_content=None,
    tool_index=True,
    named_finish="stop",
)
