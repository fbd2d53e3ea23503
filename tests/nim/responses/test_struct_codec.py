import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.responses.struct_codec import (
    CHAT,
    COMPLETION,
    StructCodec,
)
from llama_stack_provider_nvidia.nim.responses.structs import ChatChunk, CompletionChunk

from ...strategies import json_values

KINDS = pytest.mark.parametrize("kind", [ChatChunk, CompletionChunk])


def dumped(value):
    return json.dumps(value).encode()


def test_chunk_becomes_small_structs():
    data = {
        "id": "x",
        "choices": [
            {"index": 0, "delta": {"content": "hi", "unknown": [1]}, "stop_reason": 128009}
        ],
        "usage": {"prompt_tokens": 3, "prompt_tokens_details": None},
        "stats": {"type": "NIM LLM Model Stats"},
    }
    chunk = CHAT.decode_chunk(dumped(data))
    assert chunk.choices[0].delta.content == "hi"
    assert chunk.usage.prompt_tokens == 3


def test_numbers_as_text_pass():
    data = {"choices": [{"index": "1", "text": "x"}], "usage": {"prompt_tokens": "3"}}
    chunk = COMPLETION.decode_chunk(dumped(data))
    assert (chunk.choices[0].index, chunk.usage.prompt_tokens) == (1, 3)


@KINDS
@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"choices": [], "usage": {"total_tokens": 1}}, id="usage chunk"),
        pytest.param({"choices": None, "usage": {"total_tokens": 1}}, id="null choices"),
        pytest.param({"choices": [], "usage": None}, id="empty"),
        pytest.param({"choices": [{}]}, id="empty choice"),
        pytest.param({"choices": [], "error": None}, id="null error"),
        pytest.param({"choices": [], "error": ""}, id="empty error"),
    ],
)
def test_chunk_without_text_is_a_chunk(kind, data):
    assert isinstance(StructCodec(kind).decode_chunk(dumped(data)), kind)


@KINDS
@pytest.mark.parametrize(
    ("data", "error", "status", "said"),
    [
        pytest.param(
            {"error": {"object": "error", "message": "boom", "param": None, "code": 500}},
            errors.ServerError,
            500,
            "boom",
            id="NIM 1 and SGLang",
        ),
        pytest.param(
            {"error": {"message": "too long", "type": "BadRequestError", "code": 400}},
            errors.InvalidRequestError,
            400,
            "too long",
            id="vLLM",
        ),
        pytest.param({"error": "boom"}, errors.ServerError, 500, "boom", id="text"),
        pytest.param({"error": ["boom"]}, errors.ServerError, 500, "boom", id="list"),
        pytest.param(
            {"object": "error", "message": "no such model", "code": 404},
            errors.ModelNotFoundError,
            404,
            "no such model",
            id="flat",
        ),
        pytest.param(
            {"status": 429, "title": "Too Many Requests"},
            errors.RateLimitError,
            429,
            "Too Many Requests",
            id="problem details",
        ),
        pytest.param(
            {"detail": [{"loc": ["body", "n"], "msg": "bad"}]},
            errors.ServerError,
            500,
            "n: bad",
            id="FastAPI",
        ),
        pytest.param(
            {"choices": [], "error": {"message": "late", "code": 503}},
            errors.ServerError,
            503,
            "late",
            id="beside choices",
        ),
    ],
)
def test_error_report_in_place_of_an_answer_is_raised(kind, data, error, status, said):
    with pytest.raises(error, match=said) as caught:
        StructCodec(kind).decode_chunk(dumped(data))
    assert caught.value.status_code == status


@KINDS
@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"<html>bad gateway</html>", "cannot be read", id="HTML"),
        pytest.param(b"", "cannot be read", id="nothing"),
        pytest.param(b'{"choices": [', "cannot be read", id="cut"),
        pytest.param(b"null", "cannot be read", id="null"),
        pytest.param(b"[]", "cannot be read", id="list"),
        pytest.param(b'{"choices": "x"}', "cannot be read", id="choices are text"),
        pytest.param(b'{"choices": [5]}', "cannot be read", id="choice is a number"),
        pytest.param(b'{"choices": [{"finish_reason": {}}]}', "cannot be read", id="wrong type"),
        pytest.param(b'{"x": "\xff"}', "cannot be read", id="no UTF-8"),
        pytest.param(b'{"x": 1e999}', "cannot be read", id="number too large"),
        pytest.param(b'{"x": ' + b"[" * 99999, "cannot be read", id="nested endlessly"),
        pytest.param(b"{}", "without choices", id="empty object"),
        pytest.param(b'{"error": {}}', "without choices", id="empty error"),
        pytest.param(b'{"error": {"code": 500}}', "without choices", id="error without text"),
        pytest.param(b'{"id": "x", "object": "y"}', "without choices", id="something else"),
    ],
)
def test_answer_that_is_none_is_a_server_error_that_shows_it(kind, data, said):
    with pytest.raises(errors.ServerError, match=said) as caught:
        StructCodec(kind).decode_chunk(data)
    assert repr(data[:10])[2:-1] in str(caught.value)
    assert len(str(caught.value)) < 500


def outcome(data, kind):
    """The result of decoding: nothing but a chunk, or one of our errors, comes of any bytes."""
    try:
        return StructCodec(kind).decode_chunk(data)
    except errors.NIMError as error:
        return error


objects = st.dictionaries(
    st.sampled_from(["choices", "usage", "error", "message", "code", "detail"]), json_values
)


@given(
    st.binary(max_size=60)
    | json_values.map(dumped)
    | objects.map(dumped)
    | st.tuples(objects.map(dumped), st.integers(0, 40)).map(lambda pair: pair[0][: pair[1]])
)
def test_any_bytes_give_a_chunk_or_one_of_our_errors(data):
    for kind in (ChatChunk, CompletionChunk):
        assert isinstance(outcome(data, kind), kind | errors.NIMError)
