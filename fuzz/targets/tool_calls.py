"""Fuzz target: fragments of tool calls, in any order."""

from types import SimpleNamespace

from fuzz.source import Source
from llama_stack_provider_nvidia.convert.chat import parsed_call, parsed_delta
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.responses.tool_call_assembler import ToolCallAssembler

_PIECES = ("", None, "{", '{"a": 1}', '"a": ', "1}", "null", '"{\\"a\\": 1}"', "[1]", {"a": 1}, {})
SEEDS = [bytes([0, 1, 2, 1, 3, 0, 0, 1, 4]), bytes(range(60))]


def check(data: bytes) -> None:
    """Feed fragments, and compare the texts that went in and came out."""
    source = Source(data)
    assembler = ToolCallAssembler(whole=source.flag())
    texts = 0
    while source:
        piece = (
            source.pick(_PIECES) if source.below(4) else source.blob(8).decode("utf-8", "ignore")
        )
        function = SimpleNamespace(name=source.pick((None, "f", "g", "")), arguments=piece)
        fragment = SimpleNamespace(
            index=source.pick((None, 0, 1, -1, 2**70)),
            id=source.pick((None, "1", "2", "")),
            function=source.pick((function, function, function, None)),
        )
        call, _, text = assembler.feed(fragment)
        texts += len(text)
        assert call.text.endswith(text)
    try:
        calls = assembler.finish(out_of_tokens=source.flag())
    except NIMError:
        return
    assert sum(len(call.text) for call in calls) == texts
    for call in calls:
        assert call.id
        assert parsed_call(call).model_dump_json()
        assert parsed_delta(call).model_dump_json()
