"""The stack's registry and the NIMs' models: registration, discovery, refresh."""

import asyncio
import logging
from typing import Any

from . import stack
from .base import NIMProvider
from .nim import errors
from .nim.discovery.models import Kind, ModelEntry, kind_of
from .nim.endpoint import Endpoint
from .nim.retrieval.embedders import EMBEDDERS
from .nim.retrieval.embeddings import split_suffix
from .nim.targets import find_target, named

logger = logging.getLogger(__name__)


class ModelMethods(NIMProvider):
    """What the stack asks a provider about its models."""

    async def register_model(self, model: Any) -> Any:
        """Accept a model, with what is known of it added to its metadata.

        One that no NIM serves is refused where a client registers it. In run.yaml it is only
        reported, because it must not keep the stack from starting, and neither must a NIM that
        is down.

        Returns:
            The model as it is to be kept.

        Raises:
            ModelNotFoundError: No NIM serves it.
        """
        wanted = model.provider_resource_id or model.identifier
        if Kind(model.model_type) is Kind.EMBEDDING and not self._is_listed_now(wanted):
            wanted, _ = split_suffix(wanted)  # -query or -passage: the NIM's id is without it
        problem = await self._problem(wanted, Kind(model.model_type))
        if problem is not None:
            # OGX lets each registration switch the check off.
            wanted_check = getattr(model, "model_validation", None) is not False
            if stack.in_request() and wanted_check and self.config.model_validation:
                raise problem
            logger.warning("Model %s is registered, but cannot be used now: %s", wanted, problem)
        self._complete(model, wanted)
        return model

    async def unregister_model(self, model_id: str) -> None:
        """Forget a model: there is nothing of it here."""

    async def should_refresh_models(self) -> bool:
        """Tell the stack whether to ask for the models again: also when not all are known yet."""
        known = all(endpoint.catalogue.known() is not None for endpoint in self.endpoints)
        return self.config.refresh_models or not known

    async def list_models(self) -> list[Any] | None:
        """List the NIMs' models for the stack's registry, or for the key of the request.

        Returns:
            Those of the kinds that the installed stack has. None if no NIM says, so that the
            stack keeps what it knows.
        """
        key = self.request_key()
        listed = await asyncio.gather(*(self._listed(one, key) for one in self.endpoints))
        if all(entries is None for entries in listed):
            return None
        by_id: dict[str, ModelEntry] = {}
        for entries in listed:
            for entry in entries or ():
                by_id.setdefault(entry.id, entry)  # as requests do: the first NIM that has it
        allowed = self.config.allowed_models
        return [
            self._as_model(entry)
            for entry in by_id.values()
            if entry.kind in stack.KINDS and (allowed is None or entry.id in allowed)
        ]

    async def _listed(self, endpoint: Endpoint, key: str | None) -> list[ModelEntry] | None:
        """One NIM's models; what was known of it if it does not answer."""
        try:
            # A request with a key of its own may come often; the registry asks now and then.
            return await endpoint.catalogue.models(key, fresh=key is None)
        except errors.NIMError as error:
            logger.warning("The models are not known yet: %s", error)
            return endpoint.catalogue.known(key)

    async def _problem(self, wanted: str, kind: Kind) -> errors.ModelNotFoundError | None:
        """Say why a model cannot be used, as far as that can be told now."""
        if kind is Kind.RERANK and (
            wanted in self.config.rerank_model_to_url
            or any(endpoint.is_hosted for endpoint in self.endpoints)
        ):
            return None  # these are not listed where the other models are
        key = self.request_key()
        try:
            endpoint, model = await find_target(self.endpoints, wanted, key)
            served = {entry.id for entry in await endpoint.catalogue.models(key)}
        except errors.ModelNotFoundError as error:
            return error
        except errors.NIMError as error:
            logger.warning("Whether model %s is served is not known yet: %s", wanted, error)
            return None
        if model in served:
            return None
        return errors.ModelNotFoundError(
            f"The NIM does not serve {wanted!r}. It serves: {named(served)}. Register one of "
            "these, or set model_validation: false in run.yaml.",
            model=wanted,
            endpoint=endpoint.url,
        )

    def _complete(self, model: Any, wanted: str) -> None:
        """Add what is known and the user has not said."""
        for entry in self._known(wanted):
            for name, value in _metadata(entry).items():
                model.metadata.setdefault(name, value)
        if Kind(model.model_type) is not kind_of(wanted):
            logger.warning(
                "Model %s is registered as %s, but its name is that of a model for %s.",
                wanted,
                Kind(model.model_type),
                kind_of(wanted),
            )

    def _is_listed_now(self, wanted: str) -> bool:
        return any(
            entry.id == wanted for one in self.endpoints for entry in one.catalogue.known() or ()
        )

    def _known(self, wanted: str) -> list[ModelEntry]:
        listed = (entry for one in self.endpoints for entry in one.catalogue.known() or ())
        return [entry for entry in listed if entry.id == wanted] or [
            ModelEntry(wanted, kind_of(wanted))
        ]

    def _as_model(self, entry: ModelEntry) -> Any:
        return stack.Model(
            identifier=entry.id,
            provider_resource_id=entry.id,
            provider_id=getattr(self, "__provider_id__", "nvidia"),
            model_type=stack.ModelType(entry.kind.value),
            metadata=_metadata(entry),
        )


def _metadata(entry: ModelEntry) -> dict[str, Any]:
    """What the stack's registry keeps of a model."""
    metadata: dict[str, Any] = {}
    if entry.context_length:
        metadata["context_length"] = entry.context_length
    if entry.parent:
        metadata["base_model"] = entry.parent
    if embedder := EMBEDDERS.get(entry.id):
        metadata["embedding_dimension"] = embedder.dimension
        metadata.setdefault("context_length", embedder.max_tokens)
    return metadata
