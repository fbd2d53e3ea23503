"""Overrides: a user's corrections of what is known of models."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .profile import ImageLimits, Profile
from .registry import profile_of
from .retrieval_models import (
    EmbeddingModel,
    RerankModel,
    find_embedding_model,
    find_rerank_model,
)


@dataclass(frozen=True)
class ModelOverride:
    """A user's facts about some models; a field that is not given stays as it is known.

    Attributes:
        profile: Fields of ``Profile``.
        hosted: Fields of ``HostedRules``.
        images: Fields of ``ImageLimits``.
        embedding: Fields of ``EmbeddingModel``.
        rerank: Fields of ``RerankModel``.
    """

    profile: Mapping[str, Any] = field(default_factory=dict)
    hosted: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    embedding: Mapping[str, Any] = field(default_factory=dict)
    rerank: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelFacts:
    """The known facts about models: the rows of this package, corrected by a user's overrides.

    Attributes:
        overrides: By model id, or a glob of ids such as ``meta/llama-3.2-*``, in any case. Of
            several that match, later ones win.
    """

    overrides: Mapping[str, ModelOverride] = field(default_factory=dict)

    def profile(self, model: str, base: str | None = None) -> Profile:
        """Return what a model can do.

        Args:
            model: The NIM's id.
            base: Of a LoRA adapter, the id of its base model: its facts are the adapter's, too.
        """
        profile = profile_of(base or model)
        for override in (self._matching(base) if base else []) + self._matching(model):
            images = profile.images
            if override.images:
                images = replace(images or ImageLimits(), **override.images)
            profile = replace(
                profile,
                hosted=replace(profile.hosted, **override.hosted),
                images=images,
                **override.profile,
            )
        return profile

    def embedding_model(self, model: str) -> EmbeddingModel | None:
        """Return what is known of an embedding model; None for nothing."""
        known = find_embedding_model(model)
        for override in self._matching(model):
            if override.embedding:
                known = (known or EmbeddingModel(0, 0, None))._replace(**override.embedding)
        return known

    def rerank_model(self, model: str) -> RerankModel | None:
        """Return what is known of a rerank model; None for nothing."""
        known = find_rerank_model(model)
        for override in self._matching(model):
            if override.rerank:
                known = (known or RerankModel())._replace(**override.rerank)
        return known

    def _matching(self, model: str) -> list[ModelOverride]:
        name = model.lower()
        return [
            override
            for pattern, override in self.overrides.items()
            if fnmatch.fnmatchcase(name, pattern.lower())
        ]
