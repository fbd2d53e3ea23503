"""The OpenAPI document of a dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from . import response_schemas
from .dialect import Dialect
from .request_models import ChatRequest, CompletionRequest
from .retrieval.request_models import (
    EmbeddingRequest,
    EngineEmbeddingRequest,
    EngineRerankRequest,
    RankingRequest,
)

_Json = dict[str, Any]
_REFERENCE = "#/components/schemas/{model}"


def document(dialect: Dialect) -> _Json:
    """Return an OpenAPI document with all routes of a dialect."""
    schemas: _Json = {}
    paths: _Json = {path: {"get": _operation({})} for path in dialect.routes}
    paths["/v1/models"] = {"get": _operation(response_schemas.MODELS)}
    for path, name, model, fields, response in _posts(dialect):
        schemas[name] = _schema(dialect, model, fields, schemas)
        content = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=name)}}}
        streams = "stream" in fields
        paths[path] = {
            "post": {
                **_operation(response, streams=streams),
                "requestBody": {"content": content, "required": True},
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": dialect.title, "version": dialect.release},
        "paths": paths,
        "components": {"schemas": schemas},
    }


_Post = tuple[str, str, type[BaseModel], frozenset[str], _Json]


def _posts(dialect: Dialect) -> Iterator[_Post]:
    """Give path, name of the request, its model, its fields, and the response's schema."""
    chat, completion = dialect.chat_fields or frozenset(), dialect.completion_fields or frozenset()
    # These stand there where there is no such route, too, with nothing in them.
    yield (
        *("/v1/chat/completions", "ChatCompletionRequest", ChatRequest),
        *(chat, response_schemas.CHAT),
    )
    yield (
        *("/v1/completions", "CompletionRequest", CompletionRequest),
        *(completion, response_schemas.COMPLETION),
    )
    for path, service in dialect.services.items():
        model = _REQUESTS[service]
        ranks = "input" not in model.model_fields
        fields = frozenset(model.model_fields) if ranks else dialect.embedding_fields
        yield path, model.__name__, model, fields, response_schemas.OF_SERVICE[service]


_REQUESTS: dict[str, type[BaseModel]] = {
    "embeddings": EmbeddingRequest,
    "engine_embeddings": EngineEmbeddingRequest,
    "dynamo_embeddings": EngineEmbeddingRequest,
    "ranking": RankingRequest,
    "hosted_ranking": RankingRequest,
    "legacy_ranking": RankingRequest,
    "engine_rerank": EngineRerankRequest,
}


def _operation(response: _Json, *, streams: bool = False) -> _Json:
    content: _Json = {"application/json": {"schema": response}} if response else {}
    if streams:
        # Without a schema, as in vLLM's document: it would be read as that of each event.
        content["text/event-stream"] = {}
    found: _Json = {"description": "Successful Response"}
    refused: _Json = {"description": "The request was refused"}
    return {"responses": {"200": found | ({"content": content} if content else {}), "4XX": refused}}


def _schema(
    dialect: Dialect, model: type[BaseModel], fields: frozenset[str], schemas: _Json
) -> _Json:
    """Return the schema of a request; put what it refers to beside it.

    Fields that the emulator accepts without a look at them have the empty schema.
    """
    full = model.model_json_schema(ref_template=_REFERENCE)
    known, parts = full["properties"], full.get("$defs", {})
    properties = {name: known.get(name, {}) for name in sorted(fields)}
    if "nvext" in fields and dialect.nvext_fields is not None:
        nvext = parts["Nvext"]
        nvext["additionalProperties"] = not dialect.refuses_unknown
        nvext["properties"] = {
            name: nvext["properties"].get(name, {}) for name in sorted(dialect.nvext_fields)
        }
    wanted = [str(properties)]
    while wanted:
        text = wanted.pop()
        for name in parts:
            if name not in schemas and f"'{_REFERENCE.format(model=name)}'" in text:
                schemas[name] = parts[name]
                wanted.append(str(parts[name]))
    required = {name for name in full["required"] if name in fields}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(required | {"model"} if dialect.model_required else required),
        "additionalProperties": not dialect.refuses_unknown,
    }
