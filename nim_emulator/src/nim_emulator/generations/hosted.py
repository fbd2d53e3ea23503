"""NVIDIA's hosted API catalogue: closed request schemas, one per model.

The fields and ranges are those of the request schemas that NVIDIA publishes per model (August
2026). ``response_format`` and ``stream_options`` are in few of those schemas but work on most
models, so every model here takes them. Which form of error belongs to which model is not
published: the models are spread over the forms that users reported.
"""

from __future__ import annotations

from dataclasses import replace

from ..dialect import Dialect, Limit, names
from ..shapes import HOSTED_SHAPES
from . import field_groups
from .hosted_replies import NO_KEY, PAGE_NOT_FOUND, PENDING, SPECIALS, WRONG_KEY
from .shared import TOO_MANY_TOKENS

_BASE = names(
    "model messages temperature top_p frequency_penalty presence_penalty max_tokens stream stop "
    "stream_options response_format"
)
_TOOLS = names("tools tool_choice")
_MESSAGE = names("role content name tool_calls tool_call_id")


def _limits(
    max_tokens: int | None, temperature: Limit | None = None, **others: Limit
) -> dict[str, Limit]:
    return {
        "temperature": temperature or Limit(low=0, high=1),
        "max_tokens": Limit(low=1, high=max_tokens),
        **others,
    }


_SEED = Limit(low=0)

# Rules of a model with no schema of its own: the least that all schemas have in common.
_PLAIN = Dialect(
    name="hosted",
    summary="NVIDIA's hosted API catalogue: keys, closed schemas per model, gateway errors",
    chat_fields=_BASE | _TOOLS | {"seed"},
    completion_fields=None,
    refuses_unknown=True,
    limits=_limits(4096, seed=_SEED),
    default_max_tokens=1024,
    context=131_072,
    roles=names("system user assistant tool"),
    list_content_roles=names(""),
    message_fields=_MESSAGE,
    errors="problem",
    too_many_tokens=TOO_MANY_TOKENS,
    unknown_model=PAGE_NOT_FOUND,
    not_found=PAGE_NOT_FOUND,
    needs_key=True,
    models_public=True,
    missing_key=NO_KEY,
    wrong_key=WRONG_KEY,
    request_id_header="nvcf-reqid",
    poll_path="/v2/nvcf/pexec/status/",
    shapes=HOSTED_SHAPES,
    owned_by=None,
    created=735_790_403,
)

# Behind Dynamo: an nvext object exists, but it is Dynamo's.
_LLAMA = replace(
    _PLAIN,
    chat_fields=_BASE | _TOOLS | {"nvext"},
    nvext_fields=field_groups.DYNAMO_NVEXT,
    limits=_limits(4096),
    roles=names("system context user assistant tool"),
    alternates=True,
    errors="reason",
)

_LLAMA_SMALL = replace(
    _PLAIN,
    chat_fields=_BASE,
    limits=_limits(4096),
    roles=names("system context user assistant"),
    alternates=True,
    errors="text",
)

_LLAMA_VISION = replace(
    _PLAIN,
    chat_fields=_BASE | {"seed"},
    limits=_limits(8192, seed=_SEED),
    default_max_tokens=512,
    roles=names("user assistant"),
    list_content_roles=names("user"),
    errors="nested",
)

# Seen on a model whose server was started without a parser for tool calls.
_NO_PARSER = replace(_PLAIN, errors="nested", auto_tools=False)

_MUSE = replace(
    _PLAIN,
    chat_fields=_BASE | _TOOLS | {"reasoning_effort"},
    limits=_limits(131_072),
    default_max_tokens=2048,
    list_content_roles=names("user"),
    message_fields=_MESSAGE | {"reasoning_content"},
    tool_choices=names("none auto named"),
    errors="nested",
    thinks=True,
)

# Unknown fields, nvext among them, were seen to be ignored by some models; this one stands
# for them.
_SUPER_49B = replace(
    _PLAIN,
    refuses_unknown=False,
    limits=_limits(65_536, seed=_SEED),
    default_max_tokens=65_536,
    errors="nested",
)

# Tools and the role "tool" are not in these schemas, but tool calls work.
_NEMOTRON_3 = replace(
    _PLAIN,
    chat_fields=_BASE | _TOOLS | names("seed chat_template_kwargs"),
    stream_default=True,
    limits=_limits(
        32_768,
        Limit(low=0, high=1, above=True),
        seed=_SEED,
        reasoning_budget=Limit(low=-1, high=32_768),
    ),
    default_max_tokens=16_384,
    roles=names("system context user assistant tool"),
    tool_stream="whole",
    shapes=replace(HOSTED_SHAPES, no_tool_calls=[]),
    thinks=True,
)
_WITH_BUDGET = _NEMOTRON_3.chat_fields or names("")
_LIGHTNING = replace(_NEMOTRON_3, chat_fields=_WITH_BUDGET | {"reasoning_budget"})
_SUPER = replace(
    _LIGHTNING,
    chat_fields=_WITH_BUDGET | names("reasoning_budget reasoning_effort"),
    reasoning_efforts=names("none low high"),
)
_ULTRA = replace(_SUPER, reasoning_efforts=names("none medium high"))
_OMNI = replace(
    _LIGHTNING,
    stream_default=False,
    limits=_limits(65_536, seed=_SEED, reasoning_budget=Limit(low=-1, high=32_768)),
    default_max_tokens=65_536,
    list_content_roles=names("user"),
)

