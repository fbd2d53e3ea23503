"""Which NIM answers: a pure function over what an endpoint says to a few harmless questions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..dialect import Dialect, is_hosted

MODELS = "/v1/models"
VERSION = "/v1/version"
HEALTH = "/health"
OPENAPI = "/openapi.json"

# The hosted catalogue gives every model this one time of creation, in 1993 (observed 2026-10).
_BEFORE_ANY_MODEL = 1_400_000_000


@dataclass(frozen=True)
class Answer:
    """What an endpoint said to one question.

    Attributes:
        status: HTTP status.
        body: The decoded JSON body, None if it was not JSON.
    """

    status: int
    body: Any = None

    @property
    def ok(self) -> bool:
        """Whether the question was answered."""
        return self.status == 200


@dataclass(frozen=True)
class Finding:
    """What an endpoint was found to be.

    Attributes:
        dialect: How it wants its requests.
        reason: What it said that shows it, for people.
        release: The release that a NIM container names, such as ``1.8.4``.
    """

    dialect: Dialect
    reason: str
    release: str | None = None


def known_by_address(endpoint: str) -> Finding | None:
    """Tell NVIDIA's hosted catalogue by its host, without a question."""
    if is_hosted(endpoint):
        return Finding(Dialect.HOSTED, "its address is NVIDIA's hosted catalogue")
    return None


def detect(answers: Mapping[str, Answer]) -> Finding | str:
    """Decide from the answers so far, or say what to ask next.

    The order is such that the first answer settles most cases, and that a gateway which serves
    the inference routes alone comes out as ``generic``.

    Args:
        answers: By path: ``MODELS``, ``VERSION``, ``HEALTH`` and ``OPENAPI``, all below the root.

    Returns:
        The finding, or the path of the next question.
    """
    if MODELS not in answers:
        return MODELS
    models = _models(answers[MODELS])
    if _is_catalogue(models):
        return Finding(Dialect.HOSTED, "its models are listed as the hosted catalogue lists them")
    owners = {str(model.get("owned_by")) for model in models}
    if owners == {"nvidia"} and not any(model.get("root") for model in models):
        if HEALTH not in answers:
            return HEALTH
        if _is_dynamo_health(answers[HEALTH]):
            return Finding(Dialect.DYNAMO, "its /health lists the endpoints of a Dynamo cluster")
    if VERSION not in answers:
        return VERSION
    release = _release(answers[VERSION])
    if "system" in owners and any("permission" in model for model in models):
        return Finding(Dialect.NIM1, "its models are owned by `system`, as NIM 1.x says", release)
    for owner, dialect in (("vllm", Dialect.NIM2_VLLM), ("sglang", Dialect.NIM2_SGLANG)):
        if owner in owners:
            what = f"NIM {release}" if release else "the engine alone"
            return Finding(dialect, f"its models are owned by `{owner}`: {what}", release)
    return _by_schema(answers, release)


def _by_schema(answers: Mapping[str, Answer], release: str | None) -> Finding | str:
    if OPENAPI not in answers:
        return OPENAPI
    document = answers[OPENAPI].body if answers[OPENAPI].ok else None
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
    models = _models(answers[MODELS])
    if release and models and not any("owned_by" in model for model in models):
        reason = "it lists its models by their ids alone and knows no chats, as retriever NIMs do"
        return Finding(Dialect.GENERIC, reason, release)
    if release and release.split(".")[0] == "1":
        return Finding(Dialect.NIM1, f"its /v1/version says release {release}", release)
    if release:
        return Finding(Dialect.NIM2_VLLM, f"its /v1/version says release {release}", release)
    return Finding(Dialect.GENERIC, "it says nothing that only a NIM says")


def _models(answer: Answer) -> list[dict[str, Any]]:
    listed = answer.body.get("data") if answer.ok and isinstance(answer.body, dict) else None
    if not isinstance(listed, list):
        return []
    return [model for model in listed if isinstance(model, dict)]


def _is_catalogue(models: list[dict[str, Any]]) -> bool:
    moment = models[0].get("created") if models else None
    if not isinstance(moment, int) or not 0 < moment < _BEFORE_ANY_MODEL:
        return False
    if any(model.get("created") != moment for model in models):
        return False
    return all(str(model.get("id")).split("/")[0] == model.get("owned_by") for model in models)


def _is_dynamo_health(answer: Answer) -> bool:
    return (
        answer.ok
        and isinstance(answer.body, dict)
        and bool({"endpoints", "instances"} & answer.body.keys())
    )


def _release(answer: Answer) -> str | None:
    release = answer.body.get("release") if isinstance(answer.body, dict) else None
    return str(release) if answer.ok and release else None


def _chat_fields(document: dict[str, Any]) -> set[str]:
    """Names of the fields of a chat request in an OpenAPI document."""
    components = document.get("components")
    schemas = components.get("schemas") if isinstance(components, dict) else None
    found: set[str] = set()
    for name, schema in (schemas or {}).items() if isinstance(schemas, dict) else ():
        if "chat" in name.lower() and "request" in name.lower() and isinstance(schema, dict):
            properties = schema.get("properties")
            found |= properties.keys() if isinstance(properties, dict) else set()
    return found
