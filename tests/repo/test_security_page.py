"""Each claim of docs/security.md names a test that exists, and all pins are exact."""

import re
from pathlib import Path

import pytest

from scripts import audit
from scripts.stack_server import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", PAGE)))
EXACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.!+]*")


def exists(test: str) -> bool:
    path, *names = test.split("::")
    text = (ROOT / path).read_text("utf-8") if (ROOT / path).is_file() else ""
    for name in names[:-1]:
        found = re.search(
            rf"^class {name}\b.*?(?=^\S(?!.*\n    )|\Z)", text, re.MULTILINE | re.DOTALL
        )
        text = found.group() if found else ""
    return re.search(rf"^ *(?:async )?def {names[-1]}\(", text, re.MULTILINE) is not None


def test_tests_are_found() -> None:
    own = "tests/repo/test_security_page.py::"
    assert exists(f"{own}test_tests_are_found")
    assert not exists(f"{own}test_that_is_not_there")
    assert not exists(f"{own}TestNone::test_tests_are_found")
    assert len(NAMED) > 40


@pytest.mark.parametrize("test", NAMED)
def test_a_claim_names_a_test_that_exists(test: str) -> None:
    assert exists(test)


def test_each_claim_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    claims = [row for row in rows if row.count(" | ") == 1 and not row.startswith("| Claim")]
    assert len(claims) > 20
    assert [row for row in claims if "`tests/" not in row] == []


@pytest.mark.parametrize("path", audit.files(), ids=lambda path: path.stem)
def test_all_pins_are_exact(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if line[:1] not in ("#", "")]
    assert lines
    assert [line for line in lines if not EXACT.fullmatch(line)] == []
