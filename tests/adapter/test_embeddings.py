"""Embeddings of both APIs, in front of each kind of NIM that has them."""

import base64
import importlib
import logging
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer

E5 = "nvidia/nv-embedqa-e5-v5"
DYNAMIC = "nvidia/llama-nemotron-embed-1b-v2"
VL = "nvidia/llama-nemotron-embed-vl-1b-v2"
BGE = "baai/bge-m3"
UNKNOWN = "team/embedder"
LISTED = "team/embedder-query"
MODELS = [E5, DYNAMIC, VL, BGE, UNKNOWN, LISTED]
KEY = "nvapi-right"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)
IMAGE = f"data:image/png;base64,{PNG}"

Make = Callable[..., NVIDIAInferenceAdapter]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, EmulatorServer]]:
    dialects = ("retriever", "retriever1", "vllm", "hosted", "nim2-sglang")
    made = {
        name: EmulatorServer(
            name, MODELS, max_batch=40, **({"api_key": KEY} if name == "hosted" else {})
        ).start()
        for name in dialects
    }
    yield made
    for server in made.values():
        server.stop()


@pytest.fixture
def nims(servers: dict[str, EmulatorServer]) -> dict[str, EmulatorServer]:
    for server in servers.values():
        server.clear()
    return servers


@pytest.fixture
async def make(nims: dict[str, EmulatorServer]) -> AsyncIterator[Make]:
    adapters = []

    def made(which: str = "retriever", **config: Any) -> NVIDIAInferenceAdapter:
        config = {"url": nims[which].url, "max_retries": 0, "api_key": KEY, **config}
        adapters.append(NVIDIAInferenceAdapter(NVIDIAConfig(**config)))
        return adapters[-1]

    yield made
    for adapter in adapters:
        await adapter.shutdown()


@pytest.fixture
def nim(nims: dict[str, EmulatorServer]) -> EmulatorServer:
    return nims["retriever"]


class Store:
    """The stack's own list of models."""

    def __init__(self, models: dict[str, tuple[str, dict[str, Any]]]) -> None:
        self._models = {
            name: stack.Model(
                identifier=name,
                provider_resource_id=nim_id,
                provider_id="nvidia",
                model_type=stack.ModelType.embedding,
                metadata={"embedding_dimension": 1024, **metadata},
            )
            for name, (nim_id, metadata) in models.items()
        }

    async def get_model(self, name: str) -> Any:
        return self._models.get(name)


def bodies(nim: EmulatorServer) -> list[Any]:
    return [one.body for one in nim.requests if one.path == "/v1/embeddings"]


def native_enum(name: str) -> Any:
    """An enumeration of the native API."""
    return getattr(importlib.import_module("llama_stack.apis.inference"), name)


def image(uri: str) -> Any:
    return stack.ImageContentItem(image={"url": {"uri": uri}})


@pytest.mark.native
@pytest.mark.parametrize("dialect", ["retriever", "retriever1", "vllm", "hosted"])
@pytest.mark.parametrize("model", [E5, DYNAMIC, BGE, UNKNOWN])
async def test_both_apis_give_the_same_vectors(make: Make, dialect: str, model: str) -> None:
    adapter = make(dialect)
    texts = ["a cat", "a dog", "a fish"]
    native = await adapter.embeddings(
        model, texts, task_type=native_enum("EmbeddingTaskType").document
    )
    floats = await adapter.openai_embeddings(model=model, input=texts, input_type="passage")
    packed = await adapter.openai_embeddings(
        model=model, input=texts, input_type="passage", encoding_format="base64"
    )
    assert [len(vector) for vector in native.embeddings] == [2048 if model == DYNAMIC else 1024] * 3
    for index, vector in enumerate(native.embeddings):
        assert floats.data[index].index == index
        assert floats.data[index].embedding == pytest.approx(vector, abs=1e-6)
        raw = base64.b64decode(packed.data[index].embedding)
        assert list(struct.unpack(f"<{len(vector)}f", raw)) == pytest.approx(vector, abs=1e-6)
    assert floats.model == packed.model == model
    assert floats.usage.prompt_tokens == packed.usage.total_tokens > 0


