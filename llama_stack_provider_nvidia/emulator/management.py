"""The model list, and the routes beside it and inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .dialect import Dialect
from .job import digest
from .openapi import document


def model_entry(
    dialect: Dialect, model: str, created: int, context: int, base: str | None = None
) -> dict[str, Any]:
    """Return one entry of ``GET /v1/models``; ``base`` is the model of an adapter."""
    owner = model.partition("/")[0] if dialect.owned_by is None else dialect.owned_by
    fields = {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": owner,
        "root": model if base is None else (dialect.adapter_root or "{name}").format(name=model),
        "parent": base,
        "max_model_len": context if base is None else None,
        "permission": [
            {
                "id": f"modelperm-{digest(model, created)[: dialect.shapes.id_digits]}",
                "object": "model_permission",
                "created": created,
                "allow_create_engine": False,
                "allow_sampling": True,
                "allow_logprobs": True,
                "allow_search_indices": False,
                "allow_view": True,
                "allow_fine_tuning": False,
                "organization": "*",
                "group": None,
                "is_blocking": False,
            }
        ],
    }
    return {name: fields[name] for name in dialect.model_entry}


_Body = Callable[[Dialect, Sequence[str]], dict[str, Any] | None]
_LICENSE = {
    "name": "LICENSE",
    "path": "/opt/nim/LICENSE",
    "sha": "",
    "size": 0,
    "url": "",
    "type": "file",
    "content": "This is an emulated NIM: it holds no model.",
}


def _health(word: str) -> _Body:
    return lambda dialect, models: {
        "object": "health.response",
        "message": f"Service is {word}.",
    }


def _said(**fields: Any) -> _Body:
    return lambda dialect, models: {"object": "health.response", **fields}


def _version(dialect: Dialect, models: Sequence[str]) -> dict[str, Any]:
    return {"release": dialect.release, "api": dialect.release}


def _metadata(dialect: Dialect, models: Sequence[str]) -> dict[str, Any]:
    return {
        "assetInfo": [],
        "licenseInfo": _LICENSE,
        "modelInfo": [
            {"shortName": f"{model}:emulated", "modelUrl": f"ngc://nim/{model}:emulated"}
            for model in models
        ],
        "version": dialect.release,
        **dialect.metadata,
    }


def _dynamo_health(dialect: Dialect, models: Sequence[str]) -> dict[str, Any]:
    return {
        "status": "healthy",
        "message": "ok",
        "endpoints": ["dyn://emulated.backend.generate"],
        "instances": [],
    }


BODIES: dict[str, _Body] = {
    "ready": _health("ready"),
    "live": _health("live"),
    "retriever_ready": _said(message="ready", ready=True),
    "retriever_live": _said(message="live", live=True),
    "retriever1_ready": _said(message="Service is ready.", status="ready"),
    "retriever1_live": _said(message="Service is live.", status="live"),
    "version": _version,
    "metadata": _metadata,
    "license": lambda dialect, models: _LICENSE,
    "nothing": lambda dialect, models: None,
    "engine_version": lambda dialect, models: {"version": dialect.release},
    "dynamo_health": _dynamo_health,
    "dynamo_live": lambda dialect, models: {"status": "live", "message": "ok"},
    "openapi": lambda dialect, models: document(dialect),
}
"""Bodies of the routes that a dialect lists; None is an answer without a body.

They need no key, as on a real NIM. The keys of 2.x bodies are not published; the shared NIM
SDK's are used. Of the bodies of retriever NIMs, those of ready (2.x) and live (1.x) are
published; the others are by analogy.
"""
