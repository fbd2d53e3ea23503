"""Rows of Google's Gemma models."""

from .profile import NEVER, Family, HostedRules, ImageLimits, ReasoningSwitch
from .rows import ENABLE_THINKING, INLINE, LANGCHAIN, SCHEMAS, USER_ONLY, VLLM_PARSERS, row

FAMILIES: tuple[Family, ...] = (
    row(
        r"gemma-4",
        "Gemma 4",
        vision=True,
        tools=True,
        reasoning=ReasoningSwitch(ENABLE_THINKING),
        inline_reasoning=True,
        # The label of the channel is no part of the reasoning.
        reasoning_tags=("<|channel>thought\n", "<channel|>"),
        source=f"{LANGCHAIN}; NIM 2.1.5 release notes; {VLLM_PARSERS} for the tags",
    ),
    row(
        r"gemma-3-1b|(^|/|code)gemma-(1|2)|(^|/|code)gemma-\d+b|recurrentgemma",
        "Gemma that reads",
        vision=False,
        tools=False,
        reasoning=NEVER,
        hosted=HostedRules(roles=USER_ONLY, tools=False),
        source=f"{SCHEMAS}; LiteLLM's list of parameters",
    ),
    row(
        r"gemma-3",
        "Gemma 3",
        vision=True,
        reasoning=NEVER,
        hosted=HostedRules(roles=USER_ONLY, tools=False),
        images=ImageLimits(inline=INLINE),
        source=SCHEMAS,
    ),
)
