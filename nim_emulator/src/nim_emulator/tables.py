"""Markdown tables of the dialects and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .dialect import Dialect, ErrorForm
from .dialects import DIALECTS
from .retrieval_models import EMBEDDERS, EMBEDDING_TYPES, RERANKERS

_ERRORS: dict[ErrorForm, str] = {
    "flat": '`{"object": "error", …}`',
    "sglang": '`{"object": "error", …}`',
    "nested": '`{"error": {…}}`',
    "openai": '`{"error": {…}}`',
    "reason": '`{"message", "type", "code"}`',
    "text": '`{"error": "text"}`',
    "detail": '422 `{"detail": […]}`',
    "problem": "422 problem details",
    "fastapi": '`{"detail": "text"}` or 422 `{"detail": […]}`',
    "mixed": '`{"error": "text"}` or 422 `{"detail": […]}`',
}


def dialect_table() -> str:
    """Return a Markdown table of all dialects."""
    head = (
        "`--dialect`",
        "What it is",
        "Unknown fields",
        "Constraints",
        "Errors",
        "Models owned by",
        "Release",
    )
    return _table(
        head,
        (
            (
                ", ".join(f"`{name}`" for name in (dialect.name, *dialect.aliases)),
                dialect.summary,
                _by_model(dialect, "refused" if dialect.refuses_unknown else "ignored"),
                _constraints(dialect),
                _by_model(dialect, _ERRORS[dialect.errors]),
                _owner(dialect),
                f"`{dialect.release}`" if dialect.release else "none",
            )
            for dialect in DIALECTS.values()
        ),
    )


def model_table(name: str) -> str:
    """Return a Markdown table of the rules that a dialect has per model."""
    base = DIALECTS[name]
    common = frozenset.intersection(
        *(rules.chat_fields for _, rules in base.variants if rules.chat_fields is not None)
    )
    head = (
        "Models",
        "Fields beside the common ones",
        "Roles",
        "Lists as content",
        "Most `max_tokens` (default)",
        "Unknown fields",
        "Errors",
    )
    table = _table(
        head,
        (
            (
                f"`{pattern}`",
                _code(rules.chat_fields - common)
                if rules.chat_fields is not None
                else "completions only",
                _code(rules.roles or ()),
                _code(rules.list_content_roles or ()),
                f"{rules.limits['max_tokens'].high or 'any'} ({rules.default_max_tokens})",
                "refused" if rules.refuses_unknown else "ignored",
                _ERRORS[rules.errors],
            )
            for pattern, rules in base.variants
            if rules.chat_fields is not None or rules.completion_fields is not None
        ),
    )
    return f"Common fields: {_code(common)}.\n\n{table}"


def special_table(name: str) -> str:
    """Return a Markdown table of the models that cannot be used."""
    dialect = DIALECTS[name]
    rows = [
        (f"`{model}`", str(reply.status), reply.note) for model, reply in dialect.specials.items()
    ]
    rows += [(f"`{model}`", "202", "the response has to be fetched") for model in dialect.pending]
    return _table(("Model", "Status", "What it stands for"), rows)


def embedder_table() -> str:
    """Return a Markdown table of the embedding models."""
    head = (
        *("Model", "Dimension", "`dimensions`", "Tokens", "`input_type`"),
        *("base64", "`embedding_type`", "Images"),
    )
    return _table(
        head,
        (
            (
                f"`{model}`",
                str(facts.dimension),
                ", ".join(map(str, facts.steps)) if facts.dynamic else "none",
                str(facts.max_tokens),
                "required" if facts.asymmetric else "no effect",
                _yes(facts.base64),
                "all" if facts.types == EMBEDDING_TYPES else _code(facts.types),
                _yes(facts.images),
            )
            for model, facts in EMBEDDERS.items()
        ),
    )


def reranker_table() -> str:
    """Return a Markdown table of the rerank models."""
    return _table(
        ("Model", "Passages", "`truncate` by default", "Tokens", "Images"),
        (
            (
                f"`{model}`",
                f"1 to {facts.passages}",
                f"`{facts.truncate}`",
                str(facts.max_tokens),
                _yes(facts.images),
            )
            for model, facts in RERANKERS.items()
        ),
    )


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _owner(dialect: Dialect) -> str:
    if "owned_by" not in dialect.model_entry:
        return "none"
    return "part of the id before `/`" if dialect.owned_by is None else f"`{dialect.owned_by}`"


def _by_model(dialect: Dialect, text: str) -> str:
    return "per model" if dialect.variants else text


def _constraints(dialect: Dialect) -> str:
    fields = dialect.chat_fields or frozenset()
    nvext = dialect.nvext_fields or frozenset()
    known = [
        ("`nvext.guided_*`", "guided_json" in nvext),
        ("`guided_*`", "guided_json" in fields),
        ("`structured_outputs`", "structured_outputs" in fields),
        ("`regex`, `ebnf`", "ebnf" in fields),
        ("`response_format`", "json_schema" in dialect.response_formats),
    ]
    return ", ".join(text for text, there in known if there) or "none"


def _code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in sorted(words)) or "none"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
