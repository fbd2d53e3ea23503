"""Rows of Alibaba's Qwen models."""

from .profile import NEVER, Always, Family
from .rows import CARDS, ENABLE_THINKING, LANGCHAIN, VLM_DOCS, row, tagged

FAMILIES: tuple[Family, ...] = (
    row(
        r"qwq|qwen3-.*thinking",
        "Qwen thinking models",
        tools=True,
        reasoning=tagged(Always()),
        inline_reasoning=True,
        opens_in_prompt=True,
        source=CARDS,
    ),
    row(
        r"qwen3[._]\d",
        "Qwen 3.5 and later",
        vision=True,
        tools=True,
        reasoning=tagged(ENABLE_THINKING),
        inline_reasoning=True,
        opens_in_prompt=True,
        source=f"{CARDS}; NIM 2.1.5 release notes; {VLM_DOCS} 1.7",
    ),
    row(r"qwen.*-vl-", "Qwen VL", vision=True, reasoning=NEVER, source=CARDS),
    row(
        r"qwen3-(coder|.*instruct)",
        "Qwen 3 instruct models",
        vision=False,
        tools=True,
        reasoning=NEVER,
        source=CARDS,
    ),
    row(
        r"qwen3-",
        "Qwen 3",
        vision=False,
        tools=True,
        reasoning=tagged(ENABLE_THINKING),
        inline_reasoning=True,
        source=f"{CARDS}; {LANGCHAIN}",
    ),
    row(r"qwen", "Qwen 2 and 2.5", reasoning=NEVER, source=CARDS),
)
