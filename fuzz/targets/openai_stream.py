"""The chunks of an OpenAI-style stream: decoded, joined, and made the SDK's objects."""

from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.nim.answers.coalesce import coalesce
from llama_stack_provider_nvidia.nim.answers.sdk_chunks import ChunkReader
from llama_stack_provider_nvidia.nim.answers.shape import Progress
from llama_stack_provider_nvidia.nim.errors import NIMError

SEEDS = [b"\x00" + bytes(range(40)), b"\x01" + bytes(range(255, 200, -1))]


def check(data: bytes) -> None:
    """Take a stream to its end."""
    source = Source(data)
    chat = source.flag()
    kind = ChatCompletionChunk if chat else Completion
    reader = ChunkReader(kind, "m", "spare")
    progress = Progress(1)
    decoded = []
    try:
        while source and len(decoded) < 8:
            body = reader.decode(chunks.encoded(chunks.chunk(source, chat=chat)))
            progress.see(body)
            decoded.append(body)
    except NIMError:
        pass
    try:
        for body in coalesce(decoded, [1] * len(decoded)):
            assert reader.build(body).model_dump_json()
        progress.end(done=True)
        reader.check_end()
    except NIMError:
        pass
