"""Metadata of the models of several NIMs, for a registry of models."""

import asyncio
import logging
from collections.abc import Container, Iterable, Sequence
from typing import TypedDict

from . import errors
from .endpoint import Endpoint
from .model_facts.model_ids import Kind, ModelEntry, kind_of
from .model_facts.overrides import ModelFacts
from .retrieval.embedding_request import split_suffix
from .routing import find_target, named

logger = logging.getLogger(__name__)


class ModelMetadata(TypedDict, total=False):
    """The facts that a registry keeps of a model, as far as they are known.

    Attributes:
        context_length: Most tokens of prompt and output together.
        base_model: Of a LoRA adapter, the NIM's id of the model it adapts.
        embedding_dimension: Length of an embedding model's vectors.
    """

    context_length: int
    base_model: str
    embedding_dimension: int


async def list_models(
    endpoints: Sequence[Endpoint],
    key: str | None,
    *,
    configured: Iterable[str] = (),
    configured_rerank: Iterable[str] = (),
) -> dict[str, ModelEntry] | None:
    """List the models of all endpoints by id; the first endpoint that has a model serves it.

    Args:
        endpoints: In the order of the configuration.
        key: The request's own key, if it brought one.
        configured: Ids that the configuration names: they stand in for listings while no
            endpoint has listed its models.
        configured_rerank: Ids of rerank models that no endpoint need list.

    Returns:
        None if no endpoint has listed its models yet, and the configuration names none.
    """
    listings = await asyncio.gather(*(_listed(one, key) for one in endpoints))
    silent = all(entries is None for entries in listings)
    by_id: dict[str, ModelEntry] = {}
    for entries in listings:
        for entry in entries or ():
            by_id.setdefault(entry.id, entry)
    if silent:
        by_id = {name: ModelEntry(name, kind_of(name)) for name in configured}
    for name in configured_rerank:
        by_id.setdefault(name, ModelEntry(name, Kind.RERANK))
    return None if silent and not by_id else by_id


async def _listed(endpoint: Endpoint, key: str | None) -> list[ModelEntry] | None:
    """List one endpoint's models; what was known before if it does not answer."""
    try:
        # A request with a key of its own may come often; the registry asks now and then.
        return await endpoint.catalogue.models(key, fresh=key is None)
    except errors.NIMError as error:
        logger.warning("The models are not known yet: %s", error)
        return endpoint.catalogue.known(key)


def listed_name(endpoints: Sequence[Endpoint], name: str, kind: Kind) -> str:
    """Return the NIM's id for a name to register: without ``-query`` or ``-passage``."""
    if kind is not Kind.EMBEDDING or _known(endpoints, name) is not None:
        return name
    return split_suffix(name)[0]


async def why_not_served(
    endpoints: Sequence[Endpoint],
    model_id: str,
    kind: Kind,
    key: str | None,
    *,
    with_own_url: Container[str],
) -> errors.NIMError | None:
    """Return why a model cannot be used, as far as that is known now.

    Args:
        endpoints: In the order of the configuration.
        model_id: The NIM's id, or another name of the model.
        kind: What it is registered as.
        key: The request's own key, if it brought one.
        with_own_url: The rerank models that have an address of their own.
    """
    if kind is Kind.RERANK and (
        model_id in with_own_url or any(endpoint.is_hosted for endpoint in endpoints)
    ):
        return None  # these are not listed where the other models are
    try:
        endpoint, model = await find_target(endpoints, model_id, key)
        served = {entry.id for entry in await endpoint.catalogue.models(key)}
    except errors.ModelNotFoundError as error:
        return error
    except errors.NIMError as error:
        logger.warning("Whether model %s is served is not known yet: %s", model_id, error)
        return None
    if model in served:
        return None
    return errors.make(
        "model_not_served",
        f"The NIM does not serve {model_id!r}. It serves: {named(served)}.",
        model=model_id,
        endpoint=endpoint.url,
    )


def known_metadata(endpoints: Sequence[Endpoint], model_id: str) -> ModelMetadata:
    """Return what is known of a model without asking a NIM."""
    entry = _known(endpoints, model_id) or ModelEntry(model_id, kind_of(model_id))
    return metadata_of(entry, endpoints[0].settings.facts)


def metadata_of(entry: ModelEntry, facts: ModelFacts) -> ModelMetadata:
    """Return what a registry keeps of a model."""
    metadata: ModelMetadata = {}
    if entry.context_length:
        metadata["context_length"] = entry.context_length
    if entry.parent:
        metadata["base_model"] = entry.parent
    if known := facts.embedding_model(entry.id):
        if known.dimension:
            metadata["embedding_dimension"] = known.dimension
        if known.max_tokens:
            metadata.setdefault("context_length", known.max_tokens)
    return metadata


def _known(endpoints: Sequence[Endpoint], model_id: str) -> ModelEntry | None:
    listed = (entry for one in endpoints for entry in one.catalogue.known() or ())
    return next((entry for entry in listed if entry.id == model_id), None)