@pytest.mark.native
async def test_what_is_asked_for_is_sent_and_nothing_else(make: Make, nim: EmulatorServer) -> None:
    adapter = make()
    await adapter.embeddings(
        DYNAMIC,
        ["a", stack.TextContentItem(text="b")],
        text_truncation=native_enum("TextTruncation").end,
        output_dimension=384,
        task_type=native_enum("EmbeddingTaskType").document,
    )
    await adapter.openai_embeddings(
        model=DYNAMIC, input="a", user="u", truncate="start", dimensions=384, input_type="query"
    )
    await adapter.openai_embeddings(model=BGE, input=["a"])
    common = {"model": DYNAMIC, "encoding_format": "base64", "dimensions": 384}
    assert bodies(nim) == [
        {**common, "input": ["a", "b"], "truncate": "END", "input_type": "passage"},
        {**common, "input": ["a"], "truncate": "START", "input_type": "query", "user": "u"},
        {"model": BGE, "input": ["a"], "encoding_format": "float"},
    ]


async def test_quantized_vectors_come_as_the_nim_sends_them(
    make: Make, nim: EmulatorServer
) -> None:
    nim.script([{"body": {"data": [{"index": 0, "embedding": [-128, 127]}]}}])
    answer = await make().openai_embeddings(model=DYNAMIC, input="a", embedding_type="int8")
    assert answer.data[0].embedding == [-128, 127]
    assert bodies(nim)[0]["embedding_type"] == "int8"


# Where the input type comes from


@pytest.mark.parametrize(
    ("call", "config", "sent"),
    [
        ({"model": E5}, {}, "passage"),
        ({"model": E5}, {"embedding_input_type": "query"}, "query"),
        pytest.param(
            {"model": "registered"},
            {"embedding_input_type": "passage"},
            "query",
            marks=pytest.mark.native,
        ),
        pytest.param({"model": "registered-passage"}, {}, "passage", marks=pytest.mark.native),
        pytest.param({"model": "with-suffix"}, {}, "passage", marks=pytest.mark.native),
        pytest.param(
            {"model": "with-suffix", "input_type": "query"}, {}, "query", marks=pytest.mark.native
        ),
        pytest.param({"model": "listed"}, {}, None, marks=pytest.mark.native),
        pytest.param(
            {"model": "unknown"},
            {"embedding_input_type": "query"},
            "query",
            marks=pytest.mark.native,
        ),
        pytest.param({"model": "unknown"}, {}, None, marks=pytest.mark.native),
        pytest.param(
            {"model": "symmetric", "input_type": "query"},
            {"embedding_input_type": "query"},
            None,
            marks=pytest.mark.native,
        ),
    ],
)
async def test_input_type_comes_from_the_nearest_that_says_it(
    make: Make, nim: EmulatorServer, call: Any, config: Any, sent: str | None
) -> None:
    adapter = make(**config)
    query = {"input_type": "query"}
    adapter.model_store = Store(
        {
            E5: (E5, {}),
            "registered": (E5, query),
            "registered-passage": (E5, query),
            "with-suffix": (f"{E5}-passage", query),
            "listed": (LISTED, {}),
            "unknown": (UNKNOWN, {}),
            "symmetric": (BGE, query),
        }
    )
    await adapter.openai_embeddings(input="a", **call)
    assert bodies(nim)[0].get("input_type") == sent
    listed = {"listed": LISTED, "unknown": UNKNOWN, "symmetric": BGE}
    assert bodies(nim)[0]["model"] == listed.get(call["model"], E5)


@pytest.mark.native
async def test_task_type_goes_before_the_name(make: Make, nim: EmulatorServer) -> None:
    query = native_enum("EmbeddingTaskType").query
    await make().embeddings(f"{E5}-passage", ["a"], task_type=query)
    assert (bodies(nim)[0]["model"], bodies(nim)[0]["input_type"]) == (E5, "query")


async def test_name_is_taken_as_it_is_where_the_nim_does_not_say_what_it_lists(
    make: Make, nim: EmulatorServer
) -> None:
    nim.script([{"path": "/v1/models", "status": 503}] * 9)
    await make().openai_embeddings(model=f"{E5}-query", input="a")
    assert bodies(nim)[0]["input_type"] == "query"


