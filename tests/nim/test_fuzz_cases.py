"""The input of `make fuzz`, once: its seeds, and all that was ever found by it."""

from pathlib import Path

import pytest

from fuzz import targets
from fuzz.source import Source

CASES = sorted(
    path
    for path in Path(__file__).with_name("fuzz_cases").rglob("*")
    if path.is_file() and path.parent.name in targets.names()
)


@pytest.mark.parametrize("name", targets.names())
def test_seeds_are_well(name: str) -> None:
    target = targets.load(name)
    assert target.SEEDS
    for seed in (b"", b"\x00", *target.SEEDS):
        target.check(seed)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_put_right(case: Path) -> None:
    targets.load(case.parent.name).check(case.read_bytes())


def test_a_source_ends() -> None:
    source = Source(b"\x03\x05abcde")
    assert (source.byte(), source.blob(), bool(source)) == (3, b"abcde", False)
    assert (source.byte(), source.json(("a",)), source.flag()) == (0, None, False)


def test_pieces_of_a_source_make_up_the_whole() -> None:
    pieces = Source(bytes(range(20))).cuts(b"x" * 100)
    assert b"".join(pieces) == b"x" * 100
    assert len(pieces) > 10
