import pytest
from llama_stack.apis.inference import EmbeddingTaskType, TextTruncation

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.convert import convert_embeddings_request
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.retrieval.content import Content

IMAGE = stack.ImageContentItem(image={"url": {"uri": "http://h/a.png"}})
PNG = "data:image/png;base64,iVBORw0KGgo="
DATA = stack.ImageContentItem(image={"data": PNG})


def item(text):
    return stack.TextContentItem(text=text)


def test_smallest_request_says_nothing_but_model_and_inputs():
    made = convert_embeddings_request("m", ["a"])
    assert (made.model, made.inputs) == ("m", ["a"])
    assert (made.input_type, made.truncate, made.dimensions, made.modality) == (None,) * 4
    assert made.extra == {}


def test_content_items_and_lists_become_one_text_each():
    contents = [item("x"), [item("x"), item("x")], "y"]
    assert convert_embeddings_request("m", contents).inputs == ["x", "x\nx", "y"]


def test_images_are_kept_apart_from_their_texts():
    contents = [IMAGE, [item("x"), DATA, item("y")], "z"]
    inputs = convert_embeddings_request("m", contents).inputs
    assert inputs == [Content(image="http://h/a.png"), Content("x\ny", PNG), "z"]


@pytest.mark.parametrize("by_value", [False, True], ids=["member", "value"])
@pytest.mark.parametrize(("value", "sent"), [("none", "NONE"), ("start", "START"), ("end", "END")])
def test_truncation_goes_by_nims_names(value, sent, by_value):
    given = value if by_value else TextTruncation(value)
    assert convert_embeddings_request("m", ["a"], text_truncation=given).truncate == sent


@pytest.mark.parametrize("by_value", [False, True], ids=["member", "value"])
@pytest.mark.parametrize(("value", "sent"), [("query", "query"), ("document", "passage")])
def test_task_type_becomes_the_input_type(value, sent, by_value):
    given = value if by_value else EmbeddingTaskType(value)
    assert convert_embeddings_request("m", ["a"], task_type=given).input_type == sent


def test_dimension_is_asked_for():
    assert convert_embeddings_request("m", ["a"], output_dimension=384).dimensions == 384


def test_fields_go_by_the_names_of_the_native_call():
    made = convert_embeddings_request("m", ["a"])
    names = [made.name(name) for name in ("inputs", "truncate", "dimensions", "input_type")]
    assert names == ["contents", "text_truncation", "output_dimension", "task_type"]


@pytest.mark.parametrize(
    ("contents", "options", "field"),
    [
        pytest.param([], {}, "contents", id="nothing"),
        pytest.param(["a", [IMAGE, IMAGE]], {}, "contents[1]", id="two images"),
        pytest.param(["a", 5], {}, "contents[1]", id="number"),
        pytest.param(["a"], {"text_truncation": "middle"}, "text_truncation", id="truncation"),
        pytest.param(["a"], {"task_type": "poem"}, "task_type", id="task type"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_field(contents, options, field):
    with pytest.raises(InvalidRequestError) as caught:
        convert_embeddings_request("m", contents, **options)
    assert caught.value.field == field
