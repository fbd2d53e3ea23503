"""Methods for the stack's model registry: registration, listing and refresh."""

import logging
from collections.abc import Mapping
from typing import Any

from .. import stack
from ..nim.model_facts.model_ids import Kind, kind_of
from ..nim.registration import (
    known_metadata,
    list_models,
    listed_name,
    metadata_of,
    why_not_served,
)
from .base import NIMProvider

logger = logging.getLogger(__name__)


class ModelRegistryMixin(NIMProvider):
    """Registration, listing and refresh of models."""

    async def register_model(self, model: stack.RegisteredModel) -> stack.RegisteredModel:
        """Accept a model, with what is known of it added to its metadata.

        One that no NIM serves is refused where a client registers it. In run.yaml it is only
        reported, because it must not keep the stack from starting, and neither must a NIM that
        is down.

        Returns:
            The model as it is to be kept.

        Raises:
            ModelNotFoundError: No NIM serves it.
        """
        kind = Kind(model.model_type)
        name = listed_name(self.endpoints, model.provider_resource_id or model.identifier, kind)
        problem = await why_not_served(
            self.endpoints,
            name,
            kind,
            self.request_key(),
            with_own_url=self.config.rerank_model_to_url,
        )
        if problem is not None:
            # OGX lets each registration switch the check off.
            is_checked = getattr(model, "model_validation", None) is not False
            if stack.in_request() and is_checked and self.config.model_validation:
                raise problem
            logger.warning("Model %s is registered, but cannot be used now: %s", name, problem)
        metadata = await self._kept_metadata(model)
        if metadata is None:
            metadata = known_metadata(self.endpoints, name)
        for key, value in metadata.items():
            model.metadata.setdefault(key, value)
        if kind is not kind_of(name):
            logger.warning(
                "Model %s is registered as %s, but its name is that of a model for %s.",
                name,
                kind,
                kind_of(name),
            )
        return model

    async def _kept_metadata(self, model: stack.RegisteredModel) -> Mapping[str, Any] | None:
        """Return the metadata that an equal registration has left in the registry, if any.

        A model of run.yaml is registered at each start. From 0.3 on a server whose registry has
        it with other metadata does not start, and what a NIM reports may differ each time.
        """
        if self.model_store is None:
            return None
        kept = await stack.registered_model(self.model_store, model.identifier)
        if kept is None:
            return None
        known: Mapping[str, Any] = kept.metadata
        given = model.metadata.items()
        is_equal = all(name in known and known[name] == value for name, value in given)
        return known if is_equal else None

    async def unregister_model(self, model_id: str) -> None:
        """Forget a model: nothing is kept here."""

    async def should_refresh_models(self) -> bool:
        """Return whether the stack should list the models again: also while some are unknown."""
        known = all(endpoint.catalogue.known() is not None for endpoint in self.endpoints)
        return self.config.refresh_models or not known

    async def list_models(self) -> list[Any] | None:
        """List the NIMs' models for the stack's registry, or for the key of the request.

        Returns:
            The stack's ``Model`` for each of the kinds that the installed release has: what the
            NIMs list, and the rerank models of the configuration. While no NIM has listed its
            models, those that the configuration names; None if it names none, so that the
            stack keeps what it knows.
        """
        allowed = self.config.allowed_models
        listed = await list_models(
            self.endpoints,
            self.request_key(),
            configured=allowed or (),
            configured_rerank=self.config.rerank_model_to_url,
        )
        if listed is None:
            return None
        facts = self.endpoint.settings.facts
        return [
            stack.model(entry.id, entry.kind, metadata_of(entry, facts), self.provider_id)
            for entry in listed.values()
            if entry.kind in stack.KINDS and (allowed is None or entry.id in allowed)
        ]