async def test_name_with_an_ending_can_be_registered(
    make: Make, nim: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"{E5}-query"
    model = stack.Model(
        identifier=name,
        provider_resource_id=name,
        provider_id="nvidia",
        model_type=stack.ModelType.embedding,
        metadata={},
    )
    registered = await make().register_model(model)
    assert registered.provider_resource_id == name
    assert registered.metadata["embedding_dimension"] == 1024
    assert "cannot be used" not in caplog.text


async def test_default_is_logged_once(
    make: Make, nim: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = make()
    with caplog.at_level(logging.INFO, "llama_stack_provider_nvidia"):
        for _ in range(3):
            await adapter.openai_embeddings(model=E5, input="a")
    assert caplog.text.count("embedded as passage, by the default") == 1


async def test_asymmetric_model_that_nobody_knows_is_found_out(
    make: Make, nim: EmulatorServer
) -> None:
    adapter = make()
    problem = {"error": "'input_type' parameter is required for asymmetric models"}
    nim.script([{"path": "/v1/embeddings", "status": 400, "body": problem}])
    await adapter.openai_embeddings(model=UNKNOWN, input="a")
    await adapter.openai_embeddings(model=UNKNOWN, input="a")
    assert [body.get("input_type") for body in bodies(nim)] == [None, "passage", "passage"]


# Limits


@pytest.mark.native
async def test_too_long_text_is_named_with_the_way_out(make: Make) -> None:
    texts = ["short", "long " * 600, "short"]
    with pytest.raises(errors.InvalidRequestError, match=r"text_truncation") as caught:
        await make(embedding_batch_size=1).embeddings(E5, texts)
    assert caught.value.status_code == 400
    assert caught.value.field == "contents[1]"
    assert "exceeds maximum allowed" in str(caught.value)
    answer = await make(embedding_truncate="end").embeddings(E5, texts)
    assert len(answer.embeddings) == 3
    none = native_enum("TextTruncation").none
    with pytest.raises(errors.InvalidRequestError):
        await make(embedding_truncate="end").embeddings(E5, texts, text_truncation=none)


@pytest.mark.parametrize("way", ["start", "end"])
async def test_vllm_cuts_texts_too(make: Make, nims: dict[str, EmulatorServer], way: str) -> None:
    texts = ["one " + "long " * 600 + "two"]
    answer = await make("vllm").openai_embeddings(model=E5, input=texts, truncate=way)
    assert len(answer.data[0].embedding) == 1024
    assert "truncate" not in bodies(nims["vllm"])[0]
    with pytest.raises(errors.InvalidRequestError, match=r"input\[0\].*maximum context length"):
        await make("vllm").openai_embeddings(model=E5, input=texts)


async def test_many_texts_are_sent_in_portions_and_come_back_in_order(
    make: Make, nim: EmulatorServer
) -> None:
    texts = [f"text {n}" for n in range(95)]
    whole = [
        row.embedding
        for n in range(0, 95, 19)
        for row in (await make().openai_embeddings(model=E5, input=texts[n : n + 19])).data
    ]
    nim.clear()
    answer = await make(embedding_batch_size=40).openai_embeddings(model=E5, input=texts)
    assert [one.embedding for one in answer.data] == whole
    assert [one.index for one in answer.data] == list(range(95))
    assert sorted(len(body["input"]) for body in bodies(nim)) == [31, 32, 32]
    assert answer.usage.prompt_tokens == sum(len(text.split()) for text in texts)


async def test_failure_of_one_portion_fails_the_call(make: Make, nim: EmulatorServer) -> None:
    nim.script([{"path": "/v1/embeddings", "status": 503, "match": "text 5"}])
    texts = [f"text {n}" for n in range(10)]
    with pytest.raises(errors.ServerError):
        await make(embedding_batch_size=2).openai_embeddings(model=E5, input=texts)


async def test_portions_that_are_too_large_say_what_to_set(make: Make) -> None:
    with pytest.raises(errors.InvalidRequestError, match="embedding_batch_size"):
        await make().openai_embeddings(model=E5, input=["a"] * 41)


async def test_no_more_portions_are_under_way_than_allowed(make: Make, nim: EmulatorServer) -> None:
    body = {"data": [{"index": 0, "embedding": [1.0]}]}
    nim.script([{"path": "/v1/embeddings", "body": body, "delay_s": 0.2}] * 6)
    adapter = make(embedding_batch_size=1, batch_concurrency=2)
    await adapter.openai_embeddings(model=E5, input=["a"] * 6)
    spans = [(one.received_at, one.ended_at) for one in nim.requests if one.method == "POST"]
    for start, _ in spans:
        assert sum(first <= start < (last or start) for first, last in spans) <= 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": None}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": ["a", {"text": "b"}]}, "input[1]"),
        ({"input": [["a"]]}, "input[0]"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "encoding_format": ["float"]}, "encoding_format"),
        ({"input": "a", "modality": 5}, "modality"),
        ({"input": "a", "model": None}, "model_id"),
        ({"input": "a", "truncate": "MIDDLE"}, "truncate"),
        ({"input": "a", "input_type": "poem"}, "input_type"),
        ({"input": IMAGE}, "input[0]"),
    ],
)
async def test_what_cannot_be_embedded_is_refused_unsent(
    make: Make, nim: EmulatorServer, fields: Any, field: str
) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        await make().openai_embeddings(**{"model": E5, **fields})
    assert caught.value.field == field
    assert caught.value.status_code == 400
    assert bodies(nim) == []


