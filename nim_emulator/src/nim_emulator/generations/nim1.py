"""NIM for LLMs 1.x: the API references 1.0 to 1.15, and reports from 1.8.4."""

from __future__ import annotations

from dataclasses import replace

from .. import metrics
from ..dialect import Dialect, names
from ..shapes import NIM1_SHAPES
from . import field_groups
from .shared import MANAGEMENT, METRICS, MODEL_ENTRY, TOO_MANY_TOKENS

NIM1 = Dialect(
    name="nim1",
    aliases=("nim1-1.8",),
    summary="NIM for LLMs 1.x, modelled on 1.8.4: extensions in nvext",
    chat_fields=field_groups.CHAT | {"nvext"},
    completion_fields=field_groups.COMPLETION | {"nvext"},
    # Only keys with a source: what nobody documented for 1.x (min_p, min_tokens) is refused,
    # so that a stack tested here does not come to depend on it.
    nvext_fields=field_groups.GUIDED
    | names("top_k repetition_penalty ignore_eos max_thinking_tokens"),
    # Observed on 1.8.4: top-level guided_json gives "Extra inputs are not permitted".
    # max_completion_tokens falls under this too: no 1.x page lists it, and the clients that
    # serve NIM (LangChain, LiteLLM) rewrite it to max_tokens.
    refuses_unknown=True,
    roles=names("system user assistant tool"),
    list_content_roles=names("user"),
    # The structured generation pages of 1.x know json_object only, and json_schema was
    # reported not to work on 1.8.4. Whether it fails or answers with free text is not
    # known; refusing makes a caller who relies on it notice, free text would not.
    response_formats=names("text json_object"),
    parser_option=True,
    lark_grammars=True,  # the default backend up to 1.14 (outlines) reads Lark
    top_k_zero=False,
    echo_in_streams=False,  # "echo" is documented as not to be combined with "stream"
    errors="flat",
    too_many_tokens=TOO_MANY_TOKENS,
    routes={**MANAGEMENT, **METRICS, "/openapi.json": "openapi"},
    metrics=metrics.NIM1,
    title="NVIDIA NIM for LLMs",
    tool_stream="two-part",
    shapes=NIM1_SHAPES,
    model_entry=MODEL_ENTRY,
    owned_by="system",
    adapter_root="hf://{name}",
    release="1.8.4",
)

# The selector of the backend and its friends moved to the top level in 1.14; that guided_*
# came with them is an inference from it. xgrammar is the default backend from 1.15 on.
NIM1_15 = replace(
    NIM1,
    name="nim1-1.15",
    aliases=(),
    summary="NIM for LLMs 1.15: top-level top_k, ignore_eos and guided_* beside nvext",
    chat_fields=field_groups.CHAT
    | field_groups.GUIDED
    | names("nvext top_k ignore_eos chat_template"),
    completion_fields=field_groups.COMPLETION
    | field_groups.GUIDED
    | names("nvext top_k ignore_eos"),
    response_formats=names("text json_object json_schema"),
    lark_grammars=False,
    release="1.15.0",
)
