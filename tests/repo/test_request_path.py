"""How many files of the package one request runs through, and how often it moves between them."""

import operator

from llama_stack_provider_nvidia import stack
from scripts.request_path import measure_all

# Files, and calls into another file than the one before. A few of the latter depend on timing.
BOUNDS = {
    "native stream": (30, 91),
    # Releases from 0.3 on have logs of the HTTP library written, which two files redact.
    "OpenAI-style stream": (31, 99) if stack.NATIVE else (34, 111),
    "embeddings": (27, 85) if stack.NATIVE else (30, 86),
}


async def test_a_request_runs_through_few_files() -> None:
    shortest: dict[str, tuple[int, int]] = {}
    for _ in range(8):  # on a busy machine a stream comes in more reads
        for name, path in (await measure_all()).items():
            found = (path.files, path.moves)
            shortest[name] = tuple(map(min, found, shortest.get(name, found)))
        if all(map(within, shortest.values(), shortest)):
            break
    assert shortest.keys() == BOUNDS.keys() - (set() if stack.NATIVE else {"native stream"})
    assert all(map(within, shortest.values(), shortest)), shortest


def within(path: tuple[int, int], name: str) -> bool:
    return all(map(operator.le, path, BOUNDS[name]))
