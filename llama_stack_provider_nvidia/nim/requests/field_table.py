"""The field table: where each dialect takes each feature of a request.

Data alone; ``nim.requests.field_mapping`` applies it, and docs/nim.md is generated from it.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..dialect import Dialect
from ..errors import invalid
from ..json_types import JSONObject


@dataclass(frozen=True)
class MapTo:
    """The dialect takes the feature at this path of the body.

    Attributes:
        path: Dotted path, such as ``nvext.top_k``.
        convert: Converts the value; None sends it as it is.
    """

    path: str
    convert: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Unsupported:
    """The dialect has no such feature, or ignores it silently; the request is refused.

    Attributes:
        workaround: What the user can do.
    """

    workaround: str


@dataclass(frozen=True)
class Ignored:
    """The field is left out: the dialect does not take it, and the response is the same."""


FieldMapping = MapTo | Unsupported | Ignored


@dataclass(frozen=True)
class Feature:
    """One row of the field table.

    Attributes:
        name: What users call it.
        field: Its path in the form that converters and callers write: OpenAI's fields, and
            vLLM's beside them.
        mappings: The mapping of each dialect.
        source: Where this is known from.
        completion_mappings: Mappings that differ for a text completion.
        no_op: Values that ask for nothing. They are left out where the feature is unsupported.
        date: When it was so, as year and month.
    """

    name: str
    field: str
    mappings: Mapping[Dialect, FieldMapping]
    source: str
    completion_mappings: Mapping[Dialect, FieldMapping] = dataclasses.field(default_factory=dict)
    no_op: tuple[Any, ...] = ()
    date: str = "2026-10"

    def mapping_for(self, dialect: Dialect, *, completion: bool) -> FieldMapping:
        """Return the mapping of a dialect for a chat or a text completion."""
        special = self.completion_mappings.get(dialect) if completion else None
        return special or self.mappings[dialect]


_OWN_NIM = "use a NIM of your own (1.x or 2.x), which can do this, and set `url` to it"
_USE_SCHEMA = Unsupported(f"use a JSON schema, which this NIM takes, or {_OWN_NIM}")
_LEAVE_OUT = Unsupported(f"leave it out, or {_OWN_NIM}")
_LEAVE_OUT_SGLANG = Unsupported("leave it out, or use a NIM with vLLM inside")
_LEAVE_OUT_DYNAMO = Unsupported(
    "leave it out, or ask the engine directly: Dynamo's front end accepts it and ignores it"
)


def schema_of(response_format: Any) -> Any:
    """Return the schema that a ``json_schema`` response format holds.

    Raises:
        InvalidRequestError: It holds none.
    """
    named = response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise invalid("response_format.json_schema", "holds no `schema`: {'schema': {...}}")
    return schema


def _as_response_format(schema: Any) -> JSONObject:
    return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}


def _with_schema_name(response_format: JSONObject) -> JSONObject:
    """Name the schema: Dynamo, SGLang and OpenAI refuse one without a name."""
    schema = response_format.get("json_schema")
    if not isinstance(schema, dict) or not schema.get("schema") or schema.get("name"):
        return response_format
    return {**response_format, "json_schema": {**schema, "name": "response"}}


def _as_regex(choices: list[str]) -> str:
    escaped = (re.sub(r"([.^$*+?{}\[\]\\|()/-])", r"\\\1", text) for text in choices)
    return f"({'|'.join(escaped)})"


def _sglang_top_k(value: Any) -> Any:
    """Convert vLLM's 0 for "all tokens" to -1: SGLang refuses 0."""
    return -1 if value == 0 else value


def _row(name: str, path: str, source: str, **mappings: FieldMapping) -> Feature:
    """Return a row; a dialect that is not named takes the feature at the same path."""
    by_dialect = {dialect: mappings.get(dialect.name.lower(), MapTo(path)) for dialect in Dialect}
    return Feature(name=name, field=path, mappings=by_dialect, source=source)


def _constraint(
    kind: str,
    guided: str,
    sglang: FieldMapping,
    closed: FieldMapping = _USE_SCHEMA,
    completion_mappings: Mapping[Dialect, FieldMapping] | None = None,
) -> Feature:
    feature = _row(
        f"{kind} constraint",
        f"structured_outputs.{kind}",
        "NIM 1.x structured generation pages; NIM 2.x migration guide; vLLM, SGLang and Dynamo "
        "protocol sources",
        nim1=MapTo(f"nvext.{guided}"),
        nim2_sglang=sglang,
        dynamo=MapTo(guided),
        hosted=closed,
        generic=closed,
    )
    return replace(feature, completion_mappings=completion_mappings or {})


def _extension(
    name: str, *, sglang: FieldMapping | None = None, **mappings: FieldMapping
) -> Feature:
    """Return the row of a field beside OpenAI's.

    NIM 1.x and hosted models refuse a field that they do not know (``extra_forbidden``), so it is
    sent: schemas grow, and ``refusals`` explains what is refused.
    """
    return _row(
        name,
        name,
        "NIM 1.x release notes and function pages; NIM 2.x migration guide; vLLM, SGLang and "
        "Dynamo protocol sources; published hosted schemas",
        nim2_sglang=sglang or MapTo(name),
        **mappings,
    )


def _bookkeeping(name: str, **mappings: FieldMapping) -> Feature:
    """Return the row of a field that no NIM acts on, and that closed schemas refuse."""
    return _row(
        name,
        name,
        "refusals by hosted models and Dynamo, reported in public issues",
        **{"nim1": Ignored(), "hosted": Ignored(), "dynamo": Ignored(), **mappings},
    )


