"""The tables of docs/embeddings.md are what the code goes by."""

from pathlib import Path

import pytest

from llama_stack_provider_nvidia.nim.model_facts.retrieval_models import (
    EMBEDDING_MODELS,
    RERANK_MODELS,
)

PAGE = Path(__file__).parents[3] / "docs" / "embeddings.md"


def yes(value):
    return "yes" if value else "no"


def embedder_row(model):
    known = EMBEDDING_MODELS[model]
    lengths = ", ".join(map(str, known.dimensions or ())) or "no"
    cells = (
        f"`{model}`",
        str(known.dimension),
        str(known.max_tokens),
        "not published" if known.dimensions is None else lengths,
        yes(known.asymmetric),
        yes(known.images),
        yes(known.base64),
    )
    return f"| {' | '.join(cells)} |"


def reranker_row(model):
    known = RERANK_MODELS[model]
    return f"| `{model}` | {known.passages} | {yes(known.images)} |"


ROWS = [*map(embedder_row, EMBEDDING_MODELS), *map(reranker_row, RERANK_MODELS)]


@pytest.mark.parametrize("row", ROWS)
def test_each_model_has_its_row(row):
    assert row in PAGE.read_text().splitlines()


def test_no_model_has_a_row_alone():
    lines = PAGE.read_text().splitlines()
    named = {
        line for line in lines if line.startswith(("| `nvidia/", "| `nv-", "| `baai/", "| `snow"))
    }
    assert named == set(ROWS)
