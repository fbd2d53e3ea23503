"""NVIDIA Dynamo's front end: its source code, and raw responses of release 1.6.1 (2026-11)."""

from __future__ import annotations

from .. import metrics
from ..dialect import Dialect, FixedReply, Limit, names
from ..shapes import DYNAMO_SHAPES
from . import field_groups
from .shared import TOO_MANY_TOKENS

DYNAMO_LIMITS = {
    "stop": Limit(low=1, high=32, length=True),
    "n": Limit(low=1, high=128),
    "top_k": Limit(low=-1),
    "min_p": Limit(low=0, high=1),
    "temperature": Limit(low=0, high=2),
    "repetition_penalty": Limit(low=0, high=2, above=True),
    "top_p": Limit(low=0, high=1, above=True),
    "frequency_penalty": Limit(low=-2, high=2),
    "presence_penalty": Limit(low=-2, high=2),
}

DYNAMO_TEXTS = {
    "temperature": "Temperature must be between 0 and 2, got {value}",
    "top_p": "Top_p must be between 0 and 1, got {value}",
    "top_k": "Top_k must be null or greater than or equal to -1",
    "min_p": "Min_p must be between 0 and 1, got {value}",
    "frequency_penalty": "Frequency penalty must be between -2 and 2, got {value}",
    "presence_penalty": "Presence penalty must be between -2 and 2, got {value}",
    "repetition_penalty": "Repetition penalty must be between 0 and 2, got {value}",
    "greedy_n": (
        "When n > 1, temperature must be greater than 0 to ensure diverse outputs. Got n={value}, "
        "temperature=0"
    ),
    "n": "n must be between 1 and 128, got {value}",
    "max_tokens": "Max tokens must be greater than 0, got {value}",
    "stop": "Stop sequence cannot be empty",
    "stop.low": "Stop sequences array cannot be empty",
    "stop.high": "Maximum of 32 stop sequences allowed, got {value}",
    "top_logprobs": "Top_logprobs must be between 0 and 20, got {value}",
    "logprobs": "Logprobs must be between 0 and 5, got {value}",
    "stream_options": ("The 'stream_options' field is only allowed when 'stream' is set to true."),
    "prompt": "Prompt string cannot be empty",
    "tool": 'tool named "{name}" in tool_choice is not present in tools',
    "tool_choice": 'tool_choice is "required" but tools is empty',
    "constraint": "Bad Request",
    "constraints": "Only one guided-decoding constraint can be set; received: {kinds}",
}

DYNAMO = Dialect(
    name="dynamo",
    summary="NVIDIA Dynamo's front end: guided_* at the top level, a different nvext",
    chat_fields=field_groups.CHAT | field_groups.DYNAMO_SAMPLING | field_groups.DYNAMO_CHAT,
    completion_fields=field_groups.COMPLETION
    | field_groups.DYNAMO_SAMPLING
    | names("metadata best_of"),
    # Taken, and without any effect.
    ignored_fields=names("echo suffix best_of logit_bias"),
    not_implemented={
        "functions": "`functions` is deprecated. Please migrate to use `tools` instead.",
        "function_call": "`function_call` is deprecated. Please migrate to use `tool_choice` "
        "instead.",
    },
    nvext_fields=field_groups.DYNAMO_NVEXT,
    refuses_unknown=True,
    strict_types=True,
    limits=DYNAMO_LIMITS,
    texts=DYNAMO_TEXTS,
    checks_logit_bias=True,
    most_bias=100,
    min_over_max=True,
    guided_first=True,
    stream_refusals=True,
    empty_tools="tools array cannot be empty; omit the field entirely to disable tool use",
    lone_tool_choices=names("none auto"),
    closed_strict_tools=True,
    schema_name_required=True,
    lone_top_logprobs=True,
    roles=names("developer system user assistant tool function"),
    reasoning_efforts=names("none minimal low medium high xhigh max"),
    max_completion_logprobs=5,
    errors="reason",
    too_many_tokens=TOO_MANY_TOKENS,  # the body has numbers in place of it
    unknown_model="Model not found",
    embedding_fields=field_groups.DYNAMO_EMBEDDING,
    services={"/v1/embeddings": "dynamo_embeddings"},
    no_models=FixedReply(status=404),  # no worker, for ten seconds or more
    not_found=FixedReply(
        status=404,
        body={"message": "Route not found: {method} {path}", "type": "Not Found", "code": 404},
    ),
    max_body=45 * 1024 * 1024,
    media_status=415,
    routes={
        "/health": "dynamo_health",
        "/live": "dynamo_live",
        "/metrics": "metrics",
        "/openapi.json": "openapi",
    },
    metrics=metrics.DYNAMO,
    title="NVIDIA Dynamo OpenAI Frontend",
    echoes_request_id=True,
    annotations=True,
    tool_stream="whole",
    forced_tool_stream="fragments",
    shapes=DYNAMO_SHAPES,
    model_entry=("id", "object", "created", "owned_by", "context_window"),
    model_route=True,
    model_ready={
        "ready": True,
        "namespaces": {
            "dynamo": {
                "ready": True,
                "worker_types": {"aggregated": {"workers": 1, "needs": []}},
                "present": ["aggregated"],
                "missing_worker_types": [],
            }
        },
    },
    owned_by="nvidia",
    created="now",
    release="1.6.1",
)
