"""The models and adapters that one emulated NIM serves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .job import Job, digest
from .management import model_entry
from .retrieval.table import Kind, kind_of, longest
from .settings import Settings


class Served:
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

    def base(self, model: str) -> str:
        """Return the model that an adapter belongs to, or the model itself."""
        return self._settings.adapters.get(model, model)

    def kind(self, model: object) -> Kind:
        """Tell what a model is for; a request that names none means the first."""
        return kind_of(self.base(model if isinstance(model, str) else self.ids[0]))

    def context(self, model: str) -> int:
        """Return the most tokens a model takes.

        The limit that was asked for holds for chats; an embedding or rerank model never takes
        more than what is known of it.
        """
        known, asked = longest(self.base(model)), self._settings.context_limit
        if known is None:
            return self._settings.context_length
        return known if asked is None else min(known, asked)

    def entries(self, now: int) -> list[dict[str, Any]]:
        """Return the model list; ``now`` is the Unix time in seconds."""
        settings, dialect = self._settings, self._settings.generation
        moments = {"start": settings.created, "now": now}
        created = moments.get(str(dialect.created)) or int(dialect.created)
        return [
            model_entry(dialect, model, created, self.context(model), settings.adapters.get(model))
            for model in self.listed
        ]

    def adapted(self, job: Job) -> Job:
        """Let an adapter answer, not its base model."""
        if job.model not in self._settings.adapters:
            return job
        prompts = (
            replace(prompt, key=digest(job.model, prompt.key), adapter=job.model)
            for prompt in job.prompts
        )
        return replace(job, prompts=tuple(prompts))
