import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.discovery.dialect_rules import (
    HEALTH,
    MODELS,
    OPENAPI,
    VERSION,
    ProbeResponse,
    detect,
    known_by_address,
)
from llama_stack_provider_nvidia.nim.discovery.finding import Finding

MISSING = ProbeResponse(404)
NIM1_MODEL = {
    "id": "meta/llama-3.1-8b-instruct",
    "object": "model",
    "created": 1745354426,
    "owned_by": "system",
    "root": "meta/llama-3.1-8b-instruct",
    "parent": None,
    "permission": [{"id": "modelperm-0"}],
}
ENGINE_MODEL = {"id": "z/glm", "object": "model", "created": 1780000000, "root": "z/glm"}
HOSTED = [
    {"id": "meta/llama-3.1-8b-instruct", "created": 735790403, "owned_by": "meta"},
    {"id": "nvidia/llama-nemotron-embed-1b-v2", "created": 735790403, "owned_by": "nvidia"},
]
DYNAMO_MODEL = {"id": "Qwen/Qwen3-0.6B", "object": "object", "created": 1780000000}
DYNAMO_HEALTH = {"status": "healthy", "endpoints": ["dyn://ns.backend"], "instances": []}


def models(*entries):
    return ProbeResponse(200, {"object": "list", "data": list(entries)})


def owned(owner):
    return models({**ENGINE_MODEL, "owned_by": owner})


def chat_schema(*fields):
    schema = {"properties": {field: {} for field in ("messages", *fields)}}
    return ProbeResponse(200, {"components": {"schemas": {"ChatCompletionRequest": schema}}})


def version(release):
    return ProbeResponse(200, {"release": release, "api": "1.0"})


CASES = {
    "hosted behind a proxy": ({MODELS: models(*HOSTED)}, "hosted", None),
    "NIM 1.x": ({MODELS: models(NIM1_MODEL), VERSION: version("1.8.4")}, "nim1", "1.8.4"),
    "NIM 1.x without management": ({MODELS: models(NIM1_MODEL), VERSION: MISSING}, "nim1", None),
    "NIM 2.x with vLLM": ({MODELS: owned("vllm"), VERSION: version("2.1.5")}, "nim2-vllm", "2.1.5"),
    "plain vLLM": ({MODELS: owned("vllm"), VERSION: MISSING}, "nim2-vllm", None),
    "a new image with an old number": (
        {MODELS: owned("vllm"), VERSION: version("1.0.0")},
        "nim2-vllm",
        "1.0.0",
    ),
    "NIM 2.x with SGLang": (
        {MODELS: owned("sglang"), VERSION: version("2.1.0")},
        "nim2-sglang",
        "2.1.0",
    ),
    "plain SGLang": ({MODELS: owned("sglang"), VERSION: MISSING}, "nim2-sglang", None),
    "Dynamo": (
        {
            MODELS: models({**DYNAMO_MODEL, "owned_by": "nvidia"}),
            HEALTH: ProbeResponse(200, DYNAMO_HEALTH),
        },
        "dynamo",
        None,
    ),
    "Dynamo without health": (
        {
            MODELS: models({**DYNAMO_MODEL, "owned_by": "nvidia"}),
            HEALTH: MISSING,
            VERSION: MISSING,
            OPENAPI: ProbeResponse(200, {"info": {"title": "NVIDIA Dynamo OpenAI Frontend"}}),
        },
        "dynamo",
        None,
    ),
    "a NIM 1.x that lists ids alone": (
        {MODELS: models({"id": "m"}), VERSION: version("1.10.1"), OPENAPI: chat_schema("nvext")},
        "nim1",
        "1.10.1",
    ),
    "a NIM 2.x that lists ids alone": (
        {
            MODELS: models({"id": "m"}),
            VERSION: version("2.0.1"),
            OPENAPI: chat_schema("structured_outputs"),
        },
        "nim2-vllm",
        "2.0.1",
    ),
    "SGLang by its schema": (
        {MODELS: models({"id": "m"}), VERSION: MISSING, OPENAPI: chat_schema("ebnf", "regex")},
        "nim2-sglang",
        None,
    ),
    "a retriever NIM": (
        {
            MODELS: models({"id": "nvidia/nv-embedqa-e5-v5"}),
            VERSION: version("2.2.0"),
            OPENAPI: MISSING,
        },
        "generic",
        "2.2.0",
    ),
    "a 1.x release alone": (
        {MODELS: MISSING, VERSION: version("1.3.0"), OPENAPI: MISSING},
        "nim1",
        "1.3.0",
    ),
    "a 2.x release alone": (
        {MODELS: MISSING, VERSION: version("2.0.5"), OPENAPI: MISSING},
        "nim2-vllm",
        "2.0.5",
    ),
    "a gateway that calls itself system": (
        {
            MODELS: models({"id": "gpt", "owned_by": "system", "created": 1780000000}),
            VERSION: MISSING,
            OPENAPI: MISSING,
        },
        "generic",
        None,
    ),
    "a gateway with the inference routes alone": (
        {MODELS: MISSING, VERSION: MISSING, OPENAPI: MISSING},
        "generic",
        None,
    ),
    "a gateway that wants a key": (
        {MODELS: ProbeResponse(401), VERSION: ProbeResponse(401), OPENAPI: ProbeResponse(401)},
        "generic",
        None,
    ),
    "no models at all": ({MODELS: models(), VERSION: MISSING, OPENAPI: MISSING}, "generic", None),
    "rubbish": (
        {
            MODELS: ProbeResponse(200, {"data": [1, None]}),
            VERSION: ProbeResponse(200, "1.0"),
            OPENAPI: ProbeResponse(200, {"info": 1, "components": {"schemas": {"ChatRequest": 5}}}),
        },
        "generic",
        None,
    ),
    "more rubbish": (
        {
            MODELS: ProbeResponse(200, []),
            VERSION: ProbeResponse(200, {}),
            OPENAPI: ProbeResponse(200, {}),
        },
        "generic",
        None,
    ),
}


