import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.model_facts.retrieval_models import (
    EMBEDDING_MODELS,
    find_embedding_model,
)
from llama_stack_provider_nvidia.nim.retrieval.content import Content
from llama_stack_provider_nvidia.nim.retrieval.embedding_request import (
    EmbeddingRequest,
    batch_size,
    embedding_body,
    explain_embedding_refusal,
    is_image,
    locate_error,
    split_batches,
    split_suffix,
    takes_base64,
    to_wire,
    validate,
)

E5 = "nvidia/nv-embedqa-e5-v5"
DYNAMIC = "nvidia/llama-nemotron-embed-1b-v2"
VL = "nvidia/llama-nemotron-embed-vl-1b-v2"
PNG = "data:image/png;base64,iVBORw0KGgo="


def request(model="m", inputs=("a",), **more):
    return EmbeddingRequest(model, list(inputs), **more)


def body(made, dialect=Dialect.GENERIC, *, part=None, base64=False):
    return embedding_body(made, part or slice(0, len(made.inputs)), dialect, base64=base64)


def checked(made):
    return validate(made, find_embedding_model(made.model))


def refused(made):
    with pytest.raises(errors.InvalidRequestError) as caught:
        checked(made)
    return caught.value


@pytest.mark.parametrize(
    ("model", "dimension", "max_tokens"),
    [  # the three that the built-in provider has the wrong way round
        (E5, 1024, 512),
        ("nvidia/nv-embedqa-mistral-7b-v2", 4096, 512),
        ("snowflake/arctic-embed-l", 1024, 512),
    ],
)
def test_sizes_of_vectors_are_not_those_of_texts(model, dimension, max_tokens):
    assert EMBEDDING_MODELS[model][:2] == (dimension, max_tokens)


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_facts_agree_with_each_other(model):
    known = EMBEDDING_MODELS[model]
    assert model == model.lower()
    assert find_embedding_model(model.upper()) is known
    assert not known.dimensions or max(known.dimensions) == known.dimension


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("a/b-query", ("a/b", "query")),
        ("a/b-passage", ("a/b", "passage")),
        ("a/b-Query", ("a/b", "query")),
        ("a/b-query-query", ("a/b-query", "query")),
        ("a/b", ("a/b", None)),
        ("a/query", ("a/query", None)),
        ("-query", ("-query", None)),
        ("a/b-queryx", ("a/b-queryx", None)),
    ],
)
def test_suffix_is_split_off(name, split):
    assert split_suffix(name) == split


def test_smallest_body_has_what_was_asked_for_and_the_format():
    assert body(request()) == {"model": "m", "input": ["a"], "encoding_format": "float"}


@pytest.mark.parametrize("dialect", [one for one in Dialect if one is not Dialect.DYNAMO])
def test_what_is_asked_for_is_sent_as_it_is(dialect):
    made = checked(request(input_type="query", dimensions=7, extra={"user": "u"}, modality="text"))
    assert body(made, dialect, base64=True) == {
        "model": "m",
        "input": ["a"],
        "encoding_format": "base64",
        "input_type": "query",
        "dimensions": 7,
        "user": "u",
        "modality": "text",
    }


@pytest.mark.parametrize(
    ("dialect", "truncate", "sent"),
    [
        *((Dialect.GENERIC, way, {"truncate": way}) for way in ("NONE", "START", "END")),
        *((Dialect.HOSTED, way, {"truncate": way}) for way in ("NONE", "START", "END")),
        (Dialect.NIM1, "END", {"truncate": "END"}),
        (Dialect.DYNAMO, "NONE", {}),
        (Dialect.NIM2_VLLM, "NONE", {}),
        (
            Dialect.NIM2_VLLM,
            "END",
            {"truncate_prompt_tokens": -1, "truncation_side": "right"},
        ),
        (
            Dialect.NIM2_VLLM,
            "START",
            {"truncate_prompt_tokens": -1, "truncation_side": "left"},
        ),
        (Dialect.NIM2_SGLANG, "NONE", {}),
    ],
)
def test_truncation_goes_where_each_nim_has_it(dialect, truncate, sent):
    plain = body(request(), dialect)
    assert body(request(truncate=truncate), dialect) == {**plain, **sent}


@pytest.mark.parametrize(
    "fields", [{"input_type": "query"}, {"truncate": "END"}, {"truncate": "START"}]
)
def test_what_dynamo_drops_is_refused(fields):
    ((name, _),) = fields.items()
    made = request(**fields, names={name: "theirs"})
    with pytest.raises(errors.InvalidRequestError, match="no effect on a NIM of dialect dynamo"):
        body(made, Dialect.DYNAMO)
    with pytest.raises(errors.InvalidRequestError) as caught:
        body(made, Dialect.DYNAMO)
    assert caught.value.field == "theirs"


