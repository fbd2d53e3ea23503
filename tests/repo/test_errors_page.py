"""docs/errors.md is written from the table; ``tests/matrix`` checks what it says."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import llama_stack_provider_nvidia
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors import troubleshooting, types
from llama_stack_provider_nvidia.nim.errors.cause import Cause
from llama_stack_provider_nvidia.nim.errors.troubleshooting import BY_CODE, CAUSES
from scripts import error_reference, releases
from scripts.statuses import SERVERS
from scripts.venvs import pinned

PAGE = error_reference.TARGET.read_text()
PACKAGE = Path(llama_stack_provider_nvidia.__file__).parent
CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(types, inspect.isclass)
    if issubclass(kind, errors.NIMError)
}


def test_the_page_is_current() -> None:
    assert error_reference.reference() == PAGE, "run: python -m scripts.error_reference"


def test_every_class_of_errors_has_a_cause() -> None:
    assert {cause.kind for cause in CAUSES} - {None} == set(CLASSES.values()) - {errors.NIMError}


def test_every_class_is_public() -> None:
    assert set(CLASSES) <= set(errors.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)


def test_every_cause_has_a_row_with_a_status_for_each_release() -> None:
    table = PAGE.split("## Causes")[1]
    for cause in CAUSES:
        (row,) = re.findall(rf"^\| `{cause.code}`[^|]*\|.*$", table, re.MULTILINE)
        assert cause.title in row
        assert cause.remedy in row
        for server in SERVERS:
            assert str(server.status(cause) or "none") in row, server
    assert len(BY_CODE) == len(CAUSES)
    assert len({cause.remedy for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.code)
def test_a_code_is_a_short_word(cause: Cause) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{3,40}", cause.code)
    assert cause.remedy.endswith(".")
    assert not cause.title.endswith(".")
    page, _, anchor = cause.page.partition("#")
    if page:
        text = (error_reference.TARGET.parent / page).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
        assert not anchor or anchor in slugs


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call in the package, with its place and the name of what it calls."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", name, node


def code_of(call: ast.Call) -> str | None:
    """The code that a call names, None if it names none or works it out."""
    found = [word.value for word in call.keywords if word.arg == "code"]
    if ast.unparse(call.func).rpartition(".")[2] == "make":
        found = [call.args[0]]
    one = found[0] if found else None
    return one.value if isinstance(one, ast.Constant) else None


def test_errors_are_made_by_their_code() -> None:
    """No error but by ``make``, ``invalid`` and ``malformed``, and with a code of the table."""
    for place, name, call in calls():
        assert name not in CLASSES, f"{place}: use errors.make"
        if name in ("make", "invalid", "malformed") and (code := code_of(call)) is not None:
            assert code in BY_CODE, place
            assert name != "invalid" or BY_CODE[code].unsent, place
            assert name != "malformed" or BY_CODE[code].kind is errors.ServerError, place


def test_every_code_is_made_somewhere() -> None:
    tables = ("troubleshooting.py", "transport_causes.py")
    written: set[object] = {kind.default_code for kind in CLASSES.values()}
    for path in PACKAGE.rglob("*.py"):
        if path.name not in tables and path.parent.name != "telemetry":
            written |= {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant)
            }
    assert {cause.code for cause in CAUSES if cause.kind is not None} <= written


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_the_usual_code_of_a_class_is_in_the_table(kind: type[errors.NIMError]) -> None:
    row = BY_CODE[kind.default_code]
    assert row.kind is not None
    assert issubclass(row.kind, kind)


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


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (422, "request_refused"),
        (413, "request_too_large"),
        (410, "model_withdrawn"),
        (503, "nim_not_ready"),
        (501, "not_implemented"),
    ],
)
def test_the_code_of_a_response_with_a_status(status: int, code: str) -> None:
    error = errors.from_status(status, b"", model="m", endpoint="http://nim/v1")
    assert error.code == code
    assert error.message.endswith(BY_CODE[code].remedy)
    assert error.status_code == BY_CODE[code].own_status == status


def test_the_remedies_link_to_pages() -> None:
    assert troubleshooting.remedy_for("api_key_missing").endswith("See docs/keys.md.")
    assert troubleshooting.remedy_for("dns_failed") == BY_CODE["dns_failed"].remedy
