"""Model ids: parsing a NIM's list, the kind of a model, and aliases of Llama models."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kind of a model: which of NIM's APIs serves it."""

    LLM = "llm"
    EMBEDDING = "embedding"
    RERANK = "rerank"


@dataclass(frozen=True)
class ModelEntry:
    """One model that a NIM lists.

    Attributes:
        id: The NIM's id of it.
        kind: Its kind, by its id: no NIM reports it.
        context_length: Tokens of prompt and response together, where the NIM reports it.
        parent: For a LoRA adapter, the id of its base model.
        owner: ``owned_by``, which differs between the NIM generations.
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
    """Return a model's kind by its id (NVIDIA's published ids of 2026-10 all fit)."""
    name = model_id.lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), Kind.LLM)


def parse_models(body: Any) -> list[ModelEntry]:
    """Parse the response of ``GET /v1/models``; what cannot be read is left out.

    Retriever NIMs list ids alone, and the hosted catalogue lists some ids twice.
    """
    entries: dict[str, ModelEntry] = {}
    listed = body.get("data") if isinstance(body, dict) else None
    for item in listed if isinstance(listed, list) else ():
        model_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(model_id, str) or not model_id or model_id in entries:
            continue
        parent, owner = item.get("parent"), item.get("owned_by")
        entries[model_id] = ModelEntry(
            id=model_id,
            kind=kind_of(model_id),
            context_length=_context_length(item),
            parent=parent if isinstance(parent, str) else None,
            owner=owner if isinstance(owner, str) else None,
        )
    return list(entries.values())


def _context_length(item: Mapping[str, Any]) -> int | None:
    """Return the context length: vLLM and SGLang, Dynamo and llama.cpp have a name each for it."""
    meta = item.get("meta")
    named = (item.get("max_model_len"), item.get("context_window"))
    for value in (*named, meta.get("n_ctx") if isinstance(meta, dict) else None):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


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
    """Return the id to ask a NIM for.

    Args:
        wanted: What the stack knows the model by: a NIM id, a Llama descriptor such as
            ``Llama3.1-8B-Instruct``, or a Hugging Face name.
        served: The ids that the NIM lists, None if that is not known.

    Returns:
        ``wanted`` itself if the NIM lists it (a NIM may serve any name), else NIM's own id of
        that Llama model, else ``wanted``.
    """
    known = None if served is None else set(served)
    if (known is not None and wanted in known) or not may_be_alias(wanted):
        return wanted
    # Hugging Face's names of Llama 3 and 3.1 began with Meta- at first, and such links go on.
    alias = llama_aliases().get(wanted.replace("/Meta-Llama-", "/Llama-"))
    if alias is None and "/" not in wanted:
        alias = llama_aliases().get(f"meta-llama/{wanted}")
    return alias or wanted


def may_be_alias(wanted: str) -> bool:
    """Return whether a name could be an alias of a Llama model, without looking it up."""
    return not wanted.startswith(("meta/", "nvidia/")) and "llama" in wanted.lower()
