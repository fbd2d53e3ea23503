"""How many files of the package one request runs through, and how often it moves between them."""

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
    measured = await measure_all()
    assert measured.keys() == BOUNDS.keys() - (set() if stack.NATIVE else {"native stream"})
    for name, path in measured.items():
        files, moves = BOUNDS[name]
        assert len(path.calls) <= files, name
        assert path.moves <= moves, name
