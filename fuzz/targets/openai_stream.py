"""Fuzz target: chunks of an OpenAI-style stream."""

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.responses.chunk_merger import merge_chunks
from llama_stack_provider_nvidia.nim.responses.normalize import StreamProgress
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec

SEEDS = [b"\x00" + bytes(range(40)), b"\x01" + bytes(range(255, 200, -1))]


def check(data: bytes) -> None:
    """Take a stream to its end."""
    source = Source(data)
    chat = source.flag()
    codec = OpenAICodec("m", chat=chat)
    progress = StreamProgress(1)
    decoded = []
    try:
        while source and len(decoded) < 8:
            body = codec.decode_chunk(chunks.encoded(chunks.chunk(source, chat=chat)))
            progress.see(body)
            decoded.append(body)
    except NIMError:
        pass
    try:
        for body in merge_chunks(decoded, [1] * len(decoded)):
            assert codec.build(body).model_dump_json()
        progress.end(done=True)
        codec.check_end()
    except NIMError:
        pass
