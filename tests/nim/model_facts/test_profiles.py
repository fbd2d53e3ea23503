import re

import pytest

from llama_stack_provider_nvidia.nim.model_facts.model_ids import Kind
from llama_stack_provider_nvidia.nim.model_facts.profile import (
    UNKNOWN,
    Always,
    Effort,
    Never,
    SystemText,
    TemplateArgument,
)
from llama_stack_provider_nvidia.nim.model_facts.registry import FAMILIES, profile_of

# Every family, by ids of it: NIM's own, Hugging Face's, and older ones.
IDS = {
    "Llama Guard (images)": ["meta/llama-guard-4-12b", "meta/llama-guard-3-11b-vision"],
    "Nemotron content safety (images)": [
        "nvidia/nemotron-3-content-safety",
        "nvidia/nemotron-3.5-content-safety",
    ],
    "safety models": [
        "meta/llama-guard-3-8b",
        "nvidia/llama-3.1-nemoguard-8b-content-safety",
        "nvidia/llama-3.1-nemoguard-8b-topic-control",
        "nvidia/llama-3.1-nemotron-safety-guard-8b-v3",
        "nvidia/nemotron-content-safety-reasoning-4b",
        "google/shieldgemma-9b",
    ],
    "reward models": ["nvidia/llama-3.1-nemotron-70b-reward"],
    "document parsers": [
        "nvidia/nemotron-parse",
        "nvidia/nemotron-parse-2.0",
        "nvidia/nemotron-parse-v2.0",
        "nvidia/nemoretriever-parse",
    ],
    "completion models": ["bigcode/starcoder2-7b", "nvidia/mistral-nemo-minitron-8b-base"],
    "Nemotron 3 Nano Omni": ["nvidia/nemotron-3-nano-omni-30b-a3b-reasoning"],
    "Nemotron 3 Nano": [
        "nvidia/nemotron-3-nano",
        "nvidia/nemotron-3-nano-30b-a3b",
        "nvdev/nvidia/nemotron-3-nano-30b-a3b",
        "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    ],
    "Nemotron 3 Ultra": ["nvidia/nemotron-3-ultra-550b-a55b"],
    "Nemotron 3 Super and 3.5 Lightning": [
        "nvidia/nemotron-3-super-120b-a12b",
        "nvidia/nemotron-3.5-lightning-30b-a3b",
    ],
    "Nemotron Nano 12B v2 VL": ["nvidia/nemotron-nano-12b-v2-vl"],
    "Nemotron Nano v2": ["nvidia/nvidia-nemotron-nano-9b-v2", "nvidia/NVIDIA-Nemotron-Nano-12B-v2"],
    "Llama Nemotron Super v1.5": [
        "nvidia/llama-3.3-nemotron-super-49b-v1.5",
        "nvidia/Llama-3_3-Nemotron-Super-49B-v1_5",
    ],
    "Llama Nemotron Nano VL": ["nvidia/llama-3.1-nemotron-nano-vl-8b-v1"],
    "Llama Nemotron Super v1": ["nvidia/llama-3.3-nemotron-super-49b-v1"],
    "Llama Nemotron Nano and Ultra v1": [
        "nvidia/llama-3.1-nemotron-nano-8b-v1",
        "nvidia/llama-3.1-nemotron-nano-4b-v1.1",
        "nvidia/llama-3.1-nemotron-ultra-253b-v1",
    ],
    "earlier Nemotron": [
        "nvidia/llama-3.1-nemotron-70b-instruct",
        "nvidia/llama-3.1-nemotron-51b-instruct",
        "nvidia/nemotron-mini-4b-instruct",
        "nvidia/nemotron-4-340b-instruct",
    ],
    "Muse Glimmer": ["meta/muse-glimmer-30b"],
    "Llama 3.2 Vision": [
        "meta/llama-3.2-11b-vision-instruct",
        "meta/llama-3.2-90b-vision-instruct",
    ],
    "Llama 3.2": ["meta/llama-3.2-1b-instruct", "meta-llama/Llama-3.2-3B-Instruct"],
    "Llama 3.1 and 3.3": [
        "meta/llama-3.1-8b-instruct",
        "meta/llama-3.1-405b-instruct",
        "meta/llama-3.3-70b-instruct",
        "meta-llama/Meta-Llama-3.1-8B-Instruct",
    ],
    "Llama 4": ["meta/llama-4-maverick-17b-128e-instruct", "meta/llama-4-scout-17b-16e-instruct"],
    "Llama 2 and 3": ["meta/llama3-8b-instruct", "meta/llama2-70b", "meta/codellama-70b"],
    "gpt-oss": ["openai/gpt-oss-20b", "openai/gpt-oss-120b"],
    "Qwen thinking models": [
        "qwen/qwq-32b",
        "qwen/qwen3-next-80b-a3b-thinking",
        "Qwen/Qwen3-235B-A22B-Thinking-2507",
    ],
    "Qwen 3.5 and later": ["qwen/qwen3.5-397b-a17b", "qwen/qwen3.5-122b-a10b"],
    "Qwen VL": ["qwen/qwen2.5-vl-7b-instruct", "qwen/qwen3-vl-235b-a22b-instruct"],
    "Qwen 3 instruct models": [
        "qwen/qwen3-next-80b-a3b-instruct",
        "qwen/qwen3-coder-480b-a35b-instruct",
    ],
    "Qwen 3": ["qwen/qwen3-235b-a22b", "Qwen/Qwen3-0.6B"],
    "Qwen 2 and 2.5": ["qwen/qwen2-7b-instruct", "qwen/qwen2.5-coder-32b-instruct"],
    "DeepSeek R1": ["deepseek-ai/deepseek-r1", "deepseek-ai/deepseek-r1-distill-llama-8b"],
    "DeepSeek V3.1 and later": [
        "deepseek-ai/deepseek-v3.1-terminus",
        "deepseek-ai/deepseek-v3.2",
        "deepseek-ai/deepseek-v4-flash-0731",
    ],
    "DeepSeek": ["deepseek-ai/deepseek-v3", "deepseek-ai/deepseek-coder-6.7b-instruct"],
    "Kimi K2 Thinking": ["moonshotai/kimi-k2-thinking"],
    "Kimi K2.5 and later": ["moonshotai/kimi-k2.5", "moonshotai/kimi-k2.6"],
    "Kimi VL Thinking": ["moonshotai/Kimi-VL-A3B-Thinking-2506"],
    "Kimi K2": ["moonshotai/kimi-k2-instruct", "moonshotai/kimi-k2-instruct-0905"],
    "MiniMax M2": ["minimaxai/minimax-m2", "minimaxai/minimax-m2.7"],
    "MiniMax M3": ["minimaxai/minimax-m3"],
    "Mistral Small 4": ["mistralai/mistral-small-4-119b-2603"],
    "Magistral": ["mistralai/magistral-small-2506"],
    "Mistral models that see": [
        "mistralai/mistral-small-3.2-24b-instruct-2506",
        "mistralai/mistral-medium-3-instruct",
        "mistralai/pixtral-12b",
    ],
    "Mistral": [
        "mistralai/mistral-7b-instruct-v0.3",
        "mistralai/mixtral-8x7b-instruct-v0.1",
        "mistralai/codestral-22b-instruct-v0.1",
    ],
    "Gemma 4": ["google/gemma-4-31b-it", "google/gemma-4-26b-a4b-it"],
    "Gemma that reads": [
        "google/gemma-2-9b-it",
        "google/gemma-7b",
        "google/gemma-3-1b-it",
        "google/codegemma-7b",
        "google/recurrentgemma-2b",
    ],
    "Gemma 3": ["google/gemma-3-27b-it"],
    "GLM 5.2": ["z-ai/glm-5.2", "zai-org/GLM-5.2"],
    "GLM V": ["z-ai/glm-4.5v"],
    "GLM 4.5 and later": ["z-ai/glm4.7", "z-ai/glm5", "z-ai/glm-5.1", "zai-org/GLM-4.5"],
    "Step 3": ["stepfun-ai/step-3.5-flash"],
    "Seed OSS": ["bytedance/seed-oss-36b-instruct", "ByteDance-Seed/Seed-OSS-36B-Instruct"],
    "Phi that sees": [
        "microsoft/phi-3-vision-128k-instruct",
        "microsoft/phi-3.5-vision-instruct",
        "microsoft/phi-4-multimodal-instruct",
    ],
}


@pytest.mark.parametrize(
    ("model", "family"),
    [(model, family) for family, models in IDS.items() for model in models],
)
def test_family(model: str, family: str) -> None:
    assert profile_of(model).family == family


def test_every_row_is_in_the_table_above_once() -> None:
    names = [family.profile.family for family in FAMILIES]
    assert sorted(names) == sorted(IDS)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.profile.family)
