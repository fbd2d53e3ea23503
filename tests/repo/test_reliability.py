"""The page on reliability is what its generator writes, and tells of every fault."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from llama_stack_provider_nvidia.nim.transport.retry import RETRIED_STATUSES
from nim_emulator import FAULTS
from scripts import reliability_report as report
from scripts import reliability_text as text
from tests.load import judged
from tests.load.answers import Tally, compare
from tests.load.judged import Seen
from tests.load.observed import growth

PAGE = report.TARGET.read_text(encoding="utf-8")
PROMISES, FIGURES = PAGE.split(report.FIGURES)


def test_the_text_is_the_generator_s() -> None:
    assert PROMISES == text.PROMISES, "run: make reliability"
    for part in (text.EACH, text.EXAMPLES):
        assert part in FIGURES
    # Figures apart, so are the parts that hold some.
    for part in (text.MEASURED, text.MEMORY, text.COMPARED):
        pattern = re.sub(r"\\\{[^}]*\\\}", r".+?", re.escape(part.strip()))
        assert re.search(pattern, FIGURES), "run: make reliability"


def test_every_fault_has_its_row() -> None:
    rows = FIGURES.split(text.EACH)[1].split(text.EXAMPLES)[0]
    assert re.findall(r"^\| `([\w-]+)` ", rows, re.MULTILINE) == list(FAULTS)
    ours = [line.split("|")[2] for line in rows.splitlines() if line.startswith("| `")]
    assert all(re.fullmatch(r"(,? \d+ (right answer|clear error))+ ", cell) for cell in ours)


def test_the_statuses_that_are_tried_again_are_those_of_the_text() -> None:
    told = re.search(r"statuses ([\d, and]+)\.", " ".join(text.PROMISES.split()))
    assert told is not None
    assert set(map(int, re.findall(r"\d+", told[1]))) == RETRIED_STATUSES


def test_a_run_of_which_a_part_is_missing_makes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "RECORDS", tmp_path)
    monkeypatch.setattr(report, "TARGET", tmp_path / "page.md")
    (tmp_path / "streams-native.json").write_text(json.dumps({}))
    assert report.main() == 1
    assert "streams-openai.json is missing" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_outcomes_are_shown_and_the_bad_ones_stand_out() -> None:
    found = Counter({"right answer": 2, "no end": 1})
    assert report._cell(found) == "2 right answer, **1 no end**"


@pytest.mark.parametrize(
    ("got", "tally"),
    [
        (" a.1 a.2 a.3", Tally()),
        (" a.1 a.3", Tally(lost=1)),
        (" a.1 a.2 a.2 a.3", Tally(doubled=1)),
        (" a.1 a.2 b.2 a.3", Tally(mixed=1)),
        (" a.1 b.2 a.3", Tally(lost=1, mixed=1)),
        (" a.1 a.3 a.2", Tally(moved=1)),
    ],
)
def test_tokens_are_counted(got: str, tally: Tally) -> None:
    assert compare(got, [" a.1", " a.2", " a.3"]) == tally


def test_growth_leaves_out_the_beginning() -> None:
    assert growth([1, 5, 9, 10, 10, 10, 12, 12, 12]) == 2


@pytest.mark.parametrize(
    ("order", "seen", "outcome"),
    [
        ({"fault": "cut"}, Seen("1 2 3"), judged.SHORT),
        ({"fault": "cut"}, Seen("1 2 3 4 5 6"), judged.RIGHT),
        ({"fault": "cut"}, Seen("1 2 1 2"), judged.WRONG),
        ({"fault": "cut"}, Seen(""), judged.SHORT),
        ({"fault": "no-content"}, Seen(""), judged.RIGHT),
        ({"fault": "wrong-type", "field": "choices.*.message.content"}, Seen(5), judged.WRONG),
        (
            {"fault": "tool-calls"},
            Seen("", [("a", "get_weather", {"n": 1}), ("b", "get_weather", {"n": 2})]),
            judged.RIGHT,
        ),
        ({"fault": "tool-calls"}, Seen("", [("a", "get_weather", {"n": 1})]), judged.WRONG),
        (
            {"fault": "tool-calls"},
            Seen("", [("a", "get_weather", {"n": 1}), (None, "get_weather", {"n": 2})]),
            judged.WRONG,
        ),
    ],
)
def test_answers_are_judged(order: dict[str, str], seen: Seen, outcome: str) -> None:
    assert judged.of_answer(order, seen) == outcome


def test_errors_are_judged() -> None:
    assert judged.of_error(ConnectionError("refused")) == judged.CLEAR
    assert judged.of_error(TypeError("'NoneType' object is not iterable")) == judged.UNCLEAR
