"""A response's bytes to chunks, with everything in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.convert.chat import convert_openai_chat_completion_stream
from llama_stack_provider_nvidia.nim.answers.decode import decode_chunk
from llama_stack_provider_nvidia.nim.answers.stream import chunks as read
from llama_stack_provider_nvidia.nim.answers.wire import ChatChunk
from llama_stack_provider_nvidia.nim.errors import NIMError

SEEDS = [
    b'\x00\x00data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'
    b"data: [DONE]\n\n",
    b'\x01\x03\x04\x05\x06data: {"error": {"message": "no", "code": 429}}\n\n',
]


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def _read(pieces: list[bytes]) -> None:
    response = httpx.Response(200, stream=_Body(pieces), request=httpx.Request("POST", "http://n"))
    stream = read(response, lambda data: decode_chunk(data, ChatChunk), model="m", endpoint="e")
    async for _ in convert_openai_chat_completion_stream(stream):
        pass


def check(data: bytes) -> None:
    """Read a native chat."""
    source = Source(data)
    structured = source.flag()
    marks = Source(source.blob(16))
    if structured:
        events = []
        while source and len(events) < 8:
            events.append(b"data: " + chunks.encoded(chunks.chunk(source)) + b"\n\n")
        body = b"".join(events) + b"data: [DONE]\n\n"
    else:
        body = source.rest()
    with contextlib.suppress(NIMError):
        asyncio.run(_read(marks.cuts(body)))
