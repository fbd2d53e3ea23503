"""Fuzz target: whole responses, native and OpenAI-style."""

import contextlib

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.convert import (
    convert_openai_chat_completion_choice,
    convert_openai_completion_choice,
)
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.responses.normalize import check_whole
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT, COMPLETION

SEEDS = [
    b'\x00{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}',
    b'\x02{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [-1]}}]}',
    b"\x00[" * 300,
    bytes(range(1, 200)),
]


def check(data: bytes) -> None:
    """Read an answer in both ways."""
    source = Source(data)
    kind = source.byte()
    chat = not kind & 2
    body = source.rest()
    if kind & 1:
        body = chunks.encoded(chunks.chunk(Source(body), chat=chat, whole=True))
    with contextlib.suppress(NIMError):
        _native(body, chat=chat)
    try:
        answer = OpenAICodec("m", chat=chat).decode_response(body)
    except NIMError:
        return
    assert answer.model_dump_json()


def _native(body: bytes, *, chat: bool) -> None:
    if chat:
        answer = CHAT.decode_chunk(body)
        check_whole(answer.choices or (), 1)
        for choice in answer.choices or ():
            assert convert_openai_chat_completion_choice(choice).model_dump_json()
    else:
        completion = COMPLETION.decode_chunk(body)
        check_whole(completion.choices or (), 1)
        for one in completion.choices or ():
            assert convert_openai_completion_choice(one).model_dump_json()