def _without_effect_on_dynamo(name: str, *no_op: Any) -> Feature:
    row = _row(
        name,
        name,
        "Dynamo 1.6.1 in front of vLLM 0.31 and of a scripted worker: accepted, never handed on",
        dynamo=_LEAVE_OUT_DYNAMO,
    )
    return replace(row, no_op=no_op, date="2026-11")


FIELD_TABLE: tuple[Feature, ...] = (
    _row(
        "JSON schema",
        "response_format",
        "NIM 1.x structured generation pages; NIM 2.x migration guide; hosted: enforced on most "
        "models by reports",
        nim1=MapTo("nvext.guided_json", schema_of),
        **{
            name: MapTo("response_format", _with_schema_name)
            for name in ("nim2_vllm", "nim2_sglang", "dynamo", "hosted", "generic")
        },
    ),
    _constraint(
        "json",
        "guided_json",
        MapTo("response_format", _as_response_format),
        MapTo("response_format", _as_response_format),
        # OpenAI's own completions have no response format, so others may well ignore one.
        completion_mappings={
            Dialect.HOSTED: Unsupported(f"ask for a chat completion, or {_OWN_NIM}"),
            Dialect.GENERIC: Unsupported(f"ask for a chat completion, or {_OWN_NIM}"),
        },
    ),
    _constraint("regex", "guided_regex", MapTo("regex")),
    _constraint("choice", "guided_choice", MapTo("regex", _as_regex)),
    _constraint("grammar", "guided_grammar", MapTo("ebnf")),
    _row(
        "whitespace pattern",
        "structured_outputs.whitespace_pattern",
        "vLLM and Dynamo protocol sources",
        nim1=MapTo("nvext.guided_whitespace_pattern"),
        nim2_sglang=_LEAVE_OUT_SGLANG,
        dynamo=MapTo("guided_whitespace_pattern"),
        hosted=_LEAVE_OUT,
        generic=_LEAVE_OUT,
    ),
    _extension("top_k", nim1=MapTo("nvext.top_k"), sglang=MapTo("top_k", _sglang_top_k)),
    _extension("repetition_penalty", nim1=MapTo("nvext.repetition_penalty")),
    _extension("ignore_eos", nim1=MapTo("nvext.ignore_eos")),
    _extension("min_p"),
    _extension("min_tokens"),
    _extension("stop_token_ids"),
    _extension(
        "length_penalty",
        sglang=_LEAVE_OUT_SGLANG,
        dynamo=Unsupported("leave it out, or ask vLLM directly"),
    ),
    _extension(
        "thinking_token_budget",
        nim1=MapTo("nvext.max_thinking_tokens"),
        sglang=Unsupported("switch reasoning off, or use a NIM with vLLM inside"),
        dynamo=MapTo("nvext.max_thinking_tokens"),
        hosted=MapTo("reasoning_budget"),
    ),
    replace(
        _row(
            "max_completion_tokens",
            "max_completion_tokens",
            "clients rewrite it for NIM 1.x and the hosted catalogue; of text completions, vLLM "
            "0.31 and SGLang 0.5.23 ignore it and Dynamo 1.6.1 refuses it",
            nim1=MapTo("max_tokens"),
            hosted=MapTo("max_tokens"),
        ),
        completion_mappings={dialect: MapTo("max_tokens") for dialect in Dialect},
        date="2026-11",
    ),
    _without_effect_on_dynamo("logit_bias", {}),
    _without_effect_on_dynamo("best_of", 1),
    _without_effect_on_dynamo("echo", False),
    _without_effect_on_dynamo("suffix", ""),
    _bookkeeping("metadata"),
    _bookkeeping("prompt_cache_key"),
    _bookkeeping("prompt_cache_retention"),
    _bookkeeping("safety_identifier"),
    _bookkeeping("service_tier"),
    _bookkeeping("store"),
    _bookkeeping("user", nim1=MapTo("user"), dynamo=MapTo("user")),
)

EMBEDDING_FIELD_TABLE: tuple[Feature, ...] = (
    replace(
        _row(
            "input_type",
            "input_type",
            "retriever NIM API references; Dynamo 1.6.1 with a worker of its own: dropped before "
            "the worker",
            dynamo=Unsupported(
                "Dynamo's front end drops it, so that queries and passages get the same vectors: "
                "put the model's prefix into the texts and leave it out, or ask the engine directly"
            ),
        ),
        date="2026-11",
    ),
    replace(
        _row(
            "truncate",
            "truncate",
            "retriever NIM API references; vLLM and SGLang protocol sources; Dynamo 1.6.1 with a "
            "worker of its own: dropped before the worker",
            nim2_vllm=MapTo("truncate_prompt_tokens"),
            nim2_sglang=Unsupported("this engine (SGLang) cannot cut texts: send shorter ones"),
            dynamo=Unsupported("Dynamo's front end drops it: send shorter texts"),
        ),
        no_op=("NONE",),
        date="2026-11",
    ),
)
"""The fields of ``/v1/embeddings`` that differ; ``nim.retrieval.embedding_request`` applies it."""

# Other spellings of the above, by path: what NIM 1.x, older vLLM and Dynamo call it.
FIELD_ALIASES: Mapping[str, str] = {
    "guided_json": "structured_outputs.json",
    "guided_regex": "structured_outputs.regex",
    "guided_choice": "structured_outputs.choice",
    "guided_grammar": "structured_outputs.grammar",
    "guided_whitespace_pattern": "structured_outputs.whitespace_pattern",
    "max_thinking_tokens": "thinking_token_budget",
    "top_k": "top_k",
    "repetition_penalty": "repetition_penalty",
    "ignore_eos": "ignore_eos",
}
