"""Log probabilities of completions in a chat's form, as llama.cpp sends them, on each route."""

import inspect
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.nim.endpoint import Endpoint
from llama_stack_provider_nvidia.nim.responses.struct_codec import COMPLETION
from nim_emulator import EmulatorServer

from .conftest import MODEL

TOKENS = [
    {
        "id": 327,
        "token": " for",
        "bytes": [32, 102, 111, 114],
        "logprob": -2.5,
        "top_logprobs": [{"id": 28, "token": ",", "bytes": [44], "logprob": -2.0}],
    },
    {"id": 253, "token": " a", "bytes": [32, 97], "logprob": None, "top_logprobs": []},
]
EXPECTED = [{",": -2.0, " for": -2.5}, {" a": None}]
REQUEST = {"model": MODEL, "prompt": "x", "logprobs": 1}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def piece(*tokens: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    text = "".join(token["token"] for token in tokens)
    choice = {"index": 0, "text": text, "logprobs": {"content": list(tokens)}}
    return {"id": "x", "choices": [{**choice, "finish_reason": reason}]}


@pytest.fixture(autouse=True)
def llama_cpp(nim: EmulatorServer, stream: bool) -> None:
    first, second = TOKENS
    events = [piece(first), piece(second, reason="length"), "[DONE]"]
    nim.script([{"sse": events} if stream else {"body": piece(*TOKENS, reason="length")}])


@STREAMED
async def test_openai_style(adapter: NVIDIAInferenceAdapter, stream: bool) -> None:
    answer = await adapter.openai_completion(**REQUEST, stream=stream)
    parts = [chunk async for chunk in answer] if stream else [answer]
    found = [part.choices[0].logprobs for part in parts if part.choices]
    assert [token for one in found for token in one.tokens] == [" for", " a"]
    assert [number for one in found for number in one.token_logprobs] == [-2.5, None]
    assert [top for one in found for top in one.top_logprobs] == [{",": -2.0}, {}]
    assert all("content" not in one.model_dump() for one in found)


@pytest.mark.native
@STREAMED
async def test_native(adapter: NVIDIAInferenceAdapter, stream: bool) -> None:
    if not stack.NATIVE:  # what the native API is made of is there in every release
        endpoint: Endpoint = adapter.endpoint
        body = {**REQUEST, "stream": stream}
        if stream:
            made = await endpoint.stream(body, COMPLETION, key=None)
            choices = [choice async for chunk in made for choice in chunk.choices or ()]
        else:
            choices = list((await endpoint.complete(body, COMPLETION, key=None)).choices or ())
        found = [token.token for choice in choices for token in choice.logprobs.content or ()]
        assert found == [" for", " a"]
        return
    wanted = inspect.getmodule(stack.CompletionRequest).LogProbConfig(top_k=1)
    answer = await adapter.completion(MODEL, "x", stream=stream, logprobs=wanted)
    parts = [part async for part in answer] if stream else [answer]
    shown = [token.logprobs_by_token for part in parts for token in part.logprobs or ()]
    assert [set(token) for token in shown] == [set(token) for token in EXPECTED]
    assert shown[0] == EXPECTED[0]