def test_truncation_that_an_engine_cannot_do_is_refused():
    made = request(truncate="END", names={"truncate": "text_truncation"})
    with pytest.raises(errors.InvalidRequestError, match="SGLang") as caught:
        body(made, Dialect.NIM2_SGLANG)
    assert caught.value.field == "text_truncation"


@pytest.mark.parametrize("field", ["truncate", "input_type"])
def test_values_are_taken_in_any_case(field):
    value = {"truncate": "END", "input_type": "query"}[field]
    assert getattr(checked(request(**{field: value.swapcase()})), field) == value


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("m", 5, 5),
        (DYNAMIC, 384, 384),
        (DYNAMIC, 2048, None),  # what it is anyway
        (E5, 1024, None),
        (VL, 100, 100),  # its lengths are not published
        (E5, None, None),
        (E5, 512, 512),  # what is not known to work is sent as well
        (DYNAMIC, 100, 100),
    ],
)
def test_dimensions_are_sent_where_they_change_something(model, asked, sent):
    assert body(checked(request(model, dimensions=asked))).get("dimensions") == sent


@pytest.mark.parametrize(
    ("made", "field", "problem"),
    [
        pytest.param(request(inputs=()), "input", "at least one", id="nothing"),
        pytest.param(request(inputs=("a", "")), "input[1]", "empty", id="empty text"),
        pytest.param(request(inputs=([1], [])), "input[1]", "empty", id="no tokens"),
        pytest.param(request(dimensions=0), "dimensions", "at least 1", id="no dimension"),
        pytest.param(request(dimensions="5"), "dimensions", "at least 1", id="text"),
        pytest.param(request(truncate="MIDDLE"), "truncate", "NONE or START or END", id="truncate"),
        pytest.param(request(input_type="poem"), "input_type", "query or passage", id="type"),
        pytest.param(request(input_type=5), "input_type", "query or passage", id="number"),
        pytest.param(request(E5, ["a", PNG]), "input[1]", "only text", id="image"),
        pytest.param(
            request(VL, "abc", modality=["text"] * 2), "modality", "2 entries for 3", id="modality"
        ),
        *(
            pytest.param(
                request("m", modality=odd), "modality", "a string, or a list", id=repr(odd)
            )
            for odd in (5, True, {"a": 1}, [5], ["text", None], 0.5)
        ),
    ],
)
def test_what_a_nim_would_refuse_is_refused_by_field(made, field, problem):
    made = EmbeddingRequest(**{**vars(made), "names": {"inputs": "input"}})
    error = refused(made)
    assert error.field == field
    assert problem in error.message


@pytest.mark.parametrize(
    ("inputs", "modality"),
    [
        (["a", "b"], None),
        ([PNG], ["image"]),
        (["a", f"a cat {PNG}", PNG], ["text", "text_image", "image"]),
        (["see data:image/png;base64, please"], None),
    ],
)
def test_modality_is_said_where_there_are_images(inputs, modality):
    assert checked(request(VL, inputs, input_type="passage")).modality == modality


def test_modality_of_a_model_that_is_not_known_is_left_to_the_nim():
    assert checked(request("m", [PNG])).modality is None


def test_modality_of_one_for_all_is_sent_with_each_portion():
    made = checked(request("m", "abc", modality=["image"]))
    assert body(made, part=slice(1, 3))["modality"] == "image"


def test_portion_brings_its_own_modalities_and_inputs():
    made = checked(request(VL, ["a", PNG, "b"], input_type="passage"))
    part = body(made, part=slice(1, 3))
    assert (part["input"], part["modality"]) == ([PNG, "b"], ["image", "text"])


@pytest.mark.parametrize(
    ("text", "there"),
    [
        (PNG, True),
        (f"a cat\n{PNG}", True),
        (f"a cat{PNG}", False),
        (f"{PNG} a cat", False),
        ("data:image/png;base64,", False),
        ("data:text/plain;base64,AAAA", False),
        ("cat", False),
    ],
)
def test_image_is_a_data_url_at_the_end(text, there):
    assert is_image(text) is there


@pytest.mark.parametrize(
    ("one", "text"),
    [
        ("a", "a"),
        ([1, 2], [1, 2]),
        (Content("a"), "a"),
        (Content(image=PNG), PNG),
        (Content("a", PNG), f"a {PNG}"),
    ],
)
def test_content_is_written_as_nim_reads_it(one, text):
    assert to_wire(one) == text


