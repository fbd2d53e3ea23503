"""The models and adapters that one emulated NIM serves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .dialect import Dialect
from .generation_request import GenerationRequest, digest
from .retrieval_models import Kind, kind_of, longest
from .settings import Settings


class ModelList:
    """The models of a NIM.

    Attributes:
        listed: Ids of the model list, in its order.
        ids: Ids of all models that answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        dialect = settings.generation
        self.listed = dialect.listed((*settings.served, *settings.adapters))
        self.ids = (*self.listed, *dialect.unlisted)

    @property
    def llms(self) -> list[str]:
        """Ids of the model list that are neither embedding nor rerank models."""
        return [model for model in self.listed if self.kind(model) == "llm"]

    def base_model(self, model: str) -> str:
        """Return the model that an adapter belongs to, or the model itself."""
        return self._settings.adapters.get(model, model)

    def kind(self, model: object) -> Kind:
        """Return the kind of a model; a request that names none means the first."""
        return kind_of(self.base_model(model if isinstance(model, str) else self.ids[0]))

    def context_length(self, model: str) -> int:
        """Return the most tokens a model takes.

        The limit that was asked for holds for chats; an embedding or rerank model never takes
        more than what is known of it.
        """
        known, asked = longest(self.base_model(model)), self._settings.context_limit
        if known is None:
            return self._settings.context_length
        return known if asked is None else min(known, asked)

    def entries(self, now: int) -> list[dict[str, Any]]:
        """Return the model list; ``now`` is the Unix time in seconds."""
        settings, dialect = self._settings, self._settings.generation
        moments = {"start": settings.created, "now": now}
        created = moments.get(str(dialect.created)) or int(dialect.created)
        return [
            _model_entry(
                dialect, model, created, self.context_length(model), settings.adapters.get(model)
            )
            for model in self.listed
        ]

    def with_adapter(self, request: GenerationRequest) -> GenerationRequest:
        """Let an adapter answer, not its base model."""
        if request.model not in self._settings.adapters:
            return request
        prompts = (
            replace(prompt, key=digest(request.model, prompt.key), adapter=request.model)
            for prompt in request.prompts
        )
        return replace(request, prompts=tuple(prompts))


def _model_entry(
    dialect: Dialect, model: str, created: int, context: int, base: str | None = None
) -> dict[str, Any]:
    """Return one entry of ``GET /v1/models``; ``base`` is the model of an adapter."""
    owner = model.partition("/")[0] if dialect.owned_by is None else dialect.owned_by
    fields = {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": owner,
        "root": model if base is None else (dialect.adapter_root or "{name}").format(name=model),
        "parent": base,
        "max_model_len": context if base is None else None,
        "context_window": context,
        "permission": [
            {
                "id": f"modelperm-{digest(model, created)[: dialect.shapes.id_digits]}",
                "object": "model_permission",
                "created": created,
                "allow_create_engine": False,
                "allow_sampling": True,
                "allow_logprobs": True,
                "allow_search_indices": False,
                "allow_view": True,
                "allow_fine_tuning": False,
                "organization": "*",
                "group": None,
                "is_blocking": False,
            }
        ],
    }
    return {name: fields[name] for name in dialect.model_entry}
