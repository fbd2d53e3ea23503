"""The pins of `make test-newest`: within pyproject's bounds, and no others than it needs."""

import re
from pathlib import Path

from packaging.requirements import Requirement

from scripts import newest, venvs


def test_the_bounds_are_those_of_the_package(root: Path) -> None:
    found = newest.bounds((root / "pyproject.toml").read_text())
    assert [re.split("[<>=]", line)[0] for line in found] == list(newest.NAMES)
    assert all("<" in line for line in found)


def test_what_the_release_has_is_left_out() -> None:
    text = newest.render("openai==3.1\nh11==1.0\n# via\nanyio==5\n", "h11==1.0\nanyio==4\n", "a-1")
    assert [line for line in text.splitlines() if line[:1] != "#"] == ["anyio==5", "openai==3.1"]
    assert "a-1.txt" in text


def test_the_pins_are_within_the_bounds(root: Path) -> None:
    pins = dict(
        line.split("==")
        for file in (venvs.constraints_path(newest.DEFAULT_STACK), newest.PINS)
        for line in file.read_text().splitlines()
        if not line.startswith("#")
    )
    for line in newest.bounds((root / "pyproject.toml").read_text()):
        wanted = Requirement(line)
        assert wanted.specifier.contains(pins[wanted.name]), line
