"""What the model families of other makers can do, after those of ``profile_data``."""

from .profile_data import (
    CARDS,
    ENABLE_THINKING,
    INLINE,
    LANGCHAIN,
    SCHEMAS,
    USER_ONLY,
    VLM_DOCS,
    row,
    tagged,
)
from .profiles import (
    NEVER,
    Always,
    Effort,
    Family,
    HostedRules,
    ImageLimits,
    TemplateArgument,
    ThinkingSwitch,
)

# deepseek-v3.1 and later, and kimi-k2.5 and later: their own chat templates read this name.
_THINKING = TemplateArgument("thinking")

_OPENAI: tuple[Family, ...] = (
    row(
        r"gpt-oss",
        "gpt-oss",
        vision=False,
        tools=True,
        thinking=ThinkingSwitch(Always("send `reasoning_effort`: `low` to have it think less")),
        fact=f"{CARDS}; {LANGCHAIN}",
    ),
)

_QWEN: tuple[Family, ...] = (
    row(
        r"qwq|qwen3-.*thinking",
        "Qwen thinking models",
        tools=True,
        thinking=tagged(Always()),
        inline_think=True,
        opens_in_prompt=True,
        fact=CARDS,
    ),
    row(
        r"qwen3[._]\d",
        "Qwen 3.5 and later",
        vision=True,
        tools=True,
        thinking=tagged(ENABLE_THINKING),
        inline_think=True,
        opens_in_prompt=True,
        fact=f"{CARDS}; NIM 2.1.5 release notes; {VLM_DOCS} 1.7",
    ),
    row(r"qwen.*-vl-", "Qwen VL", vision=True, thinking=NEVER, fact=CARDS),
    row(
        r"qwen3-(coder|.*instruct)",
        "Qwen 3 instruct models",
        vision=False,
        tools=True,
        thinking=NEVER,
        fact=CARDS,
    ),
    row(
        r"qwen3-",
        "Qwen 3",
        vision=False,
        tools=True,
        thinking=tagged(ENABLE_THINKING),
        inline_think=True,
        fact=f"{CARDS}; {LANGCHAIN}",
    ),
    row(r"qwen", "Qwen 2 and 2.5", thinking=NEVER, fact=CARDS),
)

_DEEPSEEK: tuple[Family, ...] = (
    row(
        r"deepseek-r1",
        "DeepSeek R1",
        vision=False,
        thinking=tagged(Always()),
        inline_think=True,
        opens_in_prompt=True,
        fact=CARDS,
    ),
    row(
        r"deepseek-v(3[._][12]|[4-9])",
        "DeepSeek V3.1 and later",
        vision=False,
        tools=True,
        thinking=tagged(_THINKING),
        inline_think=True,
        opens_in_prompt=True,
        fact=f"{CARDS}; {LANGCHAIN} for V4; hosted examples for V3.1",
    ),
    row(r"deepseek", "DeepSeek", vision=False, thinking=NEVER, fact=CARDS),
)

_KIMI_HOSTED = HostedRules(tool_fields=frozenset({"description", "parameters"}))
_KIMI: tuple[Family, ...] = (
    row(
        r"kimi-k2-thinking",
        "Kimi K2 Thinking",
        vision=False,
        tools=True,
        thinking=tagged(Always()),
        inline_think=True,
        hosted=_KIMI_HOSTED,
        echo_reasoning=True,
        fact=f"{CARDS}; {SCHEMAS} of K2.6",
    ),
    row(
        r"kimi-k(2[._]\d|[3-9])",
        "Kimi K2.5 and later",
        vision=True,
        tools=True,
        thinking=tagged(_THINKING),
        inline_think=True,
        hosted=_KIMI_HOSTED,
        echo_reasoning=True,
        fact=f"{SCHEMAS}; {LANGCHAIN}",
    ),
    row(
        r"kimi",
        "Kimi K2",
        vision=False,
        tools=True,
        thinking=NEVER,
        hosted=_KIMI_HOSTED,
        fact=f"{SCHEMAS} of K2.6; {LANGCHAIN}",
    ),
)

