"""NIM 2.x and the engines inside it: the migration guide and the engines' request models."""

from __future__ import annotations

from dataclasses import replace

from ..dialect import Dialect, names
from ..shapes import NIM2_SHAPES, SGLANG_SHAPES
from . import fields
from .text import MANAGEMENT, MODEL_ENTRY

NIM2 = Dialect(
    name="nim2",
    aliases=("nim2-vllm",),
    summary="NIM 2.x with vLLM: extensions at the top level, nvext and guided_* ignored",
    chat_fields=fields.CHAT | fields.VLLM_SAMPLING | fields.VLLM_CHAT,
    completion_fields=fields.COMPLETION | fields.VLLM_SAMPLING,
    embedding_fields=fields.VLLM_EMBEDDING,
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
    lark_grammars=False,  # the default backend (xgrammar) reads GBNF
    empty_tools_refused=True,
    errors="nested",
    checks_limit_first=True,
    too_many_tokens=(
        "This model's maximum context length is {context} tokens. However, you requested "
        "{completion} output tokens and your prompt contains at least {least} input tokens, "
        "for a total of at least {least_total} tokens. Please reduce the length of the input "
        "prompt or the number of requested output tokens."
    ),
    routes={**MANAGEMENT, "/openapi.json": "openapi"},
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
    routes={"/health": "nothing", "/version": "engine_version", "/openapi.json": "openapi"},
    title="FastAPI",
    release="0.31.0",
    metadata={},
)

NIM2_SGLANG = Dialect(
    name="nim2-sglang",
    summary="NIM 2.x with SGLang: top-level regex and ebnf, unknown fields ignored",
    chat_fields=fields.CHAT | fields.SGLANG_SAMPLING | fields.SGLANG_CHAT,
    completion_fields=fields.COMPLETION | fields.SGLANG_SAMPLING,
    refuses_unknown=False,
    model_required=False,
    roles=None,
    constraint_with_tool=False,
    reasoning_efforts=names("none minimal low medium high xhigh max"),
    numeric_effort=True,
    errors="flat",
    too_many_tokens=(
        "Requested token count exceeds the model's maximum context length of {context} tokens. "
        "You requested a total of {total} tokens: {prompt} tokens from the input messages and "
        "{completion} tokens for the completion. Please reduce the number of tokens in the input "
        "messages or the completion to fit within the limit."
    ),
    routes={**MANAGEMENT, "/openapi.json": "openapi"},
    title="NVIDIA NIM (SGLang)",
    shapes=SGLANG_SHAPES,
    model_entry=MODEL_ENTRY[:-1],
    owned_by="sglang",
    adapter_root="/loras/{name}",
    release="2.1.5",
    metadata={"repository_override": "", "selectedModelProfileId": "emulated"},
)
