"""Fuzz target: merged chunks say the same as single ones."""

from typing import Any

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.responses.chunk_merger import merge_chunks
from llama_stack_provider_nvidia.nim.responses.normalize import reasoning_of
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT
from llama_stack_provider_nvidia.nim.responses.structs import ChatChunk
from llama_stack_provider_nvidia.nim.responses.tool_call_assembler import ToolCallAssembler

SEEDS = [bytes([1, 0, 1, 0, 9, 9, 0, 0] * 12), bytes(range(250))]


class _Told:
    """The content of a stream's chunks: per choice, in runs of one kind."""

    def __init__(self) -> None:
        self._runs: dict[int, list[list[Any]]] = {}
        self._calls: dict[int, ToolCallAssembler] = {}
        self._usage: Any = None

    def see(self, chunk: ChatChunk) -> None:
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            index = choice.index or 0
            runs = self._runs.setdefault(index, [])
            said = choice.delta or choice.message
            if said is not None:
                self._text(runs, "thinking", reasoning_of(said))
                self._text(runs, "text", said.content)
                for fragment in said.tool_calls or ():
                    assembler = self._calls.setdefault(index, ToolCallAssembler())
                    call, _, piece = assembler.feed(fragment)
                    self._text(runs, f"call {id(call)}", piece)
            if choice.logprobs is not None and choice.logprobs.content:
                runs.append(["logprobs", [token.token for token in choice.logprobs.content]])
            if choice.finish_reason:
                runs.append(["end", choice.finish_reason])

    @staticmethod
    def _text(runs: list[list[Any]], kind: str, text: str | None) -> None:
        if text:
            runs.append([kind, text])

    def all(self) -> Any:
        told = {}
        for index, runs in self._runs.items():
            logprobs = [token for kind, of_run in runs if kind == "logprobs" for token in of_run]
            merged: list[list[Any]] = []
            for kind, text in runs:
                if kind == "logprobs" or kind.startswith("call "):
                    continue
                if merged and merged[-1][0] == kind != "end":
                    merged[-1][1] += text
                else:
                    merged.append([kind, text])
            told[index] = (merged, logprobs)
        calls = {
            index: [(call.index, call.id, call.name, call.text) for call in assembler._calls]
            for index, assembler in self._calls.items()
        }
        return told, calls, self._usage


def _structs(bodies: list[bytes]) -> list[ChatChunk]:
    return [CHAT.decode_chunk(body) for body in bodies]


def _told(made: list[ChatChunk]) -> Any:
    told = _Told()
    for chunk in made:
        told.see(chunk)
    return told.all()


def check(data: bytes) -> None:
    """Compare what is told before and after, of structs and of dicts."""
    source = Source(data)
    bodies = []
    while source and len(bodies) < 8:
        body = chunks.encoded(chunks.chunk(source))
        try:
            CHAT.decode_chunk(body)
        except NIMError:
            continue
        bodies.append(body)
    sizes = [1] * len(bodies)
    plain = _told(_structs(bodies))
    joined = merge_chunks(_structs(bodies), sizes)
    assert _told(joined) == plain, "structs"
    codec = OpenAICodec("m")
    try:
        dicts = [codec.decode_chunk(body) for body in bodies]
    except NIMError:
        return
    again = [chunks.encoded(body) for body in dicts]
    said = _told(_structs(again))
    together = [chunks.encoded(body) for body in merge_chunks(dicts, sizes)]
    assert _told(_structs(together)) == said, "dicts"
