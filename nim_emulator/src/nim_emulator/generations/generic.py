"""Servers that only know OpenAI's API."""

from __future__ import annotations

from ..dialect import Dialect, names
from ..shapes import GENERIC_SHAPES
from . import field_groups
from .shared import TOO_MANY_TOKENS

GENERIC = Dialect(
    name="generic",
    summary="any other server with OpenAI's API: standard fields only, the rest ignored",
    chat_fields=field_groups.CHAT | names("max_completion_tokens reasoning_effort"),
    completion_fields=field_groups.COMPLETION,
    embedding_fields=field_groups.EMBEDDING,
    services={"/v1/embeddings": "engine_embeddings"},
    refuses_unknown=False,
    roles=names("developer system user assistant tool function"),
    errors="openai",
    too_many_tokens=TOO_MANY_TOKENS,
    shapes=GENERIC_SHAPES,
    owned_by="organization-owner",
)
