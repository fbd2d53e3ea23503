"""Choice of the model that the demo calls."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.child_process import ServerError
from scripts.launch import Nim
from scripts.stack_client import listed

DEFAULT_MODEL = "meta/llama-3.1-8b-instruct"


def served_models(nim: Nim, environ: Mapping[str, str]) -> list[str]:
    """The ids that the NIM itself lists, in its order.

    Raises:
        ServerError: The NIM does not answer; the text says what it said.
    """
    base = nim.url.rstrip("/")
    address = f"{base}/models" if base.endswith("/v1") else f"{base}/v1/models"
    request = urllib.request.Request(address)
    if key := environ.get("NVIDIA_API_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [entry["id"] for entry in json.load(answer)["data"]]
    except (OSError, ValueError, KeyError) as error:
        message = f"The NIM at {nim.url} does not list its models: {error}"
        raise ServerError(message) from error


def choose(named: str | None, served: Sequence[str]) -> str:
    """The model to call: the one named, else the default if served, else the likeliest to chat."""
    if named:
        return named
    if DEFAULT_MODEL in served:
        return DEFAULT_MODEL
    likely = [name for name in served if "instruct" in name or "chat" in name]
    if not (likely or served):
        message = "The NIM lists no models; name one with NVIDIA_MODEL."
        raise ServerError(message)
    return (likely or list(served))[0]


def offered_model(client: Any, nim: Nim, environ: Mapping[str, str]) -> str:
    """Choose a model and see to it that the Llama Stack server offers it.

    Returns:
        The name that callers of the server use.

    Raises:
        ServerError: The NIM lists no model, or does not answer.
    """
    chosen = choose(environ.get("NVIDIA_MODEL"), served_models(nim, environ))
    offered = listed(client)
    for name in (chosen, f"nvidia/{chosen}"):
        if name in offered:
            return name
    if not hasattr(client.models, "register"):  # from 0.7 on a server knows them without
        return f"nvidia/{chosen}"
    client.models.register(
        model_id=chosen, provider_id="nvidia", provider_model_id=chosen, model_type="llm"
    )
    return chosen
