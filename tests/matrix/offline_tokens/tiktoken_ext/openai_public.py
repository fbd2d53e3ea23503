"""Encodings that tiktoken need not download: one token per byte.

Vector stores count tokens with cl100k_base to split files, and most releases need it to start. On
PYTHONPATH this module takes the place of tiktoken's own of the same name.
"""

from typing import Any


def _bytes(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "pat_str": r"\s?\S+|\s+",
        "mergeable_ranks": {bytes([value]): value for value in range(256)},
        "special_tokens": {"<|endoftext|>": 256},
    }


ENCODING_CONSTRUCTORS = {
    name: lambda name=name: _bytes(name) for name in ("cl100k_base", "o200k_base")
}