@pytest.mark.parametrize("dialect", Dialect)
def test_token_ids_are_sent_to_any_nim(dialect):
    assert body(request(inputs=["a", [1, 2]]), dialect)["input"] == ["a", [1, 2]]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (request(E5, dimensions=512), "makes vectors of 1024 (`output_dimension`)"),
        (request(DYNAMIC, dimensions=100), "makes vectors of 384, 512, 768, 1024, 2048"),
        (request(VL, ["a", PNG], input_type="query"), "and `contents[1]` is an image"),
        (request("m", [[1, 2]]), "send the text"),
    ],
)
def test_a_refusal_is_explained_by_what_is_known_of_the_model(made, said):
    names = {"dimensions": "output_dimension", "inputs": "contents"}
    made = EmbeddingRequest(**{**vars(made), "names": names})
    known = find_embedding_model(made.model)
    refusal = locate_error(errors.InvalidRequestError("no"), made, slice(0, 1), known)
    assert str(refusal).startswith(f"no By what was published by 2026-10, {made.model} ")
    assert said in str(refusal)


@pytest.mark.parametrize(
    "made",
    [request(E5), request("m", dimensions=5), request(VL, dimensions=5), request(DYNAMIC, ["a"])],
)
def test_what_is_not_known_explains_nothing(made):
    assert explain_embedding_refusal(made, find_embedding_model(made.model)) is None


@pytest.mark.parametrize(
    ("model", "dialect", "extra", "takes"),
    [
        ("m", Dialect.NIM2_VLLM, {}, True),
        (DYNAMIC, Dialect.NIM2_VLLM, {}, True),
        (E5, Dialect.NIM2_VLLM, {}, False),
        (DYNAMIC, Dialect.GENERIC, {}, True),
        (DYNAMIC, Dialect.HOSTED, {}, False),
        (DYNAMIC, Dialect.GENERIC, {"embedding_type": "int8"}, False),
        (DYNAMIC, Dialect.GENERIC, {"embedding_type": "float"}, True),
        (E5, Dialect.GENERIC, {}, False),
        ("m", Dialect.GENERIC, {}, False),
    ],
)
def test_base64_is_asked_for_where_it_is_known_to_work(model, dialect, extra, takes):
    assert takes_base64(request(model, extra=extra), find_embedding_model(model), dialect) is takes


@pytest.mark.parametrize(
    ("model", "configured", "size"), [(E5, None, 256), ("m", None, 256), (E5, 3, 3), ("m", 3, 3)]
)
def test_size_of_a_portion_is_the_users_or_the_models(model, configured, size):
    assert batch_size(find_embedding_model(model), configured) == size


@given(st.integers(1, 3000), st.integers(1, 600))
def test_portions_hold_everything_once_in_order_and_are_even(count, size):
    parts = split_batches(count, size)
    assert [n for part in parts for n in range(count)[part]] == list(range(count))
    sizes = {part.stop - part.start for part in parts}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-count // size)


LONG = "Input length 513 exceeds maximum allowed token size 512"


@pytest.mark.parametrize(
    ("said", "part", "field"),
    [
        pytest.param(f"input.1: {LONG}", slice(4, 8), "contents[5]", id="place"),
        pytest.param(f"input[0] {LONG}", slice(4, 8), "contents[4]", id="place in brackets"),
        pytest.param(LONG, slice(4, 5), "contents[4]", id="alone"),
        pytest.param(LONG, slice(4, 8), None, id="among others"),
        pytest.param(f"input.9: {LONG}", slice(4, 8), None, id="place that is not there"),
    ],
)
def test_input_at_fault_is_named_by_its_place_in_the_whole(said, part, field):
    names = {"inputs": "contents", "truncate": "text_truncation"}
    error = locate_error(
        errors.InvalidRequestError(said), request(inputs="abcdefgh", names=names), part
    )
    assert error.field == field
    assert said in str(error)
    assert "text_truncation" in str(error)
    assert str(error).startswith(f"{field}: " if field else said)


def test_batch_that_is_too_large_has_another_remedy():
    said = "Batch size 256 exceeds maximum allowed batch size 64"
    error = locate_error(errors.InvalidRequestError(said), request(inputs="ab"), slice(0, 2))
    assert "embedding_batch_size" in str(error)
    assert "truncate" not in str(error)


@pytest.mark.parametrize("inputs", ["a", "ab"])
def test_other_refusals_say_what_the_nim_said(inputs):
    error = locate_error(
        errors.InvalidRequestError("no"), request(inputs=inputs), slice(0, len(inputs))
    )
    assert (error.message, error.field) == ("no", None)