_GEMMA = replace(
    _PLAIN,
    chat_fields=_BASE | {"seed"},
    limits=_limits(None, seed=_SEED),
    roles=names("user assistant"),
    errors="detail",
)

_KIMI = replace(
    _PLAIN,
    chat_fields=_BASE | _TOOLS | names("seed chat_template_kwargs nvext"),
    nvext_fields=field_groups.DYNAMO_NVEXT,
    limits=_limits(None, seed=_SEED),
    list_content_roles=names("user"),
    message_fields=_MESSAGE | {"reasoning_content"},
    tool_parts=("description", "parameters"),
    strict_tools=False,
    errors="reason",
    shapes=replace(HOSTED_SHAPES, auto_content=""),
)

# "dimensions" is not in the schema of the current embedding model, but others were seen to
# take it.
_EMBEDDING = replace(
    _PLAIN,
    chat_fields=None,
    embedding_fields=field_groups.HOSTED_EMBEDDING,
    errors="mixed",
)
_NEMOTRON_EMBEDDING = replace(
    _EMBEDDING, embedding_fields=field_groups.HOSTED_EMBEDDING - {"dimensions"}
)
_VISION_EMBEDDING = replace(
    _EMBEDDING, embedding_fields=field_groups.HOSTED_EMBEDDING | {"modality"}
)
_RERANK = replace(_PLAIN, chat_fields=None, errors="mixed")

_COMPLETIONS = replace(
    _PLAIN,
    chat_fields=None,
    completion_fields=names(
        "model prompt temperature top_p frequency_penalty presence_penalty max_tokens stream stop "
        "stream_options seed"
    ),
    errors="detail",
)

HOSTED = replace(
    _PLAIN,
    catalogue=(
        "meta/llama-3.1-8b-instruct",
        "meta/llama-3.1-70b-instruct",
        "meta/llama-3.2-3b-instruct",
        "meta/llama-3.2-90b-vision-instruct",
        "meta/muse-glimmer-30b",
        "nvidia/llama-3.3-nemotron-super-49b-v1.5",
        "nvidia/nemotron-3-nano-30b-a3b",
        "nvidia/nemotron-3-super-120b-a12b",
        "nvidia/nemotron-3-ultra-550b-a55b",
        "nvidia/nemotron-3.5-lightning-30b-a3b",
        "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning",
        "google/gemma-3-27b-it",
        "moonshotai/kimi-k2.6",
        "bigcode/starcoder2-7b",
        "meta/llama-without-tool-parser",
        "nvidia/llama-nemotron-embed-1b-v2",
        "nvidia/nv-embedqa-e5-v5",
        "baai/bge-m3",
        "google/gemma-3-27b-it",  # the real list has duplicates as well
    ),
    unlisted=(
        "nvidia/llama-nemotron-rerank-1b-v2",
        "nvidia/llama-3.2-nemoretriever-500m-rerank-v2",
        "nvidia/llama-3.2-nv-rerankqa-1b-v2",
        "nv-rerank-qa-mistral-4b:1",
    ),
    services={
        "/v1/embeddings": "embeddings",
        "/v1/retrieval/nvidia/{name}/reranking": "hosted_ranking",
        "/v1/retrieval/nvidia/reranking": "legacy_ranking",
    },
    specials=SPECIALS,
    pending=PENDING,
    variants=(
        ("meta/llama-3.1-*", _LLAMA),
        ("meta/llama-3.3-*", _LLAMA),
        ("meta/llama-3.2-*vision*", _LLAMA_VISION),
        ("meta/llama-3.2-*", _LLAMA_SMALL),
        ("meta/llama-slow-start", _LLAMA),
        ("meta/llama-without-tool-parser", _NO_PARSER),
        ("meta/muse-*", _MUSE),
        ("nvidia/llama-3.3-nemotron-super-49b-*", _SUPER_49B),
        ("nvidia/nemotron-3-nano-omni-*", _OMNI),
        ("nvidia/nemotron-3-nano-*", _NEMOTRON_3),
        ("nvidia/nemotron-3-super-*", _SUPER),
        ("nvidia/nemotron-3-ultra-*", _ULTRA),
        ("nvidia/nemotron-3.5-lightning-*", _LIGHTNING),
        ("google/gemma-*", _GEMMA),
        ("moonshotai/kimi-*", _KIMI),
        ("bigcode/starcoder2-*", _COMPLETIONS),
        ("*rerank*", _RERANK),
        ("*embed-vl*", _VISION_EMBEDDING),
        ("*vlm-embed*", _VISION_EMBEDDING),
        ("nvidia/llama-nemotron-embed-*", _NEMOTRON_EMBEDDING),
        ("*embed*", _EMBEDDING),
        ("baai/bge-*", _EMBEDDING),
    ),
)
