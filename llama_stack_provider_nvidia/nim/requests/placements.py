"""Where each dialect takes what a request asks for: a row per feature, a cell per dialect.

Data alone; ``nim.requests.place`` reads it, and docs/nim.md is written from it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..dialect import Dialect
from ..errors import invalid


@dataclass(frozen=True)
class At:
    """The dialect takes the feature at this path of the body."""

    path: str
    wrap: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Refused:
    """The dialect cannot carry the feature, and the answer would be another without it.

    Attributes:
        instead: What the user can do.
    """

    instead: str


@dataclass(frozen=True)
class Dropped:
    """The dialect does not take the field, and the answer is the same without it."""


Cell = At | Refused | Dropped


@dataclass(frozen=True)
class Feature:
    """One row of the table.

    Attributes:
        name: What users call it.
        source: Its path in the form that converters and callers write: OpenAI's fields, and
            vLLM's beside them.
        places: Where each dialect takes it.
        fact: Where this is known from.
        of_completion: Where that is different for a text completion.
        date: When it was so, as year and month.
    """

    name: str
    source: str
    places: Mapping[Dialect, Cell]
    fact: str
    of_completion: Mapping[Dialect, Cell] = field(default_factory=dict)
    date: str = "2026-10"

    def cell(self, dialect: Dialect, *, completion: bool) -> Cell:
        """Give where a dialect takes it in a chat or in a text completion."""
        special = self.of_completion.get(dialect) if completion else None
        return special or self.places[dialect]


_OWN_NIM = "use a NIM of your own (1.x or 2.x), which can do this, and set `url` to it"
_SCHEMA_INSTEAD = Refused(f"use a JSON schema, which this NIM takes, or {_OWN_NIM}")
_LEAVE_OUT = Refused(f"leave it out, or {_OWN_NIM}")
_LEAVE_OUT_NIM1 = Refused("leave it out, or use NIM 2.x: NIM 1.x does not document it")
_LEAVE_OUT_SGLANG = Refused("leave it out, or use a NIM with vLLM inside")


def schema_of(response_format: Any) -> Any:
    """Give the schema that a ``json_schema`` response format holds.

    Raises:
        InvalidRequestError: It holds none.
    """
    named = response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise invalid("response_format.json_schema", "holds no `schema`: {'schema': {...}}")
    return schema


def _as_response_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}


def _alternatives(choices: list[str]) -> str:
    escaped = (re.sub(r"([.^$*+?{}\[\]\\|()/-])", r"\\\1", text) for text in choices)
    return f"({'|'.join(escaped)})"


def _row(name: str, source: str, fact: str, **cells: Cell) -> Feature:
    """A row; a dialect that is not named takes the feature where the source has it."""
    places = {dialect: cells.get(dialect.name.lower(), At(source)) for dialect in Dialect}
    return Feature(name=name, source=source, places=places, fact=fact)


def _constraint(
    kind: str,
    guided: str,
    sglang: Cell,
    closed: Cell = _SCHEMA_INSTEAD,
    of_completion: Mapping[Dialect, Cell] | None = None,
) -> Feature:
    feature = _row(
        f"{kind} constraint",
        f"structured_outputs.{kind}",
        "NIM 1.x structured generation pages; NIM 2.x migration guide; vLLM, SGLang and Dynamo "
        "protocol sources",
        nim1=At(f"nvext.{guided}"),
        nim2_sglang=sglang,
        dynamo=At(guided),
        hosted=closed,
        generic=closed,
    )
    return replace(feature, of_completion=of_completion or {})


def _extension(name: str, *, nim1: Cell, sglang: Cell | None = None, **cells: Cell) -> Feature:
    return _row(
        name,
        name,
        "NIM 1.x release notes and function pages; NIM 2.x migration guide; vLLM, SGLang and "
        "Dynamo protocol sources; published hosted schemas",
        nim1=nim1,
        nim2_sglang=sglang or At(name),
        hosted=cells.pop("hosted", _LEAVE_OUT),
        generic=cells.pop("generic", _LEAVE_OUT),
        **cells,
    )


def _bookkeeping(name: str, **cells: Cell) -> Feature:
    """A field of OpenAI's service that no NIM acts on, and that closed schemas refuse."""
    return _row(
        name,
        name,
        "refusals by hosted models and Dynamo, reported in public issues",
        **{"nim1": Dropped(), "hosted": Dropped(), "dynamo": Dropped(), **cells},
    )


TABLE: tuple[Feature, ...] = (
    _row(
        "JSON schema",
        "response_format",
        "NIM 1.x structured generation pages; NIM 2.x migration guide; hosted: enforced on most "
        "models by reports",
        nim1=At("nvext.guided_json", schema_of),
    ),
    _constraint(
        "json",
        "guided_json",
        At("response_format", _as_response_format),
        At("response_format", _as_response_format),
        # OpenAI's own completions have no response format, so others may well ignore one.
        of_completion={
            Dialect.HOSTED: Refused(f"ask for a chat completion, or {_OWN_NIM}"),
            Dialect.GENERIC: Refused(f"ask for a chat completion, or {_OWN_NIM}"),
        },
    ),
    _constraint("regex", "guided_regex", At("regex")),
    _constraint("choice", "guided_choice", At("regex", _alternatives)),
    _constraint("grammar", "guided_grammar", At("ebnf")),
    _row(
        "whitespace pattern",
        "structured_outputs.whitespace_pattern",
        "vLLM and Dynamo protocol sources",
        nim1=At("nvext.guided_whitespace_pattern"),
        nim2_sglang=_LEAVE_OUT_SGLANG,
        dynamo=At("guided_whitespace_pattern"),
        hosted=_LEAVE_OUT,
        generic=_LEAVE_OUT,
    ),
    _extension("top_k", nim1=At("nvext.top_k")),
    _extension("repetition_penalty", nim1=At("nvext.repetition_penalty")),
    _extension("ignore_eos", nim1=At("nvext.ignore_eos")),
    _extension("min_p", nim1=_LEAVE_OUT_NIM1),
    _extension("min_tokens", nim1=_LEAVE_OUT_NIM1),
    _extension("stop_token_ids", nim1=_LEAVE_OUT_NIM1),
    _extension(
        "length_penalty",
        nim1=_LEAVE_OUT_NIM1,
        sglang=_LEAVE_OUT_SGLANG,
        dynamo=Refused("leave it out, or ask vLLM directly"),
    ),
    _extension(
        "thinking_token_budget",
        nim1=At("nvext.max_thinking_tokens"),
        sglang=Refused("switch thinking off, or use a NIM with vLLM inside"),
        dynamo=At("nvext.max_thinking_tokens"),
        hosted=At("reasoning_budget"),
    ),
    _row(
        "max_completion_tokens",
        "max_completion_tokens",
        "clients rewrite it for NIM 1.x and the hosted catalogue",
        nim1=At("max_tokens"),
        hosted=At("max_tokens"),
    ),
    _bookkeeping("metadata"),
    _bookkeeping("prompt_cache_key"),
    _bookkeeping("prompt_cache_retention"),
    _bookkeeping("safety_identifier"),
    _bookkeeping("service_tier"),
    _bookkeeping("store"),
    _bookkeeping("user", nim1=At("user"), dynamo=At("user")),
)

# Other spellings of the above, by path: what NIM 1.x, older vLLM and Dynamo call it.
SPELLINGS: Mapping[str, str] = {
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
