"""The management routes: health, version, metadata, license."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .dialect import Dialect
from .openapi import document

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
        "endpoints": ["dyn://emulated.backend.generate"] if models else [],
        "instances": [
            {
                "component": "backend",
                "endpoint": "generate",
                "namespace": "emulated",
                "instance_id": 1,
                "transport": {"tcp": "127.0.0.1:9999/1/emulated/backend/generate"},
                "device_type": "cuda",
                "request_plane_codec": "msgpack",
            }
        ]
        if models
        else [],
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
    "dynamo_live": lambda dialect, models: {"status": "live", "message": "Service is live"},
    "openapi": lambda dialect, models: document(dialect),
}
"""Bodies of the routes that a dialect lists; None is a response without a body.

They need no key, as on a real NIM. The keys of 2.x bodies are not published; the shared NIM
SDK's are used. Of the bodies of retriever NIMs, those of ready (2.x) and live (1.x) are
published; the others are by analogy.
"""
