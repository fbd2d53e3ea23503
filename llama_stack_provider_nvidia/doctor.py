"""What an endpoint is, step by step, for people and for scripts."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from .config import NVIDIAConfig
from .endpoints import make_endpoints
from .nim.discovery.models import Kind, ModelEntry
from .nim.endpoint import Endpoint
from .nim.errors import NIMError
from .nim.requests.profiles import profile_of

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    """The outcome of one step.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be.
        found: What was seen, or what is wrong and what to do.
    """

    name: str
    ok: bool
    found: str

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self)


def endpoints_of(config: NVIDIAConfig) -> list[Endpoint]:
    """Make the endpoints that a configuration names, for a look and no retries."""
    quick = {"timeout": 10.0, "connect_timeout": 3.0, "max_retries": 0}
    return make_endpoints(config.model_copy(update=quick))


async def examine(endpoint: Endpoint) -> AsyncIterator[Check]:
    """Look at an endpoint step by step; the steps after a failure are made all the same.

    Yields:
        Each outcome as soon as it is known.
    """
    yield Check("address", True, endpoint.url)
    has_key = endpoint.has_key
    needs = endpoint.is_hosted and not has_key
    found = "missing: set NVIDIA_API_KEY" if needs else "set" if has_key else "none, none needed"
    yield Check("key", not needs, found)
    health = await endpoint.health(_PATIENCE_SECONDS)
    yield Check("ready", health.ready, health.message)
    finding = await endpoint.finding()
    release = f", release {finding.release}" if finding.release else ""
    yield Check("dialect", True, f"{finding.dialect}{release}: {finding.reason}")
    try:
        models = await endpoint.catalogue.models()
    except NIMError as error:
        yield Check("models", False, str(error))
    else:
        kinds = {kind: sum(model.kind is kind for model in models) for kind in Kind}
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        yield Check("models", bool(models), counted or "none")


def described(model: ModelEntry) -> tuple[str, ...]:
    """Give a model's id, kind, family and context length, as text."""
    context = str(model.context_length) if model.context_length else ""
    base = f"adapter of {model.parent}" if model.parent else profile_of(model.id).family
    return model.id, str(model.kind), base, context
