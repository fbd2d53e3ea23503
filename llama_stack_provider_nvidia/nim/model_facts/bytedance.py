"""Rows of ByteDance's Seed models."""

from .profile import Always, Family
from .rows import CARDS, row, tagged

FAMILIES: tuple[Family, ...] = (
    row(
        r"seed-oss",
        "Seed OSS",
        vision=False,
        tools=True,
        reasoning=tagged(Always("send `chat_template_kwargs.thinking_budget`: 0")),
        inline_reasoning=True,
        reasoning_tags=("<seed:think>", "</seed:think>"),
        source=CARDS,
    ),
)
