"""Entries of ``models:`` in run.yaml, for what a NIM serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..nim.discovery.models import Kind, ModelEntry
from ..nim.retrieval.embedders import embedder_of


@dataclass(frozen=True)
class ServedModel:
    """A model and what a stack wants to know of it.

    Attributes:
        entry: As the NIM lists it.
        context_length: In tokens, as far as known.
        dimension: Length of an embedding model's vectors, as far as known.
    """

    entry: ModelEntry
    context_length: int | None = None
    dimension: int | None = None


def served_model(entry: ModelEntry, dimension: int | None = None) -> ServedModel:
    """Add what is known of a model to what its NIM says.

    Args:
        entry: As the NIM lists it.
        dimension: Length of its vectors, if that was found out.
    """
    known = embedder_of(entry.id) if entry.kind is Kind.EMBEDDING else None
    context = entry.context_length or (known.max_tokens if known else None)
    return ServedModel(entry, context, dimension or (known.dimension if known else None))


def registration(model: ServedModel, provider_id: str) -> dict[str, Any]:
    """Write a model's entry of ``models:``, with the keys that all releases know."""
    metadata: dict[str, Any] = {}
    if model.dimension is not None:
        metadata["embedding_dimension"] = model.dimension
    if model.context_length is not None:
        metadata["context_length"] = model.context_length
    written: dict[str, Any] = {
        "model_id": model.entry.id,
        "provider_id": provider_id,
        "provider_model_id": model.entry.id,
        "model_type": model.entry.kind.value,
    }
    return {**written, "metadata": metadata} if metadata else written


def models_yaml(models: Sequence[ServedModel], provider_id: str) -> str:
    """Write ``models:`` twice: where 0.2.x has it, and where 0.3 and later have it."""
    from .writing import dump

    taken = [one for one in models if one.entry.kind is not Kind.RERANK]
    ranking = [one for one in models if one.entry.kind is Kind.RERANK]
    entries = [registration(one, provider_id) for one in taken]
    lines = [
        "# Llama Stack 0.2.x. Embedding models need their embedding_dimension.",
        dump({"models": entries}).replace("models:", "models: &models", 1).rstrip()
        if entries
        else "models: &models []",
        "# The same for Llama Stack 0.3 and later, and OGX, which have it here.",
        "registered_resources:",
        "  models: *models",
    ]
    if ranking:
        lines += [
            "# Rerank models: `model_type: rerank` is known from 0.4 on.",
            *(
                f"# {line}"
                for line in dump([registration(one, provider_id) for one in ranking]).splitlines()
            ),
        ]
    return "\n".join(lines) + "\n"
