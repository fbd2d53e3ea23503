import pytest

from llama_stack_provider_nvidia.nim.model_facts.model_ids import (
    Kind,
    kind_of,
    llama_aliases,
    may_be_alias,
    parse_models,
    served_id,
)

EMBEDDING = [
    "nvidia/nemotron-3-embed-1b",
    "nvidia/llama-nemotron-embed-1b-v2",
    "nvidia/llama-nemotron-embed-vl-1b-v2",
    "nvidia/nv-embedqa-e5-v5",
    "baai/bge-m3",
    "BAAI/bge-large-zh-v1.5",
    "bge-m3",
    "nvidia/llama-3.2-nv-embedqa-1b-v2",
    "nvidia/llama-3.2-nemoretriever-300m-embed-v1",
    "nvidia/llama-3.2-nemoretriever-1b-vlm-embed-v1",
    "snowflake/arctic-embed-l",
    "nvidia/nv-embed-v1",
    "nvidia/nv-embedcode-7b-v1",
    "nvidia/nvclip",
]
RERANK = [
    "nvidia/llama-nemotron-rerank-1b-v2",
    "nvidia/llama-nemotron-rerank-vl-1b-v2",
    "nvidia/llama-3.2-nemoretriever-500m-rerank-v2",
    "nvidia/llama-3.2-nv-rerankqa-1b-v2",
    "nv-rerank-qa-mistral-4b:1",
]
LLM = [
    "meta/llama-3.1-8b-instruct",
    "meta/llama-3.2-90b-vision-instruct",
    "meta/llama-guard-4-12b",
    "nvidia/nemotron-3-nano-30b-a3b",
    "nvidia/nemotron-nano-12b-v2-vl",
    "nvidia/nemotron-parse",
    "nvidia/llama-3.1-nemoguard-8b-content-safety",
    "openai/gpt-oss-120b",
    "team/adapter-a@v1",
    "",
]


@pytest.mark.parametrize(
    ("model_id", "kind"),
    [
        *((model_id, Kind.EMBEDDING) for model_id in EMBEDDING),
        *((model_id, Kind.RERANK) for model_id in RERANK),
        *((model_id, Kind.LLM) for model_id in LLM),
    ],
)
def test_kind_is_told_from_the_id(model_id, kind):
    assert kind_of(model_id) is kind


def test_nim1_list_gives_context_and_parent():
    body = {
        "object": "list",
        "data": [
            {
                "id": "meta/llama-3.1-8b-instruct",
                "owned_by": "system",
                "root": "meta/llama-3.1-8b-instruct",
                "parent": None,
                "max_model_len": 131072,
                "permission": [{}],
            },
            {
                "id": "team/adapter-a@v1",
                "owned_by": "system",
                "root": "hf://team/adapter-a@v1",
                "parent": "meta/llama-3.1-8b-instruct",
                "max_model_len": None,
            },
        ],
    }
    base, adapter = parse_models(body)
    assert (base.id, base.context_length, base.parent) == (
        "meta/llama-3.1-8b-instruct",
        131072,
        None,
    )
    assert (adapter.context_length, adapter.parent) == (None, base.id)
    assert base.owner == "system"


@pytest.mark.parametrize(
    ("entry", "owner", "context"),
    [
        pytest.param(
            {"id": "nvidia/nemotron-3-nano", "owned_by": "vllm", "max_model_len": 262144},
            "vllm",
            262144,
            id="nim2 with vLLM",
        ),
        pytest.param(
            {"id": "z/glm", "owned_by": "sglang", "max_model_len": 131072},
            "sglang",
            131072,
            id="nim2 with SGLang",
        ),
        pytest.param(
            {"id": "Qwen/Qwen3-0.6B", "object": "object", "owned_by": "nvidia"},
            "nvidia",
            None,
            id="dynamo 1.0",
        ),
        pytest.param(
            {"id": "Qwen/Qwen3-0.6B", "owned_by": "nvidia", "context_window": 2048},
            "nvidia",
            2048,
            id="dynamo 1.6",
        ),
        pytest.param(
            {
                "id": "smollm2",
                "owned_by": "llamacpp",
                "meta": {"n_ctx": 1024, "n_ctx_train": 8192, "n_params": 134515008},
            },
            "llamacpp",
            1024,
            id="llama.cpp",
        ),
        pytest.param({"id": "m", "meta": {"n_ctx": True}}, None, None, id="true is no number"),
        pytest.param({"id": "m", "meta": [], "context_window": -1}, None, None, id="no length"),
        pytest.param(
            {"id": "m", "created": 735790403, "owned_by": "meta"}, "meta", None, id="hosted"
        ),
        pytest.param({"id": "nvidia/nv-embedqa-e5-v5"}, None, None, id="retriever"),
    ],
)
def test_entry_of_each_generation_is_read(entry, owner, context):
    (made,) = parse_models({"object": "list", "data": [entry]})
    assert (made.id, made.owner, made.context_length) == (entry["id"], owner, context)


