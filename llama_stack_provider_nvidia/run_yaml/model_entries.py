"""Entries of ``models:`` in run.yaml for the models that a NIM serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..nim.model_facts.model_ids import Kind, ModelEntry
from .yaml_text import dump_yaml


@dataclass(frozen=True)
class ServedModel:
    """A model with the metadata that Llama Stack registers.

    Attributes:
        entry: The model as the NIM lists it.
        context_length: In tokens; None if unknown.
        dimension: Length of an embedding model's vectors; None if unknown.
    """

    entry: ModelEntry
    context_length: int | None = None
    dimension: int | None = None


def model_entry(model: ServedModel, provider_id: str) -> dict[str, Any]:
    """Return a model's entry of ``models:``, with keys that all releases accept."""
    metadata: dict[str, Any] = {}
    if model.dimension is not None:
        metadata["embedding_dimension"] = model.dimension
    if model.context_length is not None:
        metadata["context_length"] = model.context_length
    entry: dict[str, Any] = {
        "model_id": model.entry.id,
        "provider_id": provider_id,
        "provider_model_id": model.entry.id,
        "model_type": model.entry.kind.value,
    }
    return {**entry, "metadata": metadata} if metadata else entry


def models_yaml(models: Sequence[ServedModel], provider_id: str) -> str:
    """Return the ``models:`` section as 0.2.x reads it, and again as later releases do."""
    accepted = [one for one in models if one.entry.kind is not Kind.RERANK]
    rerankers = [one for one in models if one.entry.kind is Kind.RERANK]
    entries = [model_entry(one, provider_id) for one in accepted]
    lines = [
        "# Llama Stack 0.2.x. Embedding models need their embedding_dimension.",
        dump_yaml({"models": entries}).replace("models:", "models: &models", 1).rstrip()
        if entries
        else "models: &models []",
        "# Llama Stack 0.3 and later, and OGX.",
        "registered_resources:",
        "  models: *models",
    ]
    if rerankers:
        lines += [
            "# Rerank models: Llama Stack 0.4 and later accept `model_type: rerank`.",
            *(
                f"# {line}"
                for line in dump_yaml(
                    [model_entry(one, provider_id) for one in rerankers]
                ).splitlines()
            ),
        ]
    return "\n".join(lines) + "\n"
