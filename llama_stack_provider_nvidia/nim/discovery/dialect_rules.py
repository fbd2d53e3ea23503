"""Rules that detect an endpoint's dialect by its responses to a few harmless requests."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..dialect import Dialect, is_hosted
from ..json_types import JSONObject
from .finding import Finding

MODELS = "/v1/models"
VERSION = "/v1/version"
HEALTH = "/health"
OPENAPI = "/openapi.json"

# The hosted catalogue gives every model this one time of creation, in 1993 (observed 2026-10).
_BEFORE_ANY_MODEL = 1_400_000_000

# A server without the route says so; every other error status is no answer to the question.
_ABSENT = frozenset((404, 405))


@dataclass(frozen=True)
class ProbeResponse:
    """The response to one question.

    Attributes:
        status: HTTP status.
        body: The decoded JSON body, None if it was not JSON.
    """

    status: int
    body: Any = None

    @property
    def ok(self) -> bool:
        """True if the question was answered."""
        return self.status == 200 and self.body is not None

    @property
    def failed(self) -> bool:
        """True if it says nothing of the endpoint: a gateway's refusal, its page, an overload."""
        return not self.ok and self.status not in _ABSENT


def known_by_address(endpoint: str) -> Finding | None:
    """Return the finding for NVIDIA's hosted catalogue, known by its host without a question."""
    if is_hosted(endpoint):
        return Finding(Dialect.HOSTED, "its address is NVIDIA's hosted catalogue")
    return None


def detect(responses: Mapping[str, ProbeResponse]) -> Finding | str:
    """Return the finding from the responses so far, or what to ask next.

    The order is such that the first response settles most cases, and that a gateway which serves
    the inference routes alone comes out as ``generic``.

    Args:
        responses: By path: ``MODELS``, ``VERSION``, ``HEALTH`` and ``OPENAPI``, all below the root.

    Returns:
        The finding, or the path of the next question.
    """
    step = _detect(responses)
    if isinstance(step, str):
        return step
    guessed = any(response.failed for response in responses.values())
    # A server that lists no model yet may be any, once it has one.
    guessed |= step.dialect is Dialect.GENERIC and not _models(responses[MODELS])
    return dataclasses.replace(step, is_certain=False) if guessed else step


def _detect(responses: Mapping[str, ProbeResponse]) -> Finding | str:
    if MODELS not in responses:
        return MODELS
    models = _models(responses[MODELS])
    if _is_catalogue(models):
        return Finding(Dialect.HOSTED, "its models are listed as the hosted catalogue lists them")
    owners = {str(model.get("owned_by")) for model in models}
    if owners == {"nvidia"} and not any(model.get("root") for model in models):
        if HEALTH not in responses:
            return HEALTH
        if _is_dynamo_health(responses[HEALTH]):
            return Finding(Dialect.DYNAMO, "its /health lists the endpoints of a Dynamo cluster")
    if VERSION not in responses:
        return VERSION
    release = _release(responses[VERSION])
    if "system" in owners and any("permission" in model for model in models):
        return Finding(Dialect.NIM1, "its models are owned by `system`, as NIM 1.x says", release)
    for owner, dialect in (("vllm", Dialect.NIM2_VLLM), ("sglang", Dialect.NIM2_SGLANG)):
        if owner in owners:
            what = f"NIM {release}" if release else "the engine alone"
            return Finding(dialect, f"its models are owned by `{owner}`: {what}", release)
    return _by_schema(responses, release)


def _by_schema(responses: Mapping[str, ProbeResponse], release: str | None) -> Finding | str:
    if OPENAPI not in responses:
        return OPENAPI
    document = responses[OPENAPI].body if responses[OPENAPI].ok else None
    if isinstance(document, dict):
        info = document.get("info")
        if isinstance(info, dict) and "dynamo" in str(info.get("title")).lower():
            return Finding(Dialect.DYNAMO, "its OpenAPI document is Dynamo's", release)
        fields = _chat_fields(document)
        for field, dialect in (
            ("structured_outputs", Dialect.NIM2_VLLM),
            ("nvext", Dialect.NIM1),
            ("ebnf", Dialect.NIM2_SGLANG),
        ):
            if field in fields:
                return Finding(dialect, f"its OpenAPI document knows `{field}`", release)
    models = _models(responses[MODELS])
    if release and models and not any("owned_by" in model for model in models):
        reason = "it lists its models by their ids alone and knows no chats, as retriever NIMs do"
        return Finding(Dialect.GENERIC, reason, release)
    if release and release.split(".")[0] == "1":
        return Finding(Dialect.NIM1, f"its /v1/version says release {release}", release)
    if release:
        return Finding(Dialect.NIM2_VLLM, f"its /v1/version says release {release}", release)
    if refusals := sorted({r.status for r in responses.values() if r.failed}):
        said = ", ".join(map(str, refusals))
        return Finding(Dialect.GENERIC, f"it answers {said} to the questions what it is")
    return Finding(Dialect.GENERIC, "it says nothing that only a NIM says")


def _models(response: ProbeResponse) -> list[JSONObject]:
    listed = response.body.get("data") if response.ok and isinstance(response.body, dict) else None
    if not isinstance(listed, list):
        return []
    return [model for model in listed if isinstance(model, dict)]


def _is_catalogue(models: list[JSONObject]) -> bool:
    moment = models[0].get("created") if models else None
    if not isinstance(moment, int) or not 0 < moment < _BEFORE_ANY_MODEL:
        return False
    if any(model.get("created") != moment for model in models):
        return False
    return all(str(model.get("id")).split("/")[0] == model.get("owned_by") for model in models)


def _is_dynamo_health(response: ProbeResponse) -> bool:
    return (
        response.ok
        and isinstance(response.body, dict)
        and bool({"endpoints", "instances"} & response.body.keys())
    )


def _release(response: ProbeResponse) -> str | None:
    release = response.body.get("release") if isinstance(response.body, dict) else None
    return str(release) if response.ok and release else None


def _chat_fields(document: JSONObject) -> set[str]:
    """Return the names of the fields of a chat request in an OpenAPI document."""
    components = document.get("components")
    schemas = components.get("schemas") if isinstance(components, dict) else None
    found: set[str] = set()
    for name, schema in (schemas or {}).items() if isinstance(schemas, dict) else ():
        if "chat" in name.lower() and "request" in name.lower() and isinstance(schema, dict):
            properties = schema.get("properties")
            found |= properties.keys() if isinstance(properties, dict) else set()
    return found
