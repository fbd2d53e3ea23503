"""The chunks of OpenAI-style streams, as the SDK's classes."""

import inspect
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.nim.errors import ServerError
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec

from ...strategies import Call, calls, cuts, element


def reader() -> OpenAICodec:
    return OpenAICodec("alias")


def read(chunks: OpenAICodec, *choices: dict[str, Any], **fields: Any) -> Any:
    data = {"id": "x", "created": 1, "choices": list(choices), **fields}
    return chunks.build(chunks.decode_chunk(json.dumps(data).encode()))


def of_calls(*fragments: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": {"tool_calls": list(fragments)}}


def fragment(arguments: str, name: str | None = None, call_id: str | None = None) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}}


def numbers(chunk: ChatCompletionChunk) -> list[int]:
    return [call.index for choice in chunk.choices for call in choice.delta.tool_calls or ()]


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        pytest.param(
            [fragment("", "f", "a"), fragment("{"), fragment("}"), fragment("{}", "g", "b")],
            [0, 0, 0, 1],
            id="a new id",
        ),
        pytest.param(
            [fragment("{}", "f"), fragment("{", "g"), fragment("}")], [0, 1, 1], id="a new name"
        ),
        pytest.param(
            [fragment("{}", "f", "a"), fragment("{}", "f", "b")], [0, 1], id="a name again"
        ),
        pytest.param(
            [fragment("{", "f", "a"), fragment("{", "g", "b"), fragment("}", None, "a")],
            [0, 1, 0],
            id="told apart by id",
        ),
        pytest.param(
            [{**fragment("{", "f", "a"), "index": 3}, {**fragment("}"), "index": 3}],
            [3, 3],
            id="the server's own",
        ),
    ],
)
def test_calls_without_index_are_numbered(fragments: list[Any], expected: list[int]) -> None:
    one_by_one, at_once = reader(), reader()
    found = [number for one in fragments for number in numbers(read(one_by_one, of_calls(one)))]
    assert found == expected
    assert numbers(read(at_once, of_calls(*fragments))) == expected


def test_each_choice_has_its_own_numbers() -> None:
    chunks = reader()
    first = read(
        chunks, of_calls(fragment("{}", "f", "a")), of_calls(fragment("{}", "f", "b"), index=1)
    )
    second = read(chunks, of_calls(fragment("{}", "g", "c"), index=1))
    assert (numbers(first), numbers(second)) == ([0, 0], [1])


@given(meant=calls(min_size=1), data=st.data())
def test_calls_in_fragments_without_index_come_out_whole(
    meant: list[Call], data: st.DataObject
) -> None:
    chunks, texts = reader(), dict[int, str]()
    for call in meant:
        first, *others = data.draw(cuts(call.text))
        pieces = [element(call, None, call.name, first)]
        pieces += [element(call, None, None, piece) for piece in others]
        for piece in pieces:
            (made,) = read(chunks, of_calls(piece)).choices[0].delta.tool_calls
            texts[made.index] = texts.get(made.index, "") + made.function.arguments
    assert list(texts.items()) == list(enumerate(call.text for call in meant))


def test_chunk_is_the_sdks_own_with_all_that_the_nim_sent() -> None:
    delta = {"role": "assistant", "content": "a", "reasoning_content": "b"}
    choice = {"index": 0, "delta": delta, "finish_reason": None, "stop_reason": 128009}
    chunk = read(reader(), choice, nvext={"worker": 1}, model="theirs")
    assert type(chunk) is ChatCompletionChunk
    assert (chunk.model, chunk.object, chunk.id, chunk.created) == (
        "alias",
        "chat.completion.chunk",
        "x",
        1,
    )
    assert chunk.model_dump(exclude_unset=True) == {
        "id": "x",
        "created": 1,
        "object": "chat.completion.chunk",
        "model": "alias",
        "nvext": {"worker": 1},
        "choices": [choice],
    }
    again = ChatCompletionChunk.model_validate_json(chunk.model_dump_json())
    assert again.choices[0].delta.reasoning_content == "b"  # type: ignore[attr-defined]
    # Servers write the model's name over.
    chunk.model = "provider/alias"
    assert json.loads(chunk.model_dump_json())["model"] == "provider/alias"


def test_what_a_nim_leaves_out_is_filled_in() -> None:
    chunks = reader()
    body = b'{"choices": [{"delta": {"tool_calls": []}}, {"delta": null}]}'
    chunk = chunks.build(chunks.decode_chunk(body))
    assert chunk.model == "alias"
    again = chunks.build(chunks.decode_chunk(body))
    assert again.id == chunk.id
    assert chunk.id.startswith("chatcmpl-")
    assert chunk.created > 0
    assert [choice.index for choice in chunk.choices] == [0, 1]
    assert chunk.choices[0].delta.tool_calls is None
    assert chunk.choices[1].finish_reason is None


def test_values_that_the_sdk_does_not_know_are_kept() -> None:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
    chunk = read(reader(), choice, service_tier="gold")
    assert chunk.service_tier == "gold"
    assert chunk.choices[0].delta.content == "a"


@pytest.mark.parametrize(
    "choices",
    [["a"], "a", [{"delta": "a"}], [{"delta": {"tool_calls": [1]}}], [{"logprobs": "a"}]],
)
def test_what_has_another_form_is_an_error(choices: Any) -> None:
    with pytest.raises(ServerError, match=r"cannot be read: .* - at `\$\.choices"):
        reader().decode_chunk(json.dumps({"choices": choices}).encode())


def test_completions() -> None:
    chunks = OpenAICodec("alias", chat=False)
    made = read(chunks, {"index": 0, "text": "a", "finish_reason": "stop", "logprobs": None})
    assert (made.object, made.choices[0].text) == ("text_completion", "a")


def test_log_probabilities_are_the_sdks_and_the_stacks() -> None:
    top = [{"token": token, "logprob": -1.5, "bytes": [97]} for token in "ab"]
    token = {"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": top}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}}
    plain, storable = read(reader(), choice), stack.storable(read(reader(), choice))
    assert storable.model_dump() == plain.model_dump()
    assert storable.model_dump_json() == plain.model_dump_json()
    assert (
        inspect.getmodule(stack.OpenAITokenLogProb)
        .OpenAIChoiceLogprobs(content=storable.choices[0].logprobs.content)
        .content[0]
        .top_logprobs[1]
        .token
        == "b"
    )
    for one, other in itertools.pairwise([storable, stack.storable(storable)]):
        assert one == other


@pytest.mark.parametrize("function", [None, "null"])
def test_a_fragment_without_a_function_is_a_fragment(function: Any) -> None:
    chunk = read(reader(), of_calls({"index": 0, "id": "a", "function": function}))
    assert chunk.choices[0].delta.tool_calls[0].function is None


def test_a_word_in_the_place_of_a_message_is_no_message() -> None:
    data = json.dumps({"choices": [{"index": 0, "text": "a", "message": "null"}]}).encode()
    assert OpenAICodec("m", chat=False).decode_response(data).choices[0].text == "a"
