"""Rows of Mistral's models."""

from .profile import NEVER, Always, Effort, Family, ReasoningSwitch
from .rows import CARDS, LANGCHAIN, VLLM_PARSERS, VLM_DOCS, row

_TAGS = ("[THINK]", "[/THINK]")

FAMILIES: tuple[Family, ...] = (
    row(
        r"mistral-small-4",
        "Mistral Small 4",
        vision=True,
        tools=True,
        reasoning=ReasoningSwitch(Effort("high", "none")),
        inline_reasoning=True,
        reasoning_tags=_TAGS,
        source=f"{CARDS}; vLLM recipes; {LANGCHAIN}; {VLLM_PARSERS} for the tags",
    ),
    row(
        r"magistral",
        "Magistral",
        tools=True,
        reasoning=ReasoningSwitch(Always()),
        inline_reasoning=True,
        reasoning_tags=_TAGS,
        source=f"{CARDS}; {VLLM_PARSERS} for the tags",
    ),
    row(
        r"pixtral|mistral-(small-3[._][12]|medium-3)",
        "Mistral models that see",
        vision=True,
        tools=True,
        reasoning=NEVER,
        source=f"{CARDS}; {VLM_DOCS} 1.7",
    ),
    row(r"mistral|mixtral|ministral|codestral", "Mistral", reasoning=NEVER, source=CARDS),
)
