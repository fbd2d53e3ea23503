"""Two thousand streams of one provider, in one process with it and with the NIM."""

import asyncio

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from tests.nim.transport.raw_server import CHUNKED, Connection, chunk, serving

from .conftest import SCALE

STREAMS = max(int(2000 * SCALE), 50)
TOKENS = 10
# Callers come one after the other; all are there long before the first stream ends.
APART_S = 0.001
PAUSE_S = 0.5

_EVENT = 'data: {"choices": [{"index": 0, "delta": {"content": "%s"}, "finish_reason": %s}]}\n\n'


def event(text: str, reason: str = "null") -> bytes:
    return chunk((_EVENT % (text, reason)).encode())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("most", [None, 1000], ids=["all at once", "half of them wait"])
async def test_every_stream_is_whole_and_gets_its_turn(most: int | None) -> None:
    open_streams, most_open = 0, 0

    async def nim(connection: Connection) -> None:
        nonlocal open_streams, most_open
        while True:
            body = await connection.request()
            name = body.partition(b"stream ")[2].partition(b".")[0].decode()
            open_streams += 1
            most_open = max(most_open, open_streams)
            connection.writer.write(CHUNKED)
            for number in range(TOKENS):
                connection.writer.write(event(f" {name}-{number}"))
                await asyncio.sleep(PAUSE_S)
            open_streams -= 1
            connection.writer.write(event("", '"stop"') + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    ended: list[int] = []

    async def ask(adapter: NVIDIAInferenceAdapter, number: int) -> str:
        await asyncio.sleep(number * APART_S)
        messages = [{"role": "user", "content": f"stream {number}."}]
        stream = await adapter.openai_chat_completion(model="m", messages=messages, stream=True)
        text = "".join([one.choices[0].delta.content or "" async for one in stream])
        ended.append(number)
        return text

    async with serving(nim) as server:
        # One busy event loop is all three: client, provider and NIM.
        network = {"limits": {"max_connections": most}, "timeout": 250}
        adapter = NVIDIAInferenceAdapter(
            NVIDIAConfig(url=server.url, dialect="nim2-vllm", max_retries=0, network=network)
        )
        texts = await asyncio.gather(*(ask(adapter, number) for number in range(STREAMS)))
        await adapter.shutdown()
        for number, text in enumerate(texts):
            assert text.split() == [f"{number}-{token}" for token in range(TOKENS)]
        assert most_open == min(most or STREAMS, STREAMS)
        if most and most < STREAMS:
            # None of those that came last was served before one of those that came first.
            assert max(ended[:most]) < STREAMS * 3 // 4
        assert len(server.connections) <= STREAMS
