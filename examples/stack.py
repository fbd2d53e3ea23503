"""The server's address and its names for models, for all examples.

LLAMA_STACK_URL    where the server is; http://127.0.0.1:8321, as `make serve` starts it, unless set
LLAMA_STACK_MODEL  the model to chat with instead of the example's own
"""

from __future__ import annotations

import os
from functools import cache

from openai import NotFoundError, OpenAI

URL = os.environ.get("LLAMA_STACK_URL", "http://127.0.0.1:8321").rstrip("/")


def openai_client() -> OpenAI:
    """OpenAI's client for the server, which needs no key of its own."""
    return OpenAI(base_url=address(), api_key="none")


def address() -> str:
    """Where the server speaks OpenAI's API: below /v1, in Llama Stack 0.2.x a level deeper."""
    return _found()[0]


def offered(model: str) -> str | None:
    """The server's name for a model: it may put its provider's id before the NIM's name."""
    names = _found()[1]
    return next((name for name in names if name == model or name.endswith(f"/{model}")), None)


def named(model: str) -> str:
    """The same for a model that must be there."""
    if name := offered(model):
        return name
    message = f"The server does not offer {model}; it has {', '.join(_found()[1]) or 'no models'}."
    raise SystemExit(message)


def chat_model(model: str = "meta/llama-3.1-8b-instruct") -> str:
    """The server's name for the model to chat with, or for what LLAMA_STACK_MODEL says."""
    return named(os.environ.get("LLAMA_STACK_MODEL", model))


@cache
def _found() -> tuple[str, list[str]]:
    """The address of OpenAI's API, and the models that it offers."""
    for path in ("/v1/openai/v1", "/v1"):
        with OpenAI(base_url=f"{URL}{path}", api_key="none") as client:
            try:
                return f"{URL}{path}", [entry.id for entry in client.models.list()]
            except NotFoundError:
                continue
    message = f"{URL} speaks no OpenAI API: is a Llama Stack server there?"
    raise SystemExit(message)