@pytest.mark.native
async def test_native_refusals_name_native_fields(make: Make) -> None:
    for contents, options, field in (
        ([], {}, "contents"),
        ([IMAGE], {}, "contents[0]"),
        (["a"], {"output_dimension": 0}, "output_dimension"),
    ):
        with pytest.raises(errors.InvalidRequestError) as caught:
            await make().embeddings(E5, contents, **options)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "explained"),
    [
        ({"input": "a", "dimensions": 384}, "makes vectors of 1024 (`dimensions`)"),
        ({"input": [1, 2]}, "may take no token ids"),
    ],
)
async def test_a_nim_s_refusal_is_explained_by_what_is_known_of_the_model(
    make: Make, nim: EmulatorServer, fields: Any, explained: str
) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        await make().openai_embeddings(model=E5, **fields)
    assert len(bodies(nim)) == 1
    assert "NIM answered 4" in str(caught.value)
    assert explained in str(caught.value)


async def test_token_ids_are_for_vllm(make: Make, nims: dict[str, EmulatorServer]) -> None:
    for given in ([1, 2, 3], [[1, 2, 3]], [[1], [2, 3]]):
        answer = await make("vllm").openai_embeddings(model=UNKNOWN, input=given)
        assert len(answer.data) == (2 if len(given) == 2 else 1)
    assert bodies(nims["vllm"])[0]["input"] == [[1, 2, 3]]


# Images


@pytest.mark.native
async def test_images_are_embedded_by_the_models_that_can(make: Make, nim: EmulatorServer) -> None:
    text = stack.TextContentItem(text="a cat")
    native = await make().embeddings(VL, ["a", image(IMAGE), [text, image(IMAGE)]])
    data = stack.ImageContentItem(image={"data": PNG})
    again = await make().embeddings(VL, [data])
    openai = await make().openai_embeddings(model=VL, input=IMAGE)
    assert native.embeddings[1] == again.embeddings[0] == openai.data[0].embedding
    first, second, third = bodies(nim)
    assert first["input"] == ["a", IMAGE, f"a cat {IMAGE}"]
    assert first["modality"] == ["text", "image", "text_image"]
    assert (second["input"], third["input"], third["modality"]) == ([IMAGE], [IMAGE], ["image"])


@pytest.mark.native
async def test_images_are_no_queries(make: Make, nim: EmulatorServer) -> None:
    query = native_enum("EmbeddingTaskType").query
    with pytest.raises(errors.InvalidRequestError, match="embed images as passages") as caught:
        await make().embeddings(VL, ["a", image(IMAGE)], task_type=query)
    assert "`contents[1]` is an image" in str(caught.value)
    assert len(bodies(nim)) == 1


@pytest.mark.native
@pytest.mark.parametrize("uri", ["data:text/plain;base64,AAAA", "data:image/png;base64,A"])
async def test_data_that_is_no_image_is_refused(make: Make, uri: str) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        await make().embeddings(VL, ["a", image(uri)])
    assert caught.value.field == "contents[1]"
    assert "messages" not in str(caught.value)


@pytest.mark.native
async def test_images_by_address_are_for_servers_that_fetch_them(make: Make) -> None:
    with pytest.raises(errors.InvalidRequestError, match="download_images") as caught:
        await make().embeddings(VL, ["a", image("http://127.0.0.1/cat.png")])
    assert caught.value.field == "contents[1]"
    with pytest.raises(errors.InvalidRequestError, match="public internet") as caught:
        await make(download_images=True).embeddings(VL, ["a", image("http://127.0.0.1/cat.png")])
    assert caught.value.field == "contents[1]"


# Answers that are none


async def test_answers_that_are_none_are_errors(make: Make, nim: EmulatorServer) -> None:
    vector = {"index": 0, "embedding": [1.0]}
    for body, problem in (
        ({"data": [vector, {**vector, "index": 1}]}, "2 embeddings for 1 inputs"),
        ({"object": "list", "data": None}, "without embeddings"),
        ({"data": [{"index": 0, "embedding": "???"}]}, "no base64"),
        ("<html>", "cannot be read"),
    ):
        nim.script([{"path": "/v1/embeddings", "body": body}])
        with pytest.raises(errors.ServerError, match=problem):
            await make().openai_embeddings(model=E5, input="a")


async def test_model_that_is_not_there_is_a_404(make: Make) -> None:
    with pytest.raises(errors.ModelNotFoundError):
        await make().openai_embeddings(model="no/such-embedder", input="a")
