"""Rows of NVIDIA's Nemotron models."""

from .profile import NEVER, Budget, Family, HostedRules, ImageLimits, SystemText, Temperatures
from .rows import (
    CARDS,
    ENABLE_THINKING,
    INLINE,
    LANGCHAIN,
    SCHEMAS,
    UP_TO_ONE,
    VLM_DOCS,
    row,
    tagged,
)

_DETAILED = SystemText("detailed thinking on", "detailed thinking off")
_SLASH = SystemText("/think", "/no_think")
_NEMOTRON3_HOSTED = HostedRules(
    string_content=True,
    max_tokens=32_768,
    temperature=Temperatures(highest=1.0, zero=False),
)
_HOSTED_BUDGET = Budget("reasoning_budget", most=32_768)
_TEMPLATE_BUDGET = Budget("chat_template_kwargs.reasoning_budget")
_NEMOTRON3_SOURCE = (
    f"{SCHEMAS}; NVIDIA's RAG blueprint 2.6 for budgets; NIM 2.0.6 day-0 notes; schemas list no "
    "tools, reports say they work"
)

FAMILIES: tuple[Family, ...] = (
    row(
        r"nemotron-3-nano-omni",
        "Nemotron 3 Nano Omni",
        vision=True,
        tools=True,
        reasoning=tagged(
            ENABLE_THINKING, nim1=_TEMPLATE_BUDGET, hosted=Budget("reasoning_budget", most=65_536)
        ),
        inline_reasoning=True,
        opens_in_prompt=True,
        hosted=HostedRules(max_tokens=65_536),
        source=_NEMOTRON3_SOURCE,
    ),
    row(
        r"nemotron-3-nano",
        "Nemotron 3 Nano",
        vision=False,
        tools=True,
        reasoning=tagged(ENABLE_THINKING, hosted=_HOSTED_BUDGET),
        inline_reasoning=True,
        opens_in_prompt=True,
        hosted=_NEMOTRON3_HOSTED,
        source=_NEMOTRON3_SOURCE,
    ),
    row(
        r"nemotron-3-ultra",
        "Nemotron 3 Ultra",
        vision=False,
        tools=True,
        reasoning=tagged(ENABLE_THINKING, nim1=_TEMPLATE_BUDGET, hosted=_HOSTED_BUDGET),
        inline_reasoning=True,
        opens_in_prompt=True,
        # The schema says 32768, a list of limits 65536: what is between is for the NIM to say.
        hosted=HostedRules(
            string_content=True,
            max_tokens=65_536,
            temperature=Temperatures(highest=1.0, zero=False),
        ),
        source=f"{_NEMOTRON3_SOURCE}; models.dev for the ceiling",
    ),
    row(
        r"nemotron-3-super|nemotron-3[._]5-lightning",
        "Nemotron 3 Super and 3.5 Lightning",
        vision=False,
        tools=True,
        reasoning=tagged(ENABLE_THINKING, nim1=_TEMPLATE_BUDGET, hosted=_HOSTED_BUDGET),
        inline_reasoning=True,
        opens_in_prompt=True,
        hosted=_NEMOTRON3_HOSTED,
        source=_NEMOTRON3_SOURCE,
    ),
    row(
        r"nemotron-nano-12b-v2-vl",
        "Nemotron Nano 12B v2 VL",
        vision=True,
        tools=True,
        tool_calls_as_text="nemotron",
        reasoning=tagged(_SLASH),
        inline_reasoning=True,
        images=ImageLimits(inline=INLINE),
        source=f"{VLM_DOCS} 1.7; {LANGCHAIN}",
    ),
    row(
        r"nemotron-nano-(9|12)b-v2",
        "Nemotron Nano v2",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        reasoning=tagged(
            _SLASH,
            # Both are needed together; the least number leaves the model free to reason less.
            hosted=Budget("max_thinking_tokens", beside={"min_thinking_tokens": 1}),
        ),
        inline_reasoning=True,
        opens_in_prompt=True,
        source=f"NIM 1.12 thinking budget control; NVIDIA's RAG blueprint; {LANGCHAIN}",
    ),
    row(
        r"nemotron-super-49b-v1[._]5",
        "Llama Nemotron Super v1.5",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        reasoning=tagged(_SLASH),
        inline_reasoning=True,
        hosted=HostedRules(string_content=True, max_tokens=65_536, temperature=UP_TO_ONE),
        source=f"{SCHEMAS}; {LANGCHAIN}",
    ),
    row(
        r"nemotron-nano-vl",
        "Llama Nemotron Nano VL",
        vision=True,
        reasoning=NEVER,
        images=ImageLimits(inline=INLINE),
        source=CARDS,
    ),
    row(
        r"nemotron-super-49b",
        "Llama Nemotron Super v1",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        reasoning=tagged(_DETAILED, with_tools=False),
        inline_reasoning=True,
        hosted=HostedRules(string_content=True, max_tokens=16_384, temperature=UP_TO_ONE),
        source=f"NIM 1.12 reasoning and 1.10 function calling pages; {SCHEMAS}",
    ),
    row(
        r"llama-3[._]1-nemotron-(nano|ultra)-",
        "Llama Nemotron Nano and Ultra v1",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        reasoning=tagged(_DETAILED, with_tools=False),
        inline_reasoning=True,
        source=f"NIM 1.12 reasoning and 1.10 function calling pages; {LANGCHAIN}",
    ),
    row(
        r"nemotron-(70b|51b|mini|4)-",
        "earlier Nemotron",
        vision=False,
        reasoning=NEVER,
        source=CARDS,
    ),
)
