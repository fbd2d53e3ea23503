"""The emulator's dialects beside answers of the real engines (tests/fixtures/engines)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nim_emulator import EmulatorServer
from scripts.wire.fixtures import Difference, compare, fixture_of, load, requests

REFERENCE = Path(__file__).parents[2] / "nim_emulator" / "docs" / "reference.md"
CONTEXT = 2048
"""Context length of the engines when they were recorded."""

ENGINES = {
    "vllm": "vllm",
    "nim2": "vllm",
    "nim2-sglang": "sglang",
    "dynamo": "dynamo",
    "generic": "llamacpp",
}
"""The engine that a dialect is compared with."""

STATUS_ALONE = ("generic",)
"""Dialects for several servers: of one of them no more is held against it."""


def told(dialect: str) -> set[Difference]:
    """Return the differences of a dialect that the reference gives a reason for."""
    table = REFERENCE.read_text(encoding="utf-8").partition("## Differences from")[2]
    rows = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows
    found: list[Difference] = []
    for row in rows:
        dialects, names, aspect, why = row.strip("| ").split(" | ")
        assert why
        if dialect in re.findall("`([^`]+)`", dialects):
            found += [(name, aspect) for name in re.findall("`([^`]+)`", names)]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("dialect", ENGINES)
def test_a_dialect_answers_as_its_engine(dialect: str) -> None:
    with EmulatorServer(dialect, context=CONTEXT) as nim:
        seen = compare(fixture_of(ENGINES[dialect]), nim.url)
    if dialect in STATUS_ALONE:
        seen = {key: text for key, text in seen.items() if key[1] == "status"}
    known = told(dialect)
    assert not {key: text for key, text in seen.items() if key not in known}
    assert not known - seen.keys(), "these rows of the reference do not differ any more"


@pytest.mark.parametrize("engine", sorted({*ENGINES.values()}))
def test_a_fixture_has_every_request(engine: str) -> None:
    assert load(fixture_of(engine)).requests == requests()