def test_every_row_says_where_it_is_from_and_agrees_with_itself(family) -> None:
    profile = family.profile
    assert family.source
    assert re.fullmatch(r"20\d\d-[01]\d", profile.date)
    assert profile.kind is Kind.LLM
    if profile.tools is False:
        assert profile.tool_calls_as_text in (None, "llama")
    if profile.images:
        assert profile.vision
    if profile.hosted.string_content:
        assert profile.vision is False
    if profile.opens_in_prompt:
        assert profile.inline_reasoning
    if profile.inline_reasoning:
        assert profile.reasoning
        assert not isinstance(profile.reasoning.form, Never)
    if not profile.hosted.tools:
        assert profile.hosted.tool_choices is None
        assert not profile.hosted.tool_fields


@pytest.mark.parametrize(
    "model", ["somebody/else-7b", "team/adapter-a@v1", "mediatek/breeze-7b-instruct", ""]
)
def test_an_unknown_model_is_forbidden_nothing(model: str) -> None:
    profile = profile_of(model)
    assert profile is UNKNOWN
    assert (profile.vision, profile.tools, profile.reasoning) == (None, None, None)
    assert not profile.inline_reasoning
    assert not profile.accepts_reasoning_history


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("nvidia/llama-3.2-nv-embedqa-1b-v2", Kind.EMBEDDING),
        ("nvidia/nvclip", Kind.EMBEDDING),
        ("nvidia/llama-3.2-nv-rerankqa-1b-v2", Kind.RERANK),
        ("nvidia/llama-nemotron-rerank-vl-1b-v2", Kind.RERANK),
    ],
)
def test_retrieval_models(model: str, kind: Kind) -> None:
    profile = profile_of(model)
    assert (profile.kind, profile.task, profile.tools) == (kind, "retrieval", False)


