"""Registry of model families: finds a model's profile by its id."""

import functools

from . import (
    bytedance,
    deepseek,
    google,
    meta,
    microsoft,
    minimax,
    mistral,
    moonshot,
    nvidia,
    openai,
    qwen,
    special_purpose,
    stepfun,
    zai,
)
from .model_ids import Kind, kind_of
from .profile import NEVER, UNKNOWN, Family, Profile

FAMILIES: tuple[Family, ...] = (
    *special_purpose.FAMILIES,
    *nvidia.FAMILIES,
    *meta.FAMILIES,
    *openai.FAMILIES,
    *qwen.FAMILIES,
    *deepseek.FAMILIES,
    *moonshot.FAMILIES,
    *minimax.FAMILIES,
    *mistral.FAMILIES,
    *google.FAMILIES,
    *zai.FAMILIES,
    *stepfun.FAMILIES,
    *microsoft.FAMILIES,
    *bytedance.FAMILIES,
)
"""All rows, in the order in which they are matched: the first that matches an id counts."""


@functools.lru_cache(maxsize=1024)
def profile_of(model_id: str) -> Profile:
    """Return what a model can do, by its id.

    Args:
        model_id: The NIM's id of it, such as ``meta/llama-3.1-8b-instruct``, or a Hugging Face
            name. A LoRA adapter has a name of its own: ask with the id of its base model.

    Returns:
        The profile of the first family that matches, or ``UNKNOWN``.
    """
    kind = kind_of(model_id)
    if kind is not Kind.LLM:
        return Profile(f"{kind} models", kind, "retrieval", tools=False, reasoning=NEVER)
    name = model_id.lower()
    matching = (family.profile for family in FAMILIES if family.pattern.search(name))
    return next(matching, UNKNOWN)
