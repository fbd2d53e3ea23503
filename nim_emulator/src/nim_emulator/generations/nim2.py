"""NIM 2.x and the engines inside it: the migration guide and the engines' request models."""

from __future__ import annotations

from dataclasses import replace

from .. import metrics
from ..dialect import Dialect, FixedReply, Limit, names
from ..shapes import NIM2_SHAPES, SGLANG_SHAPES
from . import field_groups
from .shared import MANAGEMENT, METRICS, MODEL_ENTRY

NIM2 = Dialect(
    name="nim2",
    aliases=("nim2-vllm",),
    summary="NIM 2.x with vLLM: extensions at the top level, nvext and guided_* ignored",
    chat_fields=field_groups.CHAT | field_groups.VLLM_SAMPLING | field_groups.VLLM_CHAT,
    completion_fields=field_groups.COMPLETION | field_groups.VLLM_SAMPLING,
    embedding_fields=field_groups.VLLM_EMBEDDING,
    services={
        "/v1/embeddings": "engine_embeddings",
        "/rerank": "engine_rerank",
        "/v1/rerank": "engine_rerank",
        "/v2/rerank": "engine_rerank",
    },
    # The engine's request models allow extra keys and only log them: nvext and guided_*
    # give 200 with free text.
    refuses_unknown=False,
    model_required=False,
    roles=None,  # recorded: a message with an unknown role is answered
    parser_option=True,
    checks_arguments=False,  # recorded, as the next: such a history is answered
    tool_id_required=False,
    limits={"temperature": Limit(high=2), "stop": Limit(high=4, length=True)},
    checks_logit_bias=True,
    schema_name_required=True,
    stream_refusals=True,
    lark_grammars=False,  # the default backend (xgrammar) reads GBNF
    empty_tools=(
        "`tools` must not be an empty array. Either provide at least one tool or omit the "
        "field entirely."
    ),
    errors="nested",
    texts={
        "temperature.high": (
            "temperature must be in [0, 2], got {value}. (parameter=temperature, value={value})"
        ),
        "logit_bias": (
            "logit_bias contains key(s) that cannot be converted to integer token IDs: "
            "['{value}'] (parameter=logit_bias, value=['{value}'])"
        ),
        "constraints": (
            "You can only use one kind of constraints for structured outputs ('json', 'regex' or "
            "'choice')."
        ),
        "suffix": "suffix is only supported for models with FIM completion rendering",
        "prompt": (
            "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)"
        ),
    },
    checks_limit_first=True,
    too_many_tokens=(
        "This model's maximum context length is {context} tokens. However, you requested "
        "{completion} output tokens and your prompt contains at least {least} input tokens, "
        "for a total of at least {least_total} tokens. Please reduce the length of the input "
        "prompt or the number of requested output tokens."
    ),
    routes={**MANAGEMENT, **METRICS, "/openapi.json": "openapi"},
    metrics=metrics.VLLM,
    title="NVIDIA NIM (vLLM)",
    shapes=NIM2_SHAPES,
    model_entry=MODEL_ENTRY,
    owned_by="vllm",
    adapter_root="/loras/{name}",
    release="2.1.5",
    metadata={"repository_override": "", "selectedModelProfileId": "emulated"},
)

VLLM = replace(
    NIM2,
    name="vllm",
    aliases=(),
    summary="plain vLLM: as nim2, without NIM's management routes",
    routes={
        "/health": "nothing",
        "/version": "engine_version",
        "/metrics": "metrics",
        "/openapi.json": "openapi",
    },
    title="FastAPI",
    release="0.31.0",
    metadata={},
)

# Statuses and texts as in raw responses of SGLang 0.5.23 (2026-11); NIM's own layer was not there.
NIM2_SGLANG = Dialect(
    name="nim2-sglang",
    summary="NIM 2.x with SGLang: top-level regex and ebnf, unknown fields ignored",
    chat_fields=field_groups.CHAT | field_groups.SGLANG_SAMPLING | field_groups.SGLANG_CHAT,
    completion_fields=field_groups.COMPLETION | field_groups.SGLANG_SAMPLING,
    refuses_unknown=False,
    model_required=False,
    ignored_fields=names("suffix"),
    roles=names("system developer user assistant tool function"),
    tool_id_required=False,
    lone_tool_choices=names("none auto"),
    lone_stream_options=True,
    lone_top_logprobs=True,
    top_k_zero=False,
    limits={
        "repetition_penalty": Limit(low=0, high=2, above=True),
        "stop": Limit(high=32, length=True),
    },
    checks_logit_bias=True,
    empty_stops=True,
    greedy_checks=False,
    empty_answers=True,
    max_logprobs=None,
    schema_name_required=True,
    stream_refusals=True,
    constraint_with_tool=False,
    reasoning_efforts=names("none minimal low medium high xhigh max"),
    numeric_effort=True,
    errors="sglang",
    texts={
        "top_k": "top_k must be -1 (disable) or at least 1, got {value}.",
        "repetition_penalty": (
            "repetition_penalty must be in (0, 2] (1.0 = no penalty), got {value}."
        ),
        "stop": "at most 32 stop strings are allowed, got {value}",
        "temperature": "temperature must be a non-negative finite number, got {value}.",
        "max_tokens": "max_new_tokens must be at least 0, got {value}.",
        "min_over_max": "min_new_tokens must be in [0, max_new_tokens({most})], got {value}.",
        "n": "range() arg 3 must not be zero",
        "logit_bias": "invalid literal for int() with base 10: '{value}'",
        "prompt": "Prompt cannot be empty",
        "messages": "Messages cannot be empty.",
        "schema": "schema_ is required for json_schema response format request.",
        "tool": "Tool '{name}' not found in tools list.",
        "tool_choice": "Tools cannot be empty if tool choice is set to required.",
        "arguments": "Assistant tool call function.arguments must be valid JSON.",
        "constraints": "Only one of json_schema, regex, ebnf, or structural_tag can be set.",
        "limit": (
            "max_completion_tokens is too large: {value}.This model supports at most {context} "
            "completion tokens."
        ),
        "long_prompt": (
            "The input ({prompt} tokens) is longer than the model's context length ({context} "
            "tokens)."
        ),
    },
    list_body=FixedReply(status=500, body="Internal Server Error"),
    checks_limit_first=True,
    any_model=True,
    no_such_entry=FixedReply(
        status=404,
        body={
            "error": {
                "message": "The model '{model}' does not exist",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }
        },
    ),
    replies={
        "/v1/embeddings": FixedReply(
            status=400,
            body={
                "object": "error",
                "message": (
                    "This model does not appear to be an embedding model by default. Please add "
                    "`--is-embedding` when launching the server or try another model."
                ),
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
        )
    },
    too_many_tokens=(
        "Requested token count exceeds the model's maximum context length of {context} tokens. "
        "You requested a total of {total} tokens: {prompt} tokens from the input messages and "
        "{completion} tokens for the completion. Please reduce the number of tokens in the input "
        "messages or the completion to fit within the limit."
    ),
    routes={**MANAGEMENT, **METRICS, "/openapi.json": "openapi"},
    metrics=metrics.SGLANG,
    title="NVIDIA NIM (SGLang)",
    shapes=SGLANG_SHAPES,
    model_entry=MODEL_ENTRY[:-1],
    model_route=True,
    owned_by="sglang",
    adapter_root="/loras/{name}",
    release="2.1.5",
    metadata={"repository_override": "", "selectedModelProfileId": "emulated"},
)
