"""Rows of Z.ai's GLM models."""

from .profile import Effort, Family
from .rows import CARDS, ENABLE_THINKING, LANGCHAIN, SCHEMAS, row, tagged

FAMILIES: tuple[Family, ...] = (
    row(
        r"glm-?5[._]2",
        "GLM 5.2",
        vision=False,
        tools=True,
        reasoning=tagged(Effort("high", "none")),
        inline_reasoning=True,
        source=f"{LANGCHAIN}; {SCHEMAS}",
    ),
    row(
        r"glm-?[4-9]([._]\d)?v",
        "GLM V",
        vision=True,
        reasoning=tagged(ENABLE_THINKING),
        inline_reasoning=True,
        source=CARDS,
    ),
    row(
        r"glm-?(4[._][5-9]|[5-9])",
        "GLM 4.5 and later",
        vision=False,
        tools=True,
        reasoning=tagged(ENABLE_THINKING),
        inline_reasoning=True,
        source=f"{LANGCHAIN}; {SCHEMAS}",
    ),
)
