"""docs/compatibility.md says what the recorded runs of the engine suite found."""

import copy
import re

import pytest

from scripts.engine import features, table
from scripts.engine.kinds import KINDS

RUNS = table.kept()


def test_the_table_is_that_of_the_records() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.section(page) == table.render(RUNS), "run: python3 -m scripts.engine table"


def test_the_records_are_complete_and_without_a_failure() -> None:
    assert RUNS
    assert list(table.problems(RUNS)) == []


def test_every_engine_has_a_record_of_a_direct_run_and_one_through_a_server() -> None:
    assert {*RUNS} == {*KINDS}
    for records in RUNS.values():
        assert {features.DIRECT, "0.7.3"} <= set(records)


@pytest.mark.parametrize(
    ("outcome", "said"), [("fails", "fails"), ("lacks", "lacks"), (None, "None")]
)
def test_a_record_that_is_not_as_expected_is_told(outcome: str | None, said: str) -> None:
    runs = copy.deepcopy(RUNS)
    found = runs["vllm"][features.DIRECT]["features"]
    found.pop("chat")
    if outcome:
        found["chat"] = outcome
    assert list(table.problems(runs)) == [f"vllm, direct, chat: {said}, not works"]


def test_a_record_of_another_version_is_told() -> None:
    runs = copy.deepcopy(RUNS)
    runs["vllm"][features.DIRECT]["title"] = "vLLM 0.1"
    assert list(table.problems(runs)) == [f"vllm, direct: of vLLM 0.1, not {KINDS['vllm'].title}"]


def test_every_reason_is_used() -> None:
    text = table.render(RUNS)
    reasons = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
    assert reasons == [str(number) for number in range(1, len(reasons) + 1)]
    assert {f"({number})" for number in reasons} == set(re.findall(r"\(\d+\)", text))
