"""What NVIDIA's and Meta's model families can do, as dated rows.

The first row that fits a model id counts; ``profile_data_community`` goes on with the rows of
other makers.

Facts are public: NVIDIA's documentation and published request schemas, the models' own cards and
chat templates, and the code of clients that are in daily use. They age: each row has a date.
"""

import re
from typing import Any

from ..dialect import Dialect
from .profiles import (
    NEVER,
    Always,
    Budget,
    Family,
    Form,
    HostedRules,
    ImageLimits,
    Profile,
    SystemText,
    Temperatures,
    TemplateArgument,
    ThinkingSwitch,
)

# What a family without a budget of its own has where the engine counts the tokens between
# <think> and </think>. NIM 1.x: from 1.12 on, with NIM_ENABLE_BUDGET_CONTROL=1.
_BY_ENGINE = {
    Dialect.NIM1: Budget("nvext.max_thinking_tokens"),
    Dialect.NIM2_VLLM: Budget("thinking_token_budget"),
}


def tagged(form: Form, *, with_tools: bool = True, **budgets: Budget) -> ThinkingSwitch:
    """Make the switch of a family that thinks between tags.

    Args:
        form: How it is switched.
        with_tools: Tools work while it thinks.
        **budgets: Limits beside those of the engines, by dialect.
    """
    named = {Dialect[name.upper()]: budget for name, budget in budgets.items()}
    return ThinkingSwitch(form, {**_BY_ENGINE, **named}, with_tools)


def row(pattern: str, family: str, /, *, fact: str, date: str = "2026-10", **can: Any) -> Family:
    """Make a row; what is not said is not known."""
    return Family(re.compile(pattern), Profile(family=family, **can), fact, date)


SCHEMAS = "published hosted schemas (docs.api.nvidia.com)"
CARDS = "model cards and chat templates"
LANGCHAIN = "model table of langchain-nvidia-ai-endpoints"
VLM_DOCS = "NIM for vision language models: documentation"

_DETAILED = SystemText("detailed thinking on", "detailed thinking off")
_SLASH = SystemText("/think", "/no_think")
ENABLE_THINKING = TemplateArgument("enable_thinking")

_ALL_ROLES = frozenset({"system", "context", "user", "assistant", "tool"})
USER_ONLY = frozenset({"user", "assistant"})
# The limit that clients of the hosted vision models work with, in characters of base64.
INLINE = 180_000
_UNIT = Temperatures(highest=1.0)

_LLAMA_HOSTED = HostedRules(
    string_content=True,
    roles=_ALL_ROLES,
    max_tokens=4096,
    default_max_tokens=1024,
    temperature=_UNIT,
)
_NEMOTRON3_HOSTED = HostedRules(
    string_content=True,
    max_tokens=32_768,
    temperature=Temperatures(highest=1.0, zero=False),
    streams_by_default=True,
)
_HOSTED_BUDGET = Budget("reasoning_budget", most=32_768)
_TEMPLATE_BUDGET = Budget("chat_template_kwargs.reasoning_budget")
_NEMOTRON3_FACT = (
    f"{SCHEMAS}; NVIDIA's RAG blueprint 2.6 for budgets; NIM 2.0.6 day-0 notes; schemas list no "
    "tools, reports say they work"
)