@pytest.mark.parametrize(
    ("model", "form"),
    [
        (
            "nvidia/llama-3.3-nemotron-super-49b-v1",
            SystemText("detailed thinking on", "detailed thinking off"),
        ),
        ("nvidia/nvidia-nemotron-nano-9b-v2", SystemText("/think", "/no_think")),
        ("nvidia/nemotron-nano-12b-v2-vl", SystemText("/think", "/no_think")),
        ("nvidia/nemotron-3-super-120b-a12b", TemplateArgument("enable_thinking")),
        ("qwen/qwen3.5-122b-a10b", TemplateArgument("enable_thinking")),
        ("google/gemma-4-31b-it", TemplateArgument("enable_thinking")),
        ("z-ai/glm5", TemplateArgument("enable_thinking")),
        ("deepseek-ai/deepseek-v4-pro-0813", TemplateArgument("thinking")),
        ("moonshotai/kimi-k2.6", TemplateArgument("thinking")),
        ("minimaxai/minimax-m3", TemplateArgument("thinking_mode", "enabled", "disabled")),
        ("mistralai/mistral-small-4-119b-2603", Effort("high", "none")),
        ("z-ai/glm-5.2", Effort("high", "none")),
        ("meta/llama-3.1-8b-instruct", Never()),
    ],
)
def test_thinking_form(model: str, form: object) -> None:
    reasoning = profile_of(model).reasoning
    assert reasoning
    assert reasoning.form == form


@pytest.mark.parametrize(
    "model", ["openai/gpt-oss-20b", "meta/muse-glimmer-30b", "deepseek-ai/deepseek-r1"]
)
def test_models_that_always_think(model: str) -> None:
    reasoning = profile_of(model).reasoning
    assert reasoning
    assert isinstance(reasoning.form, Always)
    assert reasoning.form.workaround


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("meta/llama-3.1-70b-instruct", 4096),
        ("meta/llama-3.2-90b-vision-instruct", 8192),
        ("meta/muse-glimmer-30b", 131_072),
        ("nvidia/llama-3.3-nemotron-super-49b-v1", 16_384),
        ("nvidia/llama-3.3-nemotron-super-49b-v1.5", 65_536),
        ("nvidia/nemotron-3-nano-30b-a3b", 32_768),
        ("nvidia/nemotron-3-nano-omni-30b-a3b-reasoning", 65_536),
    ],
)
def test_hosted_ceilings(model: str, limit: int) -> None:
    assert profile_of(model).hosted.max_tokens == limit


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("meta/llama-3.1-8b-instruct", "llama"),
        ("meta/llama-4-scout-17b-16e-instruct", "llama"),
        ("nvidia/llama-3.1-nemotron-nano-8b-v1", "nemotron"),
        ("nvidia/nvidia-nemotron-nano-9b-v2", "nemotron"),
        ("nvidia/nemotron-3-nano", None),
        ("openai/gpt-oss-20b", None),
    ],
)
def test_style_of_tool_calls_in_text(model: str, style: str | None) -> None:
    assert profile_of(model).tool_calls_as_text == style
