"""docs/nim.md says of each cell how it is known, and README.md counts the kinds."""

import re
from pathlib import Path

import pytest

from llama_stack_provider_nvidia.capture.capture_reader import read_capture
from llama_stack_provider_nvidia.capture.field_check import has_field
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.requests.field_table import (
    EMBEDDING_FIELD_TABLE,
    FIELD_TABLE,
    Feature,
    MapTo,
)
from nim_emulator import EmulatorServer
from scripts.nim_provenance import Known, counts, engine_of, provenance
from scripts.stack_server import ROOT

from ..capture.test_comparison import LLM, captured_as

ROWS = (*FIELD_TABLE, *EMBEDDING_FIELD_TABLE)
CELLS = [
    pytest.param(feature, dialect, id=f"{feature.name}-{dialect}")
    for feature in ROWS
    for dialect in Dialect
]


@pytest.mark.parametrize(("feature", "dialect"), CELLS)
def test_a_cell_that_was_run_is_backed_by_recorded_calls(
    feature: Feature, dialect: Dialect
) -> None:
    found = provenance(feature, dialect)
    if found.known is not Known.RUN:
        assert feature.source
        assert re.fullmatch(r"20\d\d-\d\d", feature.date)
        return
    engine = engine_of(dialect)
    assert engine
    mapping = feature.mappings[dialect]
    path = mapping.path if isinstance(mapping, MapTo) else feature.field
    statuses = [engine.answers[name].status for name in found.calls]
    assert all(has_field(engine.requests[name], path) for name in found.calls)
    assert (200 in statuses) if isinstance(mapping, MapTo) else statuses


@pytest.mark.parametrize(
    ("field", "dialect", "known"),
    [
        ("top_k", Dialect.NIM2_VLLM, Known.RUN),
        ("structured_outputs.grammar", Dialect.NIM2_SGLANG, Known.RUN),
        ("length_penalty", Dialect.DYNAMO, Known.RUN),
        # SGLang accepts every field: nothing shows that it reads this one.
        ("prompt_cache_key", Dialect.NIM2_SGLANG, Known.DOCUMENTED),
        # Dynamo accepts it; that it has no effect is not in the answer.
        ("logit_bias", Dialect.DYNAMO, Known.DOCUMENTED),
        ("top_k", Dialect.NIM1, Known.DOCUMENTED),
        ("top_k", Dialect.HOSTED, Known.DOCUMENTED),
    ],
)
def test_what_recorded_answers_show(field: str, dialect: Dialect, known: Known) -> None:
    (feature,) = (row for row in FIELD_TABLE if row.field == field)
    assert provenance(feature, dialect).known is known


async def test_a_capture_makes_cells_captured(tmp_path: Path) -> None:
    with EmulatorServer("nim1", [LLM]) as nim:
        await captured_as(nim, Dialect.NIM1, tmp_path / "nim.capture")
    given = [(Dialect.NIM1, read_capture(tmp_path / "nim.capture"))]
    known = {row.field: provenance(row, Dialect.NIM1, given) for row in FIELD_TABLE}
    assert known["top_k"] == (Known.CAPTURED, ("chat, top_k, good", "completion, top_k, good"))
    assert known["store"].known is Known.CAPTURED  # refused, so it is left out
    assert known["min_p"].known is Known.DOCUMENTED  # refused, and sent: not shown


def test_each_cell_of_the_page_says_how_it_is_known() -> None:
    page = (ROOT / "docs" / "nim.md").read_text().partition("## Where each feature goes")[2]
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    cells = [cell for row in rows for cell in row.strip("| ").split(" | ")[1:]]
    cells = [cell for cell in cells if cell not in {f"`{dialect}`" for dialect in Dialect}]
    assert len(cells) == len(ROWS) * len(Dialect)
    sources = re.findall(r"^(\d+)\. .*\(20\d\d-\d\d\)$", page, re.MULTILINE)
    for cell in cells:
        how = re.search(r", \*(run|captured|doc)\*(?: (\d+))?$", cell)
        assert how, cell
        assert (how[2] in sources) == (how[1] == "doc"), cell


def test_the_readme_counts_the_cells() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    found = counts()
    said = re.search(
        r"Of its (\d+) cells, (\d+) are shown by recorded answers of real engines, (\d+|none) by a "
        r"capture of a NIM, and (\d+) are documented",
        text,
    )
    assert said, dict(found)
    kinds = (Known.RUN, Known.CAPTURED, Known.DOCUMENTED)
    numbers = [0 if one == "none" else int(one) for one in said.groups()]
    assert numbers == [sum(found.values()), *(found[kind] for kind in kinds)]