FAMILIES: tuple[Family, ...] = (
    row(
        r"llama-guard-(4|3-11b-vision)",
        "Llama Guard (images)",
        task="safety",
        vision=True,
        tools=False,
        thinking=NEVER,
        fact=CARDS,
    ),
    row(
        r"nemotron-3([._]5)?-content-safety",
        "Nemotron content safety (images)",
        task="safety",
        vision=True,
        tools=False,
        fact=f"{SCHEMAS}; NIM 2.1.5 release notes",
    ),
    row(
        r"guard|content-safety|topic-control|shieldgemma",
        "safety models",
        task="safety",
        vision=False,
        tools=False,
        fact="NIM documentation of the safety models; model cards",
    ),
    row(r"reward", "reward models", task="reward", tools=False, thinking=NEVER, fact=CARDS),
    row(
        r"(nemotron|nemoretriever)-parse",
        "document parsers",
        task="document",
        vision=True,
        tools=False,
        thinking=NEVER,
        fact="NIM documentation of nemotron-parse",
    ),
    row(
        r"starcoder|-minitron-8b-base",
        "completion models",
        task="completion",
        vision=False,
        tools=False,
        thinking=NEVER,
        fact=f"{LANGCHAIN}; NIM 2.1.5 release notes",
    ),
    row(
        r"nemotron-3-nano-omni",
        "Nemotron 3 Nano Omni",
        vision=True,
        tools=True,
        thinking=tagged(
            ENABLE_THINKING, nim1=_TEMPLATE_BUDGET, hosted=Budget("reasoning_budget", most=65_536)
        ),
        inline_think=True,
        opens_in_prompt=True,
        hosted=HostedRules(max_tokens=65_536),
        fact=_NEMOTRON3_FACT,
    ),
    row(
        r"nemotron-3-nano",
        "Nemotron 3 Nano",
        vision=False,
        tools=True,
        thinking=tagged(ENABLE_THINKING, hosted=_HOSTED_BUDGET),
        inline_think=True,
        opens_in_prompt=True,
        hosted=_NEMOTRON3_HOSTED,
        fact=_NEMOTRON3_FACT,
    ),
    row(
        r"nemotron-3-ultra",
        "Nemotron 3 Ultra",
        vision=False,
        tools=True,
        thinking=tagged(ENABLE_THINKING, nim1=_TEMPLATE_BUDGET, hosted=_HOSTED_BUDGET),
        inline_think=True,
        opens_in_prompt=True,
        # The schema says 32768, a list of limits 65536: what is between is for the NIM to say.
        hosted=HostedRules(
            string_content=True,
            max_tokens=65_536,
            temperature=Temperatures(highest=1.0, zero=False),
            streams_by_default=True,
        ),
        fact=f"{_NEMOTRON3_FACT}; models.dev for the ceiling",
    ),
    row(
        r"nemotron-3-super|nemotron-3[._]5-lightning",
        "Nemotron 3 Super and 3.5 Lightning",
        vision=False,
        tools=True,
        thinking=tagged(ENABLE_THINKING, nim1=_TEMPLATE_BUDGET, hosted=_HOSTED_BUDGET),
        inline_think=True,
        opens_in_prompt=True,
        hosted=_NEMOTRON3_HOSTED,
        fact=_NEMOTRON3_FACT,
    ),
    row(
        r"nemotron-nano-12b-v2-vl",
        "Nemotron Nano 12B v2 VL",
        vision=True,
        tools=True,
        tool_calls_as_text="nemotron",
        thinking=tagged(_SLASH),
        inline_think=True,
        images=ImageLimits(inline=INLINE),
        fact=f"{VLM_DOCS} 1.7; {LANGCHAIN}",
    ),
    row(
        r"nemotron-nano-(9|12)b-v2",
        "Nemotron Nano v2",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        thinking=tagged(
            _SLASH,
            # Both are needed together; the least number leaves the model free to think less.
            hosted=Budget("max_thinking_tokens", beside={"min_thinking_tokens": 1}),
        ),
        inline_think=True,
        opens_in_prompt=True,
        fact=f"NIM 1.12 thinking budget control; NVIDIA's RAG blueprint; {LANGCHAIN}",
    ),
    row(
        r"nemotron-super-49b-v1[._]5",
        "Llama Nemotron Super v1.5",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        thinking=tagged(_SLASH),
        inline_think=True,
        hosted=HostedRules(string_content=True, max_tokens=65_536, temperature=_UNIT),
        fact=f"{SCHEMAS}; {LANGCHAIN}",
    ),
    row(
        r"nemotron-nano-vl",
        "Llama Nemotron Nano VL",
        vision=True,
        thinking=NEVER,
        images=ImageLimits(inline=INLINE),
        fact=CARDS,
    ),
    row(
        r"nemotron-super-49b",
        "Llama Nemotron Super v1",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        thinking=tagged(_DETAILED, with_tools=False),
        inline_think=True,
        hosted=HostedRules(string_content=True, max_tokens=16_384, temperature=_UNIT),
        fact=f"NIM 1.12 reasoning and 1.10 function calling pages; {SCHEMAS}",
    ),
    row(
        r"llama-3[._]1-nemotron-(nano|ultra)-",
        "Llama Nemotron Nano and Ultra v1",
        vision=False,
        tools=True,
        tool_calls_as_text="nemotron",
        thinking=tagged(_DETAILED, with_tools=False),
        inline_think=True,
        fact=f"NIM 1.12 reasoning and 1.10 function calling pages; {LANGCHAIN}",
    ),
    row(
        r"nemotron-(70b|51b|mini|4)-",
        "earlier Nemotron",
        vision=False,
        thinking=NEVER,
        fact=CARDS,
    ),
    row(
        r"muse-glimmer",
        "Muse Glimmer",
        vision=True,
        tools=True,
        # reasoning_effort is in its schema, and it was seen thinking with "none" as well.
        thinking=ThinkingSwitch(Always("send `reasoning_effort`: `low` to have it think less")),
        hosted=HostedRules(
            max_tokens=131_072,
            default_max_tokens=2048,
            tool_choices=frozenset({"none", "auto", "named"}),
        ),
        echo_reasoning=True,
        fact=f"{SCHEMAS}; pi-nvidia-nim-provider for the effort",
    ),
    row(
        r"llama-3[._]2-(11b|90b)-vision",
        "Llama 3.2 Vision",
        vision=True,
        tools=False,
        tool_calls_as_text="llama",
        thinking=NEVER,
        hosted=HostedRules(roles=USER_ONLY, max_tokens=8192, default_max_tokens=512, tools=False),
        images=ImageLimits(most=1, inline=INLINE, with_system=False, image_first=True),
        fact=f"{SCHEMAS}; {VLM_DOCS}",
    ),
    row(
        r"llama-3[._]2-(1b|3b)",
        "Llama 3.2",
        vision=False,
        tools=True,
        tool_calls_as_text="llama",
        thinking=NEVER,
        hosted=HostedRules(
            string_content=True,
            roles=_ALL_ROLES - {"tool"},
            max_tokens=4096,
            default_max_tokens=1024,
            temperature=_UNIT,
            tools=False,
        ),
        fact=f"{SCHEMAS}: no tools and no role tool",
    ),
    row(
        r"(^|/)(meta-)?llama-3[._][13]-\d+b",
        "Llama 3.1 and 3.3",
        vision=False,
        tools=True,
        tool_calls_as_text="llama",
        thinking=NEVER,
        hosted=_LLAMA_HOSTED,
        fact=SCHEMAS,
    ),
    row(
        r"llama-4-",
        "Llama 4",
        vision=True,
        tools=True,
        tool_calls_as_text="llama",
        thinking=NEVER,
        images=ImageLimits(inline=INLINE),
        fact=f"{VLM_DOCS} 1.7; the hosted ones were retired in 2026-08",
    ),
    row(
        r"(^|/)(meta-)?(llama-?[23]-|codellama|llama2)",
        "Llama 2 and 3",
        vision=False,
        tools=False,
        thinking=NEVER,
        fact=CARDS,
    ),
)
