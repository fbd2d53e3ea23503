"""Models: what a NIM lists, what kind each is, and the names people know Llama models by."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a model is for."""

    LLM = "llm"
    EMBEDDING = "embedding"
    RERANK = "rerank"


@dataclass(frozen=True)
class ModelEntry:
    """One model that a NIM lists.

    Attributes:
        id: The NIM's id of it.
        kind: What it is for, told from its id: no NIM says.
        context_length: Tokens that prompt and answer may have in all, where the NIM says.
        parent: For a LoRA adapter, the id of its base model.
        owner: ``owned_by``, which tells the NIM generations apart.
    """

    id: str
    kind: Kind
    context_length: int | None = None
    parent: str | None = None
    owner: str | None = None


# Order matters: "llama-nemotron-rerank-vl" is no chat model, nor is "nv-rerankqa" an embedder.
_KINDS = (
    (Kind.RERANK, re.compile(r"rerank")),
    (Kind.EMBEDDING, re.compile(r"embed|nvclip|(^|/)bge-|arctic-embed")),
)


def kind_of(model_id: str) -> Kind:
    """Tell a model's kind from its id (NVIDIA's published ids of 2026-10 all fit)."""
    name = model_id.lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), Kind.LLM)


def parse_models(body: Any) -> list[ModelEntry]:
    """Read the answer of ``GET /v1/models``; what cannot be read is left out.

    Retriever NIMs list ids alone, and the hosted catalogue lists some ids twice.
    """
    entries: dict[str, ModelEntry] = {}
    listed = body.get("data") if isinstance(body, dict) else None
    for item in listed if isinstance(listed, list) else ():
        model_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(model_id, str) or not model_id or model_id in entries:
            continue
        context, parent, owner = (item.get(k) for k in ("max_model_len", "parent", "owned_by"))
        entries[model_id] = ModelEntry(
            id=model_id,
            kind=kind_of(model_id),
            context_length=context if isinstance(context, int) else None,
            parent=parent if isinstance(parent, str) else None,
            owner=owner if isinstance(owner, str) else None,
        )
    return list(entries.values())


@functools.cache
def llama_aliases() -> dict[str, str]:
    """Map Llama descriptors and Hugging Face names to NIM's ids.

    NVIDIA publishes Meta's models under their Hugging Face names in lower case, with ``meta``
    as owner; the third generation goes by ``llama3``. Quantized variants other than FP8 are
    no NIMs.
    """
    # Imported here: it takes longer than all the rest of this package.
    from llama_models.sku_list import all_registered_models

    aliases: dict[str, str] = {}
    for model in all_registered_models():
        repo = model.huggingface_repo or ""
        name = repo.removeprefix("meta-llama/").removesuffix("-FP8").lower()
        if not repo or not re.search(r"-instruct$|^llama-guard-\d+-\d+b(-vision)?$", name):
            continue
        nim_id = "meta/" + name.replace("llama-3-", "llama3-")
        aliases.setdefault(model.descriptor(), nim_id)
        aliases.setdefault(repo, nim_id)
    return aliases


def served_id(wanted: str, served: Iterable[str] | None) -> str:
    """Choose the id to ask a NIM for.

    Args:
        wanted: What the stack knows the model by: a NIM id, a Llama descriptor such as
            ``Llama3.1-8B-Instruct``, or a Hugging Face name.
        served: The ids that the NIM lists, None if that is not known.

    Returns:
        ``wanted`` itself if the NIM lists it (a NIM may serve any name), else NIM's own id of
        that Llama model, else ``wanted``.
    """
    known = None if served is None else set(served)
    if known is not None and wanted in known:
        return wanted
    # Hugging Face's names of Llama 3 and 3.1 began with Meta- at first, and such links go on.
    alias = llama_aliases().get(wanted.replace("/Meta-Llama-", "/Llama-"))
    if alias is None and "/" not in wanted:
        alias = llama_aliases().get(f"meta-llama/{wanted}")
    return alias or wanted


def may_be_alias(wanted: str) -> bool:
    """Tell whether a name could be another name of a Llama model, at no cost for NIM ids."""
    return not wanted.startswith(("meta/", "nvidia/")) and "llama" in wanted.lower()
