"""The record of a run: what worked, by engine, route and feature."""

import datetime
import json
import re
from collections import defaultdict
from typing import Any

import pytest

from scripts.engine.features import Lack
from scripts.engine.kinds import KINDS, RECORDS

_FOUND: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)


def judge(report: pytest.TestReport, call: pytest.CallInfo[object], known: Lack) -> None:
    """Make an expected failure of what is known to be missing, and a failure of what is not.

    Args:
        report: The test's report, which is changed.
        call: How the test ended.
        known: What is said to be missing.
    """
    assert known.shows is not None
    if report.passed:
        report.outcome = "failed"
        report.longrepr = f"It works, and is listed as lacking: {known.reason}"
    elif call.excinfo is not None and re.search(known.shows, str(call.excinfo.value), re.DOTALL):
        report.outcome = "skipped"
        report.wasxfail = known.reason


def note(engine: str, route: str, feature: str, report: pytest.TestReport) -> None:
    """Note how a test ended; a feature works where all its tests pass."""
    found = _FOUND[engine, route]
    works = "works" if report.passed else "fails"
    outcome = "lacks" if hasattr(report, "wasxfail") else works
    worst = ("works", "lacks", "fails")
    found[feature] = max(found.get(feature, "works"), outcome, key=worst.index)


def write() -> None:
    """Write one file for each engine and route into `var/engines`."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    for (engine, route), found in _FOUND.items():
        made: dict[str, Any] = {
            "engine": engine,
            "title": KINDS[engine].title,
            "route": route,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "features": found,
        }
        path = RECORDS / f"{engine}-{route}.json"
        if path.exists():  # a run of some tests keeps what others found
            earlier = json.loads(path.read_text(encoding="utf-8"))
            if earlier["title"] == made["title"]:
                made["features"] = {**earlier["features"], **found}
        path.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
