"""docs/errors.md is written from the tables; ``tests/matrix`` checks what they say."""

import inspect
import re

import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.error_table import CAUSES, cause_of
from llama_stack_provider_nvidia.statuses import SERVERS
from scripts import error_reference, releases
from scripts.env import pinned

PAGE = error_reference.TARGET.read_text()


def test_the_page_is_current() -> None:
    assert error_reference.reference() == PAGE, "run: python -m scripts.error_reference"


def test_every_class_of_errors_has_a_cause() -> None:
    made = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.NIMError) and kind.__module__ == errors.__name__
    }
    assert {cause.kind for cause in CAUSES} - {None} == made - {errors.NIMError}


def test_every_cause_has_a_row_with_a_status_for_each_release() -> None:
    table = PAGE.split("## Causes")[1]
    for cause in CAUSES:
        (row,) = re.findall(rf"^\| {re.escape(cause.title)} \|.*$", table, re.MULTILINE)
        for server in SERVERS:
            assert str(server.status(cause) or "none") in row, server
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize("stack", pinned())
def test_every_release_is_of_one_server(stack: str) -> None:
    title = releases.parse(stack)
    found = [one for one in SERVERS if _covers(one.releases, title.project, title.version)]
    assert len(found) == 1


def _covers(text: str, project: str, version: str) -> bool:
    if ("ogx" in project) != text.startswith("OGX"):
        return False
    first, last = (numbers(one) for one in (re.findall(r"[\d.]+", text) * 2)[:2])
    asked = numbers(version)
    return first <= asked[: len(first)] and asked[: len(last)] <= last


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_the_page_shows_the_words_to_look_for() -> None:
    assert error_reference.words(r"did not enforce|was cut") == "`did not enforce` or `was cut`"
    assert error_reference.words(r"^a NIM of \S+ has no ") == "`a NIM of ... has no`"
    assert error_reference.words(r"^[\w.]+: ") == ""
    shown = [cause for cause in CAUSES if error_reference.words(cause.says)]
    assert len(shown) >= len(CAUSES) - 2


def test_an_error_that_nobody_described_has_no_cause() -> None:
    assert cause_of(errors.ServerError("something else")) is None
    assert cause_of(errors.NIMError("NIM answered 500. The NIM failed")) is None


@pytest.mark.parametrize(
    ("status", "name"),
    [(422, "refused-field"), (413, "large-request"), (410, "withdrawn"), (503, "not-ready")],
)
def test_the_cause_of_an_answer_with_a_status(status: int, name: str) -> None:
    found = cause_of(errors.from_status(status, b"", model="m", endpoint="http://nim/v1"))
    assert found is not None
    assert found.name == name
    assert found.own_status == status
