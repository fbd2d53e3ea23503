"""Fuzz target: the bytes of a stream, through all stages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.convert.chat import ChatEvents
from llama_stack_provider_nvidia.nim.completions import stream_completion
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.discovery.finding import Finding
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.plan import plan_request
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT
from llama_stack_provider_nvidia.nim.settings import Settings

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
    body = {"model": "m", "messages": []}
    plan = plan_request(body, Finding(Dialect.NIM1, "it is fuzzed"), Settings())
    stream = stream_completion(response, plan, CHAT, endpoint="e", output=ChatEvents())
    async for _ in stream:
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
