"""Reader of JUnit reports. Standard library only."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

# Of a failed test's text: its end names the error, and shows what the servers printed.
SHOWN = 2_500


@dataclass(frozen=True)
class Report:
    """The result of a test run.

    Attributes:
        passed: Tests that passed.
        failed: Tests that failed, errors among them.
        reasons: Of each failed test its name and the end of its text.
    """

    passed: int
    failed: int
    reasons: tuple[str, ...]


def _reason(case: ElementTree.Element, found: ElementTree.Element) -> str:
    text = (found.text or found.get("message") or "").strip()
    shown = text if len(text) <= SHOWN else "[...]" + text[-SHOWN:]
    return f"{case.get('classname', '')}::{case.get('name', '')}\n{shown}"


def read(report: Path) -> Report:
    """Read a report.

    Raises:
        ElementTree.ParseError: It is not XML.
    """
    root = ElementTree.parse(report).getroot()
    passed = failed = 0
    for suite in root.iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        failed += bad
        passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
    reasons = tuple(
        _reason(case, found)
        for case in root.iter("testcase")
        for found in case
        if found.tag in ("failure", "error")
    )
    return Report(passed, failed, reasons)