def test_ids_listed_twice_are_one_model():
    assert len(parse_models({"data": [{"id": "a"}, {"id": "b"}, {"id": "a"}]})) == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param("html", id="text"),
        pytest.param({}, id="no data"),
        pytest.param({"data": None}, id="null data"),
        pytest.param({"data": "x"}, id="data is text"),
        pytest.param({"data": [None, "x", {}, {"id": None}, {"id": 5}, {"id": ""}]}, id="no ids"),
        pytest.param({"error": {"message": "no"}}, id="error"),
    ],
)
def test_list_that_cannot_be_read_is_empty(body):
    assert parse_models(body) == []


def test_fields_of_wrong_types_are_left_out():
    (made,) = parse_models(
        {"data": [{"id": "a", "max_model_len": "5", "parent": 5, "owned_by": []}]}
    )
    assert (made.context_length, made.parent, made.owner) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "nim_id"),
    [
        ("Llama3.1-8B-Instruct", "meta/llama-3.1-8b-instruct"),
        ("meta-llama/Llama-3.1-8B-Instruct", "meta/llama-3.1-8b-instruct"),
        ("Llama-3.1-8B-Instruct", "meta/llama-3.1-8b-instruct"),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "meta/llama-3.1-405b-instruct"),
        ("Llama3.2-11B-Vision-Instruct", "meta/llama-3.2-11b-vision-instruct"),
        ("Llama3.3-70B-Instruct", "meta/llama-3.3-70b-instruct"),
        ("meta-llama/Llama-3.3-70B-Instruct", "meta/llama-3.3-70b-instruct"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "meta/llama3-8b-instruct"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta/llama-3.1-8b-instruct"),
        ("Llama-3-70B-Instruct", "meta/llama3-70b-instruct"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "meta/llama-4-scout-17b-16e-instruct"),
        ("meta-llama/Llama-Guard-4-12B", "meta/llama-guard-4-12b"),
    ],
)
@pytest.mark.parametrize("served", [None, [], ["other/model"]], ids=["unknown", "none", "other"])
def test_llama_names_lead_to_nims_ids(name, nim_id, served):
    assert served_id(name, served) == nim_id
    assert may_be_alias(name)


def test_name_that_the_nim_serves_is_taken_as_it_is():
    name = "meta-llama/Llama-3.1-8B-Instruct"
    assert served_id(name, iter([name, "x"])) == name


@pytest.mark.parametrize("name", ["my/model", "meta/llama-3.1-8b-instruct", "llama-of-mine"])
def test_unknown_name_is_left_alone(name):
    assert served_id(name, None) == name


@pytest.mark.parametrize("name", ["meta/llama-3.1-8b-instruct", "nvidia/llama-x", "qwen/qwen3"])
def test_ids_of_nim_need_no_look_into_the_table(name):
    assert not may_be_alias(name)


def test_base_models_and_other_quantizations_are_no_nims():
    assert "meta-llama/Llama-3.1-8B" not in llama_aliases()
    assert all(
        value == value.lower() and value.startswith("meta/") for value in llama_aliases().values()
    )
    assert not [value for value in llama_aliases().values() if "qlora" in value or "int4" in value]
