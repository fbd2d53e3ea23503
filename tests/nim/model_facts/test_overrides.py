"""A user's overrides of a model count for more than the known facts."""

from llama_stack_provider_nvidia.config.model_overrides import (
    ModelOverrideConfig,
    make_model_facts,
)
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.model_facts.overrides import ModelFacts
from llama_stack_provider_nvidia.nim.model_facts.profile import Temperatures
from llama_stack_provider_nvidia.nim.model_facts.registry import profile_of
from llama_stack_provider_nvidia.nim.model_facts.retrieval_models import find_embedding_model
from llama_stack_provider_nvidia.nim.requests.refusals import explain_refusal
from llama_stack_provider_nvidia.nim.requests.thinking import apply_reasoning

LLAMA_3B = "meta/llama-3.2-3b-instruct"
VISION = "meta/llama-3.2-11b-vision-instruct"
E5 = "nvidia/nv-embedqa-e5-v5"
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f"}}


def facts(**overrides: dict[str, object]) -> ModelFacts:
    return make_model_facts(
        {name: ModelOverrideConfig.model_validate(value) for name, value in overrides.items()}
    )


def test_without_overrides_it_is_what_is_known() -> None:
    assert ModelFacts().profile(LLAMA_3B) is not None
    assert ModelFacts().profile(LLAMA_3B) == profile_of(LLAMA_3B)
    assert ModelFacts().embedding_model(E5) is find_embedding_model(E5)
    assert ModelFacts().rerank_model("who/knows") is None


def test_a_correction_ends_the_explanation() -> None:
    body = {"model": LLAMA_3B, "messages": [USER], "tools": [TOOL], "max_tokens": 9000}
    old = explain_refusal(body, ModelFacts().profile(LLAMA_3B), Dialect.HOSTED)
    assert "has no tools" in str(old)
    corrected = facts(**{LLAMA_3B: {"tools": True, "max_tokens": 9000}}).profile(LLAMA_3B)
    assert explain_refusal(body, corrected, Dialect.HOSTED) is None


def test_a_pattern_holds_for_all_that_it_matches_in_any_case_and_the_last_one_wins() -> None:
    made = facts(
        **{
            "META/llama-3.2-*": {"max_images": 2, "max_temperature": 2},
            VISION: {"max_images": 5, "zero_temperature": False},
        }
    )
    other = made.profile("meta/llama-3.2-90b-vision-instruct")
    assert other.images
    assert other.images.most == 2
    assert other.images.inline == 180_000  # what is not given stays
    assert other.hosted.temperature == Temperatures(2)
    exact = made.profile(VISION)
    assert exact.images
    assert exact.images.most == 5
    assert exact.hosted.temperature == Temperatures(float("inf"), zero=False)
    assert made.profile("meta/llama-3.1-8b-instruct") == profile_of("meta/llama-3.1-8b-instruct")


def test_reasoning_of_a_model_that_is_not_known() -> None:
    made = facts(
        **{
            "acme/template": {
                "reasoning": {"switch": "template", "argument": "think", "tags": ["<r>", "</r>"]}
            },
            "acme/effort": {"reasoning": {"switch": "effort", "enable": "max"}},
            "acme/system": {
                "reasoning": {"switch": "system", "enable": "/on", "disable": "/off"},
            },
        }
    )

    def added(model: str, setting: str) -> object:
        body = {"model": model, "messages": [USER]}
        written = apply_reasoning(body, setting, made.profile(model), Dialect.NIM2_VLLM)  # type: ignore[arg-type]
        return {key: value for key, value in written.items() if body.get(key) != value}

    assert added("acme/template", "on") == {"chat_template_kwargs": {"think": True}}
    assert added("acme/template", "off") == {"chat_template_kwargs": {"think": False}}
    assert added("acme/effort", "on") == {"reasoning_effort": "max"}
    assert added("acme/effort", "off") == {"reasoning_effort": "none"}
    system = {"role": "system", "content": "/on"}
    assert added("acme/system", "on") == {"messages": [system, USER]}
    profile = made.profile("acme/template")
    assert (profile.inline_reasoning, profile.reasoning_tags) == (True, ("<r>", "</r>"))
    assert not made.profile("acme/effort").inline_reasoning


def test_retrieval_models() -> None:
    made = facts(
        **{
            E5: {"embedding_dimensions": [256, 1024]},
            "acme/embed": {"embedding_dimension": 64, "embedding_asymmetric": False},
            "acme/rerank": {"retrieval_images": True},
        }
    )
    known = made.embedding_model(E5)
    assert known
    assert (known.dimension, known.dimensions) == (1024, (256, 1024))
    own = made.embedding_model("acme/embed")
    assert own
    assert (own.dimension, own.asymmetric, own.dimensions) == (64, False, None)
    ranker = made.rerank_model("acme/rerank")
    assert ranker
    assert ranker.images
