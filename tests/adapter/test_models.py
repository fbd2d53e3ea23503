"""The stack's registry and the NIM's models."""

import inspect
from collections.abc import Iterator

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.model_facts.model_ids import Kind
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from . import own_api
from .conftest import MODEL

MODELS = "/v1/models"
LISTED = [
    {"id": "meta/a", "max_model_len": 4096, "owned_by": "vllm"},
    {"id": "meta/b"},
    {"id": "lora", "parent": "meta/a", "max_model_len": None},
    {"id": "nvidia/nv-embedqa-e5-v5"},
    {"id": "dynamo", "context_window": 2048},
    {"id": "llama.cpp", "meta": {"n_ctx": 1024}},
]


def model(name: str, kind: str = "llm", **metadata: object) -> object:
    return stack.Model(
        identifier=name,
        provider_resource_id=name,
        provider_id="nvidia",
        model_type=kind,
        metadata=metadata,
    )


@pytest.fixture
def request_context(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the server has it while it answers a client."""
    headers = inspect.getmodule(stack.NeedsRequestProviderData)
    context = headers.request_provider_data_context({})
    with context:
        yield


def list_reply(*ids: str) -> dict[str, object]:
    return {"path": MODELS, "body": {"object": "list", "data": [{"id": i} for i in ids]}}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(None, [entry["id"] for entry in LISTED]), (["meta/b"], ["meta/b"])],
)
async def test_listing(nim: EmulatorServer, allowed: list[str] | None, expected: list[str]) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, allowed_models=allowed))
    nim.script([{"path": MODELS, "body": {"object": "list", "data": LISTED}}])
    assert await adapter.should_refresh_models() is True
    listed = {one.identifier: one for one in await adapter.list_models() or ()}
    assert list(listed) == expected
    assert await adapter.should_refresh_models() is False
    if allowed is None:
        assert listed["meta/a"].metadata == {"context_length": 4096}
        assert listed["dynamo"].metadata == {"context_length": 2048}
        assert listed["llama.cpp"].metadata == {"context_length": 1024}
        assert listed["lora"].metadata == {"base_model": "meta/a"}
        embedder = listed["nvidia/nv-embedqa-e5-v5"]
        assert embedder.model_type == stack.ModelType.embedding
        assert embedder.metadata["embedding_dimension"] == 1024
        assert embedder.metadata["context_length"] == 512
    nim.script([{"path": MODELS, "status": 503, "body": ""}])
    assert [one.identifier for one in await adapter.list_models() or ()] == expected
    await adapter.shutdown()


async def test_what_a_nim_that_is_down_serves_is_not_known() -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=f"http://127.0.0.1:{free_port()}"))
    assert await adapter.list_models() is None
    assert await adapter.should_refresh_models() is True
    await adapter.shutdown()


async def test_a_model_that_the_nim_lists_is_registered_with_what_is_known(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, request_context: None
) -> None:
    nim.script([{"path": MODELS, "body": {"object": "list", "data": LISTED}}])
    await adapter.list_models()
    made = model("nvidia/nv-embedqa-e5-v5", "embedding", embedding_dimension=7)
    assert await adapter.register_model(made) is made
    assert made.metadata == {"embedding_dimension": 7, "context_length": 512}
    await adapter.unregister_model("nvidia/nv-embedqa-e5-v5")


async def test_a_llama_name_is_registered(
    adapter: NVIDIAInferenceAdapter, request_context: None
) -> None:
    await adapter.register_model(model("Llama3.1-8B-Instruct"))
    await adapter.register_model(model("meta-llama/Llama-3.1-8B-Instruct"))


async def test_a_model_that_no_nim_has_is_refused_where_a_client_registers_it(
    adapter: NVIDIAInferenceAdapter, request_context: None
) -> None:
    with pytest.raises(errors.ModelNotFoundError, match=f"does not serve 'meta/x'.*{MODEL}"):
        await adapter.register_model(model("meta/x"))


async def test_the_check_can_be_switched_off(
    nim: EmulatorServer, request_context: None, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, model_validation=False))
    await adapter.register_model(model("meta/x"))
    assert "cannot be used now" in caplog.text
    await adapter.shutdown()


async def test_in_run_yaml_it_is_only_warned_of(
    adapter: NVIDIAInferenceAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    await adapter.register_model(model("meta/x"))
    assert "does not serve 'meta/x'" in caplog.text


async def test_a_nim_that_is_down_stops_no_registration(
    request_context: None, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=f"http://127.0.0.1:{free_port()}"))
    await adapter.register_model(model("meta/x"))
    assert "is not known yet" in caplog.text
    await adapter.shutdown()


async def test_rerank_models_with_a_url_of_their_own_are_listed(nim: EmulatorServer) -> None:
    urls = {"acme/ranks": f"{nim.url}/v1/ranking"}
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, rerank_model_to_url=urls))
    kinds = {one.identifier: one.model_type for one in await adapter.list_models() or ()}
    assert MODEL in kinds
    assert ("acme/ranks" in kinds) == (Kind.RERANK in stack.KINDS)
    assert kinds.get("acme/ranks", "rerank") == "rerank"
    await adapter.shutdown()


async def test_while_no_nim_answers_what_the_configuration_names_is_listed() -> None:
    down = f"http://127.0.0.1:{free_port()}"
    for config, expected in (
        ({}, None),
        ({"allowed_models": [MODEL]}, [MODEL]),
        ({"rerank_model_to_url": {"acme/ranks": down}, "allowed_models": [MODEL]}, [MODEL]),
    ):
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=down, max_retries=0, **config))
        listed = await adapter.list_models()
        assert (None if listed is None else [one.identifier for one in listed]) == expected
        await adapter.shutdown()


async def test_a_kind_that_does_not_fit_the_name_is_warned_of(
    adapter: NVIDIAInferenceAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    await adapter.register_model(model(MODEL, "embedding", embedding_dimension=1))
    assert "registered as embedding, but its name is that of a model for llm" in caplog.text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (410, {"title": "Gone", "status": 410, "detail": "end of life"}),
        (404, {"status": 404, "detail": "Function 'x': Not found for account 'y'"}),
    ],
)
async def test_a_model_that_is_listed_but_cannot_be_called_is_left_out(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, status: int, body: dict[str, object]
) -> None:
    nim.script([list_reply(MODEL, "meta/gone"), {"status": status, "body": body}])
    assert len(await adapter.list_models() or ()) == 2
    with pytest.raises(errors.ModelWithdrawnError):
        await own_api.chat(adapter, "meta/gone")
    nim.script([list_reply(MODEL, "meta/gone")])
    assert [one.identifier for one in await adapter.list_models() or ()] == [MODEL]
