"""The models that a NIM serves, with the facts known or measured of each."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..nim.dialect import Dialect
from ..nim.errors import (
    AuthenticationError,
    InvalidRequestError,
    NIMError,
    PermissionDeniedError,
)
from ..nim.model_facts.model_ids import Kind, ModelEntry, llama_aliases
from ..nim.model_facts.overrides import ModelFacts
from ..nim.registration import metadata_of
from ..nim.responses.struct_codec import CHAT, COMPLETION
from ..nim.transport.batch import bounded_map
from ..run_yaml.model_entries import ServedModel
from .context import CheckContext
from .probes import rank, vector_of

_AT_ONCE = 4
_REFUSALS = (InvalidRequestError, AuthenticationError, PermissionDeniedError)


@dataclass(frozen=True)
class ListedModel:
    """One model of one NIM.

    Attributes:
        endpoint: Name of the NIM.
        dialect: Dialect of the NIM.
        model: The model with its metadata.
        family: Name of the model family.
        aliases: Other names that requests may use.
        callable: Whether it answers; None if only a request would show it.
        reason: Why it does not answer.
    """

    endpoint: str
    dialect: Dialect
    model: ServedModel
    family: str
    aliases: tuple[str, ...]
    callable: bool | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON data."""
        entry = self.model.entry
        return {
            "id": entry.id,
            "kind": entry.kind.value,
            "family": self.family,
            "context_length": self.model.context_length,
            "embedding_dimension": self.model.dimension,
            "base_model": entry.parent,
            "aliases": list(self.aliases),
            "callable": self.callable,
            "reason": self.reason,
            "endpoint": self.endpoint,
            "dialect": self.dialect.value,
        }


def served_model(entry: ModelEntry, facts: ModelFacts, dimension: int | None = None) -> ServedModel:
    """Complete a NIM's listing of a model with what else is known of it.

    Args:
        entry: The model as the NIM lists it.
        facts: The known facts about models.
        dimension: Measured length of its vectors, which wins over the known one.
    """
    known = metadata_of(entry, facts)
    return ServedModel(
        entry, known.get("context_length"), dimension or known.get("embedding_dimension")
    )


async def list_models(
    context: CheckContext, *, probes: bool = False, measures: bool = False
) -> list[ListedModel]:
    """List the models that a NIM serves.

    Args:
        context: The NIM.
        probes: Send each model a small request to see whether it answers.
        measures: Embed a text where the length of a model's vectors is not known.

    Raises:
        NIMError: The list cannot be read.
    """
    context.models = listed = await context.endpoint.catalogue.models()
    dialect = (await context.endpoint.finding()).dialect

    async def one(entry: ModelEntry) -> ListedModel:
        model = served_model(entry, context.facts)
        callable_: bool | None = None if dialect is Dialect.HOSTED else True
        reason = None
        unmeasured = entry.kind is Kind.EMBEDDING and model.dimension is None
        if probes or (measures and unmeasured):
            try:
                measured = await _call_model(context, entry)
                model = served_model(entry, context.facts, measured)
                callable_ = True
            except NIMError as error:
                # What is overloaded or slow just now may answer the next time.
                callable_ = False if isinstance(error, _REFUSALS) else None
                reason = error.message
        return ListedModel(
            endpoint=context.endpoint.name,
            dialect=dialect,
            model=model,
            family=context.facts.profile(entry.id, entry.parent).family,
            aliases=aliases_by_model().get(entry.id, ()) if entry.id.startswith("meta/") else (),
            callable=callable_,
            reason=reason,
        )

    return await bounded_map(one, listed, _AT_ONCE)


async def _call_model(context: CheckContext, entry: ModelEntry) -> int | None:
    """Send a model a small request; return the length of its vectors if it makes any."""
    if entry.kind is Kind.EMBEDDING:
        return len(await vector_of(context, entry.id))
    if entry.kind is Kind.RERANK:
        await rank(context, entry.id)
        return None
    body: dict[str, Any] = {"model": entry.id, "max_tokens": 1, "stream": False}
    if context.facts.profile(entry.id, entry.parent).task == "completion":
        body["prompt"] = "Hello"
        await context.endpoint.complete(body, COMPLETION, key=None)
    else:
        body["messages"] = [{"role": "user", "content": "Hello"}]
        await context.endpoint.complete(body, CHAT, key=None)
    return None


@cache
def aliases_by_model() -> dict[str, tuple[str, ...]]:
    """Return Llama descriptors and Hugging Face names by the NIM's id."""
    names: dict[str, list[str]] = defaultdict(list)
    for alias, model in llama_aliases().items():
        names[model].append(alias)
    return {model: tuple(found) for model, found in names.items()}