@pytest.mark.parametrize(("answers", "dialect", "release"), CASES.values(), ids=CASES.keys())
def test_the_dialect_is_found_by_asking_no_more_than_needed(answers, dialect, release):
    known = {}
    while isinstance(step := detect(known), str):
        assert step in answers, f"asks {step} beyond what settles it"
        known[step] = answers[step]
    assert known.keys() == answers.keys()
    assert (step.dialect, step.release) == (dialect, release)
    assert step.reason


def test_the_hosted_catalogue_is_known_without_a_question():
    finding = known_by_address("https://integrate.api.nvidia.com/v1")
    assert isinstance(finding, Finding)
    assert finding.dialect is Dialect.HOSTED
    assert known_by_address("http://localhost:8000/v1") is None


@pytest.mark.parametrize(
    ("name", "is_certain"),
    [
        ("NIM 1.x", True),
        ("NIM 1.x without management", True),
        ("plain vLLM", True),
        ("Dynamo", True),
        ("a retriever NIM", True),
        ("a gateway that calls itself system", True),
        # Each of these may be a NIM behind a gateway, or one that is starting.
        ("a gateway with the inference routes alone", False),
        ("a gateway that wants a key", False),
        ("no models at all", False),
        ("rubbish", False),
    ],
)
def test_what_rests_on_no_answer_is_a_guess(name, is_certain):
    answers, _, _ = CASES[name]
    assert detect(answers).is_certain is is_certain


@pytest.mark.parametrize("status", [200, 301, 401, 403, 429, 500, 502, 503])
@pytest.mark.parametrize("path", [MODELS, VERSION])
def test_one_refusal_makes_a_guess_of_it(status, path):
    """With status 200 as well: a page in the place of JSON."""
    answers = {MODELS: models(NIM1_MODEL), VERSION: version("1.8.4"), OPENAPI: MISSING}
    assert detect(answers).is_certain
    assert not detect({**answers, path: ProbeResponse(status)}).is_certain
