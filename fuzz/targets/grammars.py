"""Grammars that clients send, from either syntax to the other."""

import contextlib

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.requests.grammar import to_gbnf, to_lark

_WORDS = (
    *("root ::= ", "start: ", "a", "b ::= ", "b: ", "\n", " ", '"x"', "'y'", "|", "(", ")", "*"),
    *("+", "?", "[a-z]", "[^\\n]", "/a{2,300}/", "{2,}", "{1000000}", "%import common.INT\n", "~"),
    *("%ignore ", "INT", "/(a|b)+?/i", "# x\n", "// x\n", "\\u0041", "..", "[", "_list{x}: x\n"),
)
SEEDS = [b'\x00root ::= "a" | [b-z]+\n', b'\x00start: /a+/ b\nb: "x"~2..3\n', bytes(range(1, 60))]


def check(data: bytes) -> None:
    """Read a grammar, and write it in the other syntax."""
    source = Source(data)
    if source.flag():
        text = "".join(source.pick(_WORDS) for _ in range(min(len(data), 120)))
    else:
        text = source.rest().decode("utf-8", "replace")
    for convert in (to_lark, to_gbnf):
        with contextlib.suppress(NIMError):
            convert(text)
