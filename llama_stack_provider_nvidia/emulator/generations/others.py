"""NVIDIA Dynamo's front end, and servers that only know OpenAI's API."""

from __future__ import annotations

from ..dialect import Canned, Dialect, Limit, names
from ..shapes import DYNAMO_SHAPES, GENERIC_SHAPES
from . import fields
from .text import TOO_MANY_TOKENS

DYNAMO_LIMITS = {
    "stop": Limit(low=1, high=32, length=True),
    "n": Limit(low=1, high=128),
    "top_k": Limit(low=-1),
    "min_p": Limit(low=0, high=1),
    "temperature": Limit(low=0, high=2),
    "repetition_penalty": Limit(low=0, high=2, above=True),
}

DYNAMO = Dialect(
    name="dynamo",
    summary="NVIDIA Dynamo's front end: guided_* at the top level, a different nvext",
    chat_fields=fields.CHAT | fields.DYNAMO_SAMPLING | fields.DYNAMO_CHAT,
    completion_fields=fields.COMPLETION | fields.DYNAMO_SAMPLING,
    nvext_fields=fields.DYNAMO_NVEXT,
    refuses_unknown=True,
    limits=DYNAMO_LIMITS,
    roles=names("developer system user assistant tool function"),
    reasoning_efforts=names("none minimal low medium high xhigh max"),
    max_completion_logprobs=5,
    errors="reason",
    too_many_tokens=TOO_MANY_TOKENS,
    unknown_model="Model not found",
    not_found=Canned(status=404),
    max_body=45 * 1024 * 1024,
    media_status=415,
    routes={"/health": "dynamo_health", "/live": "dynamo_live", "/openapi.json": "openapi"},
    title="NVIDIA Dynamo OpenAI Frontend",
    request_id_header="x-dynamo-request-id",
    echoes_request_id=True,
    annotations=True,
    shapes=DYNAMO_SHAPES,
    owned_by="nvidia",
    created="now",
    release="1.0.0",
)

GENERIC = Dialect(
    name="generic",
    summary="any other server with OpenAI's API: standard fields only, the rest ignored",
    chat_fields=fields.CHAT | names("max_completion_tokens reasoning_effort"),
    completion_fields=fields.COMPLETION,
    embedding_fields=fields.EMBEDDING,
    services={"/v1/embeddings": "engine_embeddings"},
    refuses_unknown=False,
    roles=names("developer system user assistant tool function"),
    errors="openai",
    too_many_tokens=TOO_MANY_TOKENS,
    shapes=GENERIC_SHAPES,
    owned_by="organization-owner",
)
