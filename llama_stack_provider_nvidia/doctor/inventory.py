"""What a NIM serves, with all that is known or can be found out of each model."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..nim.answers.wire import ChatChunk, CompletionChunk
from ..nim.dialect import Dialect
from ..nim.discovery.models import Kind, ModelEntry, llama_aliases
from ..nim.errors import (
    AuthenticationError,
    InvalidRequestError,
    NIMError,
    PermissionDeniedError,
)
from ..nim.requests.profiles import profile_of
from ..nim.transport.batch import bounded_map
from ..run_yaml.models import ServedModel, served_model
from .probes import rank, vector_of
from .subject import Subject

_AT_ONCE = 4
_REFUSALS = (InvalidRequestError, AuthenticationError, PermissionDeniedError)


@dataclass(frozen=True)
class Item:
    """One model of one NIM.

    Attributes:
        endpoint: What people call the NIM.
        dialect: What the NIM speaks.
        model: The model and what a stack wants to know of it.
        family: What people call such models.
        aliases: Other names that requests may use.
        callable: Whether it answers; None where only a request would tell.
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
        """Give it as JSON data."""
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


async def inventory(subject: Subject, *, tries: bool = False, measures: bool = False) -> list[Item]:
    """List what a NIM serves.

    Args:
        subject: The NIM.
        tries: Send each model a small request, to see whether it answers.
        measures: Have a text embedded where the length of a model's vectors is not known.

    Raises:
        NIMError: It does not say.
    """
    subject.models = listed = await subject.endpoint.catalogue.models()
    dialect = (await subject.endpoint.finding()).dialect

    async def one(entry: ModelEntry) -> Item:
        model = served_model(entry)
        callable_: bool | None = None if dialect is Dialect.HOSTED else True
        reason = None
        unmeasured = entry.kind is Kind.EMBEDDING and model.dimension is None
        if tries or (measures and unmeasured):
            try:
                model = served_model(entry, await _tried(subject, entry))
                callable_ = True
            except NIMError as error:
                # What is overloaded or slow just now may answer the next time.
                callable_ = False if isinstance(error, _REFUSALS) else None
                reason = error.message
        return Item(
            endpoint=subject.endpoint.name,
            dialect=dialect,
            model=model,
            family=profile_of(entry.parent or entry.id).family,
            aliases=other_names().get(entry.id, ()) if entry.id.startswith("meta/") else (),
            callable=callable_,
            reason=reason,
        )

    return await bounded_map(one, listed, _AT_ONCE)


async def _tried(subject: Subject, entry: ModelEntry) -> int | None:
    """Send a model a small request; give the length of its vectors if it makes any."""
    if entry.kind is Kind.EMBEDDING:
        return len(await vector_of(subject, entry.id))
    if entry.kind is Kind.RERANK:
        await rank(subject, entry.id)
        return None
    body: dict[str, Any] = {"model": entry.id, "max_tokens": 1, "stream": False}
    if profile_of(entry.parent or entry.id).task == "completion":
        body["prompt"] = "Hello"
        await subject.endpoint.ask(body, CompletionChunk, key=None)
    else:
        body["messages"] = [{"role": "user", "content": "Hello"}]
        await subject.endpoint.ask(body, ChatChunk, key=None)
    return None


@cache
def other_names() -> dict[str, tuple[str, ...]]:
    """Give Llama descriptors and Hugging Face names by the NIM's id."""
    names: dict[str, list[str]] = defaultdict(list)
    for alias, model in llama_aliases().items():
        names[model].append(alias)
    return {model: tuple(found) for model, found in names.items()}
