"""Rows of MiniMax's models."""

from .profile import Always, Family, TemplateArgument
from .rows import CARDS, LANGCHAIN, row, tagged

FAMILIES: tuple[Family, ...] = (
    row(
        r"minimax-m2",
        "MiniMax M2",
        vision=False,
        tools=True,
        reasoning=tagged(Always()),
        inline_reasoning=True,
        opens_in_prompt=True,
        source=CARDS,
    ),
    row(
        r"minimax-m[3-9]",
        "MiniMax M3",
        tools=True,
        reasoning=tagged(TemplateArgument("thinking_mode", "enabled", "disabled")),
        inline_reasoning=True,
        reasoning_tags=("<mm:think>", "</mm:think>"),
        source=f"{LANGCHAIN}; vLLM issue 45687 for the tags",
    ),
)
