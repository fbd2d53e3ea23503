import base64
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.retrieval.vectors import (
    EmbeddingResult,
    all_finite,
    as_base64,
    as_numbers,
    base64_finite,
    decode_vectors,
    merge,
)

NAN, INF = float("nan"), float("inf")
FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


def dumped(value):
    return json.dumps(value).encode()


def answer(*pairs, **more):
    return dumped({"data": [{"index": i, "embedding": vector} for i, vector in pairs], **more})


def packed(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_vectors_come_in_the_order_of_the_inputs():
    assert decode_vectors(answer((1, [2.0]), (0, [1.0])), 2).vectors == [[1.0], [2.0]]


def test_vectors_without_indexes_keep_their_order():
    assert decode_vectors(answer((None, [2.0]), (None, [1])), 2).vectors == [[2.0], [1.0]]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        pytest.param({"prompt_tokens": 7, "total_tokens": 9}, 7, id="prompt"),
        pytest.param({"total_tokens": 9}, 9, id="total"),
        pytest.param({}, 0, id="empty"),
        pytest.param(None, 0, id="none"),
    ],
)
def test_tokens_are_those_of_the_inputs(usage, tokens):
    assert decode_vectors(answer((0, [1.0]), usage=usage), 1).tokens == tokens


@pytest.mark.parametrize("body", [{"data": []}, {"data": [{"embedding": [1]}] * 3}])
def test_wrong_number_of_vectors_is_a_server_error(body):
    with pytest.raises(errors.ServerError, match="embeddings for 2 inputs"):
        decode_vectors(dumped(body), 2)


@pytest.mark.parametrize("indexes", [(0, 0), (0, 2), (0, None), (-1, 0)])
def test_vectors_of_other_inputs_are_a_server_error(indexes):
    with pytest.raises(errors.ServerError, match="indexes"):
        decode_vectors(answer(*((index, [1.0]) for index in indexes)), 2)


@pytest.mark.parametrize("body", [{}, {"data": None}, {"object": "list"}])
def test_answer_without_vectors_is_a_server_error(body):
    with pytest.raises(errors.ServerError, match="without embeddings"):
        decode_vectors(dumped(body), 1)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "'input_type' is required", "code": 400}},
        {"object": "error", "message": "'input_type' is required", "code": 400},
    ],
)
def test_error_in_place_of_vectors_is_raised(body):
    with pytest.raises(errors.InvalidRequestError, match="input_type"):
        decode_vectors(dumped(body), 1)


@pytest.mark.parametrize(
    "data", [b'{"data": [{"embedding": {}}]}', b'{"data": [{}]}', b"<html>", b"[1]", b"\xff"]
)
def test_vectors_that_cannot_be_read_are_a_server_error(data):
    with pytest.raises(errors.ServerError, match="cannot be read"):
        decode_vectors(data, 1)


@pytest.mark.parametrize("text", ["AAA", "AAAA", "?", "AAAAAAAA="])
def test_what_is_no_base64_of_floats_is_a_server_error(text):
    with pytest.raises(errors.ServerError, match="no base64"):
        as_numbers(text)


def test_base64_is_that_of_32_bit_little_endian_floats():
    assert as_base64([0.5, -2.0]) == packed(0.5, -2.0)
    assert as_numbers(packed(0.5, -2.0)) == [0.5, -2.0]


@given(FLOATS)
def test_writing_and_reading_are_inverse(numbers):
    assert as_numbers(as_base64(numbers)) == numbers
    assert as_base64(as_numbers(packed(*numbers))) == packed(*numbers)


def test_what_has_the_form_that_is_wanted_is_left_alone():
    numbers = [1.0]
    assert as_numbers(numbers) is numbers
    assert as_base64("AAAA") == "AAAA"


@pytest.mark.parametrize("number", [1e39, -1e300])
def test_what_32_bits_cannot_hold_is_no_infinity(number: float) -> None:
    with pytest.raises(errors.ServerError, match="`encoding_format` float"):
        as_base64([0.5, number])


@given(st.lists(st.tuples(st.lists(FLOATS, min_size=1), st.integers(0, 9)), min_size=1))
def test_parts_are_put_together_in_their_order(parts):
    whole = merge([EmbeddingResult(vectors, tokens) for vectors, tokens in parts])
    assert whole.vectors == [vector for vectors, _ in parts for vector in vectors]
    assert whole.tokens == sum(tokens for _, tokens in parts)


@pytest.mark.parametrize("number", [NAN, INF, -INF, None, "nan", "-inf", "Infinity"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_vector_of_no_numbers_is_a_server_error(number, place):
    vectors = [[0.5, 1.0], [0.5, number]]
    if place == 0:
        vectors.reverse()
    with pytest.raises(errors.ServerError, match="NaN, Infinity or null"):
        decode_vectors(answer(*enumerate(vectors)), 2)


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_beyond_all_is_a_server_error(number):
    data = b'{"data":[{"index":0,"embedding":[1.0,%s]}]}' % number.encode()
    with pytest.raises(errors.ServerError, match="NaN, Infinity or null"):
        decode_vectors(data, 1)


def test_numbers_as_text_are_numbers():
    assert decode_vectors(answer((0, ["5", 1])), 1).vectors == [[5.0, 1.0]]


@pytest.mark.parametrize(
    "body", [b'{"data":[{"embedding":[1]}],"usage":nul', b'{"data":[{"embedding":{}}]}', b"no NaN"]
)
def test_what_is_no_answer_is_not_called_a_number(body):
    with pytest.raises(errors.ServerError, match="cannot be read"):
        decode_vectors(body, 1)


@given(st.lists(st.floats(width=32), max_size=20), st.sampled_from([1.0, 2.5, 3e38]))
def test_base64_is_finite_as_its_numbers_are(numbers, scale):
    numbers = [scale, *numbers]
    finite = all(math.isfinite(number) for number in numbers)
    assert base64_finite(packed(*numbers)) is finite
    if finite:
        assert decode_vectors(answer((0, packed(*numbers))), 1).vectors == [packed(*numbers)]
    else:
        with pytest.raises(errors.ServerError, match="for input 0 of 1 that is not all finite"):
            decode_vectors(answer((0, packed(*numbers))), 1)


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_no_place_of_a_vector_is_passed_over(place, number):
    numbers = [0.01] * 12
    numbers[place] = number
    assert not base64_finite(packed(*numbers))


def test_huge_numbers_are_finite_although_their_sum_is_not():
    assert all_finite([1e308, 1e308])
    assert base64_finite(packed(*[3e38] * 5))
