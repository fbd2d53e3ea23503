"""Fuzz target: a NIM's model list, version and OpenAPI document."""

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.discovery.dialect_rules import ProbeResponse, detect
from llama_stack_provider_nvidia.nim.discovery.finding import Finding
from llama_stack_provider_nvidia.nim.model_facts.model_ids import parse_models

_KEYS = (
    *("data", "id", "created", "owned_by", "max_model_len", "parent", "release", "endpoints"),
    *("components", "schemas", "ChatCompletionRequest", "properties", "info", "title", "paths"),
    *("structured_outputs", "nvext", "ebnf", "message", "status", "instances", "version"),
)
_WORDS = ("meta/llama-3.1-8b-instruct", "vllm", "sglang", "1.8.4", "NVIDIA Dynamo", "nvidia")
SEEDS = [bytes(range(80)), bytes([1, 1, 2, 3, 1, 2, 0, 4, 2, 1, 4] * 6)]


def check(data: bytes) -> None:
    """Answer each question with anything."""
    source = Source(data)
    answers: dict[str, ProbeResponse] = {}
    step = detect(answers)
    while not isinstance(step, Finding):
        assert step not in answers
        answers[step] = ProbeResponse(source.pick((200, 404, 500)), source.json(_KEYS, _WORDS))
        step = detect(answers)
    for answer in answers.values():
        for entry in parse_models(answer.body):
            assert entry.id
