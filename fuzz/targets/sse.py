"""Fuzz target: server-sent events, however the bytes are cut."""

from fuzz.source import Source
from llama_stack_provider_nvidia.nim.responses.sse import SSEDecoder

SEEDS = [
    b"\x05data: {}\n\ndata: [DONE]\n\n",
    b"\x05\x09\xef\xbb\xbfdata:a\r\ndata: b\r\r: comment\nevent: x\n\ndata\n\n",
]


def check(data: bytes) -> None:
    """Compare the events of one piece with those of several."""
    source = Source(data)
    marks = Source(source.blob(32))
    whole = source.rest()
    decoder, cut = SSEDecoder(), SSEDecoder()
    events = [*decoder.feed(whole), *decoder.close()]
    pieces = [event for piece in marks.cuts(whole) for event in cut.feed(piece)]
    assert [*pieces, *cut.close()] == events
    assert all(events)