_MINIMAX: tuple[Family, ...] = (
    row(
        r"minimax-m2",
        "MiniMax M2",
        vision=False,
        tools=True,
        thinking=tagged(Always()),
        inline_think=True,
        opens_in_prompt=True,
        fact=CARDS,
    ),
    row(
        r"minimax-m[3-9]",
        "MiniMax M3",
        tools=True,
        thinking=tagged(TemplateArgument("thinking_mode", "enabled", "disabled")),
        inline_think=True,
        fact=LANGCHAIN,
    ),
)

_MISTRAL: tuple[Family, ...] = (
    row(
        r"mistral-small-4",
        "Mistral Small 4",
        vision=True,
        tools=True,
        thinking=ThinkingSwitch(Effort("high", "none")),
        fact=f"{CARDS}; vLLM recipes; {LANGCHAIN}",
    ),
    row(r"magistral", "Magistral", tools=True, thinking=ThinkingSwitch(Always()), fact=CARDS),
    row(
        r"pixtral|mistral-(small-3[._][12]|medium-3)",
        "Mistral models that see",
        vision=True,
        tools=True,
        thinking=NEVER,
        fact=f"{CARDS}; {VLM_DOCS} 1.7",
    ),
    row(r"mistral|mixtral|ministral|codestral", "Mistral", thinking=NEVER, fact=CARDS),
)

_GOOGLE: tuple[Family, ...] = (
    row(
        r"gemma-4",
        "Gemma 4",
        vision=True,
        tools=True,
        thinking=ThinkingSwitch(ENABLE_THINKING),
        fact=f"{LANGCHAIN}; NIM 2.1.5 release notes",
    ),
    row(
        r"gemma-3-1b|(^|/|code)gemma-(1|2)|(^|/|code)gemma-\d+b|recurrentgemma",
        "Gemma that reads",
        vision=False,
        tools=False,
        thinking=NEVER,
        hosted=HostedRules(roles=USER_ONLY, tools=False),
        fact=f"{SCHEMAS}; LiteLLM's list of parameters",
    ),
    row(
        r"gemma-3",
        "Gemma 3",
        vision=True,
        thinking=NEVER,
        hosted=HostedRules(roles=USER_ONLY, tools=False),
        images=ImageLimits(inline=INLINE),
        fact=SCHEMAS,
    ),
)

_OTHERS: tuple[Family, ...] = (
    row(
        r"glm-?5[._]2",
        "GLM 5.2",
        vision=False,
        tools=True,
        thinking=tagged(Effort("high", "none")),
        inline_think=True,
        fact=f"{LANGCHAIN}; {SCHEMAS}",
    ),
    row(
        r"glm-?[4-9]([._]\d)?v",
        "GLM V",
        vision=True,
        thinking=tagged(ENABLE_THINKING),
        inline_think=True,
        fact=CARDS,
    ),
    row(
        r"glm-?(4[._][5-9]|[5-9])",
        "GLM 4.5 and later",
        vision=False,
        tools=True,
        thinking=tagged(ENABLE_THINKING),
        inline_think=True,
        fact=f"{LANGCHAIN}; {SCHEMAS}",
    ),
    row(
        r"step-3",
        "Step 3",
        tools=True,
        thinking=ThinkingSwitch(Always("send `reasoning_effort`: `low` to have it think less")),
        fact=LANGCHAIN,
    ),
    row(
        r"phi-(3[._]?5?-vision|4-multimodal)",
        "Phi that sees",
        vision=True,
        thinking=NEVER,
        images=ImageLimits(inline=INLINE),
        fact=f"{CARDS}; {SCHEMAS}",
    ),
)

FAMILIES = _OPENAI + _QWEN + _DEEPSEEK + _KIMI + _MINIMAX + _MISTRAL + _GOOGLE + _OTHERS
