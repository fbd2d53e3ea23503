"""Rows of Meta's Llama and Muse models."""

from .profile import NEVER, Family, HostedRules, ImageLimits
from .rows import (
    ALL_ROLES,
    CARDS,
    EFFORT_ONLY,
    INLINE,
    SCHEMAS,
    UP_TO_ONE,
    USER_ONLY,
    VLM_DOCS,
    row,
)

_LLAMA_HOSTED = HostedRules(
    string_content=True,
    roles=ALL_ROLES,
    max_tokens=4096,
    temperature=UP_TO_ONE,
)

FAMILIES: tuple[Family, ...] = (
    row(
        r"muse-glimmer",
        "Muse Glimmer",
        vision=True,
        tools=True,
        # reasoning_effort is in its schema, and it was seen reasoning with "none" as well.
        reasoning=EFFORT_ONLY,
        hosted=HostedRules(
            max_tokens=131_072,
            tool_choices=frozenset({"none", "auto", "named"}),
        ),
        accepts_reasoning_history=True,
        source=f"{SCHEMAS}; pi-nvidia-nim-provider for the effort",
    ),
    row(
        r"llama-3[._]2-(11b|90b)-vision",
        "Llama 3.2 Vision",
        vision=True,
        tools=False,
        tool_calls_as_text="llama",
        reasoning=NEVER,
        hosted=HostedRules(roles=USER_ONLY, max_tokens=8192, tools=False),
        images=ImageLimits(most=1, inline=INLINE, with_system=False),
        source=f"{SCHEMAS}; {VLM_DOCS}",
    ),
    row(
        r"llama-3[._]2-(1b|3b)",
        "Llama 3.2",
        vision=False,
        tools=True,
        tool_calls_as_text="llama",
        reasoning=NEVER,
        hosted=HostedRules(
            string_content=True,
            roles=ALL_ROLES - {"tool"},
            max_tokens=4096,
            temperature=UP_TO_ONE,
            tools=False,
        ),
        source=f"{SCHEMAS}: no tools and no role tool",
    ),
    row(
        r"(^|/)(meta-)?llama-3[._][13]-\d+b",
        "Llama 3.1 and 3.3",
        vision=False,
        tools=True,
        tool_calls_as_text="llama",
        reasoning=NEVER,
        hosted=_LLAMA_HOSTED,
        source=SCHEMAS,
    ),
    row(
        r"llama-4-",
        "Llama 4",
        vision=True,
        tools=True,
        tool_calls_as_text="llama",
        reasoning=NEVER,
        images=ImageLimits(inline=INLINE),
        source=f"{VLM_DOCS} 1.7; the hosted ones were retired in 2026-08",
    ),
    row(
        r"(^|/)(meta-)?(llama-?[23]-|codellama|llama2)",
        "Llama 2 and 3",
        vision=False,
        tools=False,
        reasoning=NEVER,
        source=CARDS,
    ),
)
