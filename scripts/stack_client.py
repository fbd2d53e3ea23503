"""The client that belongs to the installed server: Llama Stack's, or OGX's."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A server and its client.

    Attributes:
        title: The server's name for people.
        server: The server's distribution.
        client: The client's distribution.
        module: The client's module.
        name: The client's class.
    """

    title: str
    server: str
    client: str
    module: str
    name: str


LLAMA_STACK = Kind(
    "Llama Stack", "llama-stack", "llama-stack-client", "llama_stack_client", "LlamaStackClient"
)
OGX = Kind("OGX", "ogx", "ogx-client", "ogx_client", "OgxClient")


def installed_kind() -> Kind:
    """Tell what is installed here."""
    return OGX if importlib.util.find_spec(OGX.module) else LLAMA_STACK


@contextmanager
def connected(url: str, seconds: float | None = None) -> Iterator[Any]:
    """Make a client of a server.

    Args:
        url: Where the server is.
        seconds: How long an answer may take, where the client can be told.
    """
    kind = installed_kind()
    with warnings.catch_warnings():
        # Some releases warn while they are imported, and OGX's client about its own classes.
        warnings.simplefilter("ignore")
        make: Any = getattr(importlib.import_module(kind.module), kind.name)
        # OGX's takes no time limit, and sends a request once.
        patience = {} if kind is OGX or seconds is None else {"timeout": seconds, "max_retries": 0}
        client = make(base_url=url, **patience)
        try:
            yield client
        finally:
            # From 1.1 on, OgxClient.close() calls what is not there.
            getattr(getattr(client, "api_client", None), "rest_client", client).close()


def is_native(client: Any) -> bool:
    """Tell a client of a release up to 0.2.24: it has the native API as well as OpenAI's."""
    return hasattr(getattr(client, "inference", None), "chat_completion")


def listed(client: Any) -> dict[str, str]:
    """Give the kind of each model that the server offers, by the model's name."""
    found = client.models.list()
    return {
        getattr(entry, "identifier", None) or entry.id: _kind(entry)
        for entry in getattr(found, "data", found)
    }


def _kind(entry: Any) -> str:
    kind = getattr(entry, "model_type", None)
    if kind is None:
        more = getattr(entry, "custom_metadata", None) or {}
        kind = more.get("model_type") if isinstance(more, dict) else None
    return str(kind or "llm")
