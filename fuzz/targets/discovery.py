"""What a NIM says of itself: its models, its release, its OpenAPI document."""

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.discovery.detect import Answer, Finding, detect
from llama_stack_provider_nvidia.nim.discovery.models import parse_models

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
    answers: dict[str, Answer] = {}
    step = detect(answers)
    while not isinstance(step, Finding):
        assert step not in answers
        answers[step] = Answer(source.pick((200, 404, 500)), source.json(_KEYS, _WORDS))
        step = detect(answers)
    for answer in answers.values():
        for entry in parse_models(answer.body):
            assert entry.id
