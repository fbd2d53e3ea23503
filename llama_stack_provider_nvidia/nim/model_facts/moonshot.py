"""Rows of Moonshot's Kimi models."""

from .profile import NEVER, Always, Family, HostedRules, TemplateArgument
from .rows import CARDS, LANGCHAIN, SCHEMAS, row, tagged

# Their chat templates from K2.5 on read this name.
_THINKING = TemplateArgument("thinking")
_KIMI_HOSTED = HostedRules(tool_fields=frozenset({"description", "parameters"}))

FAMILIES: tuple[Family, ...] = (
    row(
        r"kimi-k2-thinking",
        "Kimi K2 Thinking",
        vision=False,
        tools=True,
        reasoning=tagged(Always()),
        inline_reasoning=True,
        hosted=_KIMI_HOSTED,
        accepts_reasoning_history=True,
        source=f"{CARDS}; {SCHEMAS} of K2.6",
    ),
    row(
        r"kimi-k(2[._]\d|[3-9])",
        "Kimi K2.5 and later",
        vision=True,
        tools=True,
        reasoning=tagged(_THINKING),
        inline_reasoning=True,
        hosted=_KIMI_HOSTED,
        accepts_reasoning_history=True,
        source=f"{SCHEMAS}; {LANGCHAIN}",
    ),
    row(
        r"kimi-vl.*thinking",
        "Kimi VL Thinking",
        vision=True,
        reasoning=tagged(Always()),
        inline_reasoning=True,
        reasoning_tags=("◁think▷", "◁/think▷"),
        source=f"{CARDS}; SGLang's table of reasoning tags",
    ),
    row(
        r"kimi",
        "Kimi K2",
        vision=False,
        tools=True,
        reasoning=NEVER,
        hosted=_KIMI_HOSTED,
        source=f"{SCHEMAS} of K2.6; {LANGCHAIN}",
    ),
)
