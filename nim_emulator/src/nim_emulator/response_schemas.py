"""JSON schemas of responses for ``/openapi.json``: the fields that all dialects have in common."""

from __future__ import annotations

from typing import Any

_Json = dict[str, Any]

_TEXT: _Json = {"type": "string"}
_COUNT: _Json = {"type": "integer", "minimum": 0}
_NUMBERS: _Json = {"type": "array", "items": {"type": "number"}}
_USAGE: _Json = {
    "type": "object",
    "properties": {"prompt_tokens": _COUNT, "total_tokens": _COUNT, "completion_tokens": _COUNT},
    "required": ["prompt_tokens", "total_tokens"],
}


def _object(**properties: _Json) -> _Json:
    """All of these are there; others may be."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: _Json) -> _Json:
    return {"type": "array", "items": items}


def _generated(kind: str, **choice: _Json) -> _Json:
    return _object(
        id=_TEXT,
        object={"const": kind},
        created=_COUNT,
        model=_TEXT,
        choices=_list(_object(index=_COUNT, finish_reason=_TEXT, **choice)),
        usage=_USAGE,
    )


_EMBEDDINGS = _object(
    object={"const": "list"},
    data=_list(_object(index=_COUNT, embedding={"anyOf": [_NUMBERS, _TEXT]})),
    model=_TEXT,
    usage=_USAGE,
)
_RANKING = _object(rankings=_list(_object(index=_COUNT, logit={"type": "number"})))
_RERANK = _object(results=_list(_object(index=_COUNT, relevance_score={"type": "number"})))

CHAT = _generated("chat.completion", message=_object(role={"const": "assistant"}))
COMPLETION = _generated("text_completion", text=_TEXT)
MODELS = _object(object={"const": "list"}, data=_list(_object(id=_TEXT)))
OF_SERVICE: dict[str, _Json] = {
    "embeddings": _EMBEDDINGS,
    "engine_embeddings": _EMBEDDINGS,
    "dynamo_embeddings": _EMBEDDINGS,
    "ranking": _RANKING,
    "hosted_ranking": _RANKING,
    "legacy_ranking": _RANKING,
    "engine_rerank": _RERANK,
}
"""By the names of :data:`~.retrieval.services.SERVICES`."""
