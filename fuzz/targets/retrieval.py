"""Fuzz target: embeddings and rankings."""

import base64
import contextlib
import math

from fuzz import chunks
from fuzz.source import Source
from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.retrieval.rerank_request import decode_ranking
from llama_stack_provider_nvidia.nim.retrieval.vectors import (
    as_base64,
    as_numbers,
    decode_vectors,
)

_KEYS = ("data", "embedding", "index", "usage", "error", "rankings", "results", "logit", "score")
_WORDS = ("AACAPw==", "AACA", "AADAfw==", "=", "1.5", "5")
SEEDS = [
    b'\x00{"data": [{"embedding": [1, 2.5]}], "usage": {"prompt_tokens": 3}}',
    b'\x00{"data": [{"embedding": "AACAPw==", "index": 0}]}',
    b'\x00{"rankings": [{"index": 0, "logit": 1.5}]}',
    bytes(range(1, 60)),
]


def check(data: bytes) -> None:
    """Read both, raw and structured."""
    source = Source(data)
    if source.flag():
        vector = source.maybe([1.0, source.json(())], _KEYS, _WORDS)
        if source.flag():
            vector = base64.b64encode(source.blob(24)).decode()
        entry = source.maybe({"embedding": vector, "index": source.pick((None, 0, 1))}, _KEYS)
        place = {
            "index": source.pick((0, 1, None)),
            source.pick(("logit", "score")): source.json(()),
        }
        body = chunks.encoded({"data": source.maybe([entry], _KEYS), "rankings": [place]})
    else:
        body = source.rest()
    try:
        for found in decode_vectors(body, 1).vectors:
            numbers = as_numbers(found)
            assert numbers
            assert all(isinstance(number, float) for number in numbers)
            assert as_base64(found)
            assert len(as_numbers(as_base64(numbers))) == len(numbers)
    except NIMError:
        pass
    with contextlib.suppress(NIMError):
        assert all(math.isfinite(ranked.score) for ranked in decode_ranking(body, 1))
