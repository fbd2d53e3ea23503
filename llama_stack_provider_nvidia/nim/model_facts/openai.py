"""Rows of OpenAI's open models."""

from .profile import Family
from .rows import CARDS, EFFORT_ONLY, LANGCHAIN, row

FAMILIES: tuple[Family, ...] = (
    row(
        r"gpt-oss",
        "gpt-oss",
        vision=False,
        tools=True,
        reasoning=EFFORT_ONLY,
        inline_reasoning=True,
        # The channels of its format, where the engine has not parsed them.
        reasoning_tags=(
            "<|channel|>analysis<|message|>",
            "<|end|><|start|>assistant<|channel|>final<|message|>",
        ),
        source=f"{CARDS}; {LANGCHAIN}; SGLang's table of reasoning tags",
    ),
)
