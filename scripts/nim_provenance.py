"""Provenance of each cell of the field table: run, captured or documented.

*Run*: the recorded answers of a real engine in tests/fixtures/engines show it. *Captured*: a
capture of a NIM in tests/fixtures/captures shows it. *Documented*: the row names its source and
date.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from llama_stack_provider_nvidia.capture.capture_reader import RecordedCapture, read_capture
from llama_stack_provider_nvidia.capture.comparison import subject_of
from llama_stack_provider_nvidia.capture.field_check import check_features, has_field
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.requests.field_table import (
    EMBEDDING_FIELD_TABLE,
    FIELD_TABLE,
    Feature,
    Ignored,
    MapTo,
)
from scripts.wire.fixtures import FIXTURES, Fixture, fixture_of, load

CAPTURES = FIXTURES.parent / "captures"
ENGINES = {
    Dialect.NIM2_VLLM: "vllm",
    Dialect.NIM2_SGLANG: "sglang",
    Dialect.DYNAMO: "dynamo",
}
"""The recorded engine of a dialect."""
_UNKNOWN_FIELD = "foo = 1"
"""The call that shows whether an engine refuses a field that it does not know."""


class Known(StrEnum):
    """How a cell is known."""

    RUN = "run"
    CAPTURED = "captured"
    DOCUMENTED = "documented"


class Provenance(NamedTuple):
    """How one cell is known.

    Attributes:
        known: The kind.
        calls: Names of the recorded calls that show it; none for what is documented.
    """

    known: Known
    calls: tuple[str, ...] = ()


@functools.cache
def engine_of(dialect: Dialect) -> Fixture | None:
    """Return the recorded answers of a dialect's engine."""
    name = ENGINES.get(dialect)
    return None if name is None else load(fixture_of(name))


@functools.cache
def captures() -> tuple[tuple[Dialect, RecordedCapture], ...]:
    """Return the captures in the repository, each with its dialect."""
    read = [read_capture(path) for path in sorted(Path(CAPTURES).glob("*.capture*"))]
    return tuple((subject_of(capture).dialect, capture) for capture in read)


def provenance(
    feature: Feature,
    dialect: Dialect,
    given: Sequence[tuple[Dialect, RecordedCapture]] | None = None,
) -> Provenance:
    """Return how a cell is known.

    Args:
        feature: The row.
        dialect: The column.
        given: Captures by dialect; those of the repository by default.
    """
    engine = engine_of(dialect)
    if engine is not None and (shown := tuple(_shown(engine, feature, dialect))):
        return Provenance(Known.RUN, shown)
    for of, capture in captures() if given is None else given:
        if of is dialect and (names := tuple(_captured(capture, feature, dialect))):
            return Provenance(Known.CAPTURED, names)
    return Provenance(Known.DOCUMENTED)


def counts() -> Counter[Known]:
    """Return how many cells of both tables are known in each way."""
    rows = (*FIELD_TABLE, *EMBEDDING_FIELD_TABLE)
    return Counter(provenance(row, dialect).known for row in rows for dialect in Dialect)


def _shown(engine: Fixture, feature: Feature, dialect: Dialect) -> Iterator[str]:
    """Yield the calls that show a cell; none if they do not suffice."""
    mapping = feature.mappings[dialect]
    path = mapping.path if isinstance(mapping, MapTo) else feature.field
    tried = [name for name, body in engine.requests.items() if has_field(body, path)]
    taken = [name for name in tried if _is_taken(engine, name)]
    refused = [name for name in tried if 400 <= engine.answers[name].status < 500]
    if isinstance(mapping, Ignored):
        yield from tried  # whatever it answers, the field changes nothing
    elif isinstance(mapping, MapTo):
        # One that takes every field shows that it reads this one by refusing a bad value.
        is_closed = not _is_taken(engine, _UNKNOWN_FIELD)
        if taken and (refused or is_closed):
            yield from (*taken, *refused)
    elif refused and not taken:
        yield from refused


def _is_taken(engine: Fixture, name: str) -> bool:
    """Return whether a call was answered, and no stream of it ended with an error."""
    answer: Any = engine.answers[name]
    events = answer.body if isinstance(answer.body, list) else ()
    failed = any(isinstance(event, dict) and "error" in event for event in events)
    return answer.status == 200 and not failed


def _captured(capture: RecordedCapture, feature: Feature, dialect: Dialect) -> Iterator[str]:
    """Yield the calls of a capture that show a cell."""
    mapping = feature.mappings[dialect]
    tried = [call for call in capture.calls if call.feature == feature.field]
    wrong = {found[0] for found in check_features(tried, dialect)}
    for call in tried:
        if not isinstance(mapping, MapTo):
            shows = call.status is not None and 400 <= call.status < 500
        else:
            shows = call.status == 200 and has_field(call.request, mapping.path)
        if call.value == "good" and shows and call.call not in wrong:
            yield call.call
