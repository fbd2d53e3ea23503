"""Helpers and shared values for the rows of the makers' files.

Sources are public: NVIDIA's documentation and published request schemas, the models' own cards
and chat templates, and the code of clients in daily use. They age, so each row has a date.
"""

import re
from typing import Any

from ..dialect import Dialect
from .profile import (
    Always,
    Budget,
    Family,
    Profile,
    ReasoningForm,
    ReasoningSwitch,
    Temperatures,
    TemplateArgument,
)

SCHEMAS = "published hosted schemas (docs.api.nvidia.com)"
CARDS = "model cards and chat templates"
LANGCHAIN = "model table of langchain-nvidia-ai-endpoints"
VLLM_PARSERS = "vLLM's reasoning parsers (vllm/reasoning)"
VLM_DOCS = "NIM for vision language models: documentation"

ENABLE_THINKING = TemplateArgument("enable_thinking")
EFFORT_ONLY = ReasoningSwitch(Always("send `reasoning_effort`: `low` to have it reason less"))

ALL_ROLES = frozenset({"system", "context", "user", "assistant", "tool"})
USER_ONLY = frozenset({"user", "assistant"})
INLINE = 180_000
"""Characters of base64 of one image: what clients of the hosted vision models work with."""
UP_TO_ONE = Temperatures(highest=1.0)

# Where the engine counts the tokens between the tags. NIM 1.x: from 1.12 on, with
# NIM_ENABLE_BUDGET_CONTROL=1.
_ENGINE_BUDGETS = {
    Dialect.NIM1: Budget("nvext.max_thinking_tokens"),
    Dialect.NIM2_VLLM: Budget("thinking_token_budget"),
}


def tagged(form: ReasoningForm, *, with_tools: bool = True, **budgets: Budget) -> ReasoningSwitch:
    """Return the switch of a family that reasons between tags.

    Args:
        form: How it is switched.
        with_tools: Tools work while it reasons.
        **budgets: Budgets beside those of the engines, by dialect.
    """
    named = {Dialect[name.upper()]: budget for name, budget in budgets.items()}
    return ReasoningSwitch(form, {**_ENGINE_BUDGETS, **named}, with_tools)


def row(
    pattern: str, family: str, /, *, source: str, date: str = "2026-10", **capabilities: Any
) -> Family:
    """Return a row; a capability that is not given is not known.

    Args:
        pattern: Regular expression, found in the lower-case ids of the family.
        family: What people call these models.
        source: Where this is known from.
        date: When it was so, as year and month.
        **capabilities: Fields of ``Profile``.
    """
    profile = Profile(family=family, date=date, **capabilities)
    return Family(re.compile(pattern), profile, source)
