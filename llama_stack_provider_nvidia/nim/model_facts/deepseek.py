"""Rows of DeepSeek's models."""

from .profile import NEVER, Always, Family, TemplateArgument
from .rows import CARDS, LANGCHAIN, row, tagged

# Their chat templates from V3.1 on read this name.
_THINKING = TemplateArgument("thinking")

FAMILIES: tuple[Family, ...] = (
    row(
        r"deepseek-r1",
        "DeepSeek R1",
        vision=False,
        reasoning=tagged(Always()),
        inline_reasoning=True,
        opens_in_prompt=True,
        source=CARDS,
    ),
    row(
        r"deepseek-v(3[._][12]|[4-9])",
        "DeepSeek V3.1 and later",
        vision=False,
        tools=True,
        reasoning=tagged(_THINKING),
        inline_reasoning=True,
        opens_in_prompt=True,
        source=f"{CARDS}; {LANGCHAIN} for V4; hosted examples for V3.1",
    ),
    row(r"deepseek", "DeepSeek", vision=False, reasoning=NEVER, source=CARDS),
)
