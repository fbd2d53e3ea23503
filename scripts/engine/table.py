"""The table of features in docs/compatibility.md, from what runs of the suite found.

The suite writes a record of each engine and route into `var/engines`. `write` keeps them in
`tests/engine/runs.json`, beside those of engines that did not run here, and makes the table of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scripts import marked, releases
from scripts.engine.features import DIRECT, FEATURES, lack
from scripts.engine.installing import ROOT, say
from scripts.engine.kinds import KINDS, RECORDS
from scripts.engine.suite import STACKS

PAGE = ROOT / "docs" / "compatibility.md"
RUNS = ROOT / "tests" / "engine" / "runs.json"
BEGIN = "<!-- engines: written by `python3 -m scripts.engine table` -->"
END = "<!-- engines end -->"
ROUTES = (DIRECT, *STACKS)

Runs = dict[str, dict[str, dict[str, Any]]]
"""The record of a run by engine and route."""


def kept() -> Runs:
    """Return the records in the repository."""
    return dict(json.loads(RUNS.read_text(encoding="utf-8"))) if RUNS.exists() else {}


def found() -> Runs:
    """Return the records that the suite wrote on this machine."""
    made: Runs = {}
    for name in KINDS:
        for route in ROUTES:
            path = RECORDS / f"{name}-{route}.json"
            if path.exists():
                made.setdefault(name, {})[route] = json.loads(path.read_text(encoding="utf-8"))
    return made


def title(route: str) -> str:
    """Return a route's name for people."""
    return "direct" if route == DIRECT else releases.parse(route).title.removeprefix("Llama Stack ")


def problems(runs: Runs) -> Iterator[str]:
    """Yield what keeps records from being the table of the suite as it is now."""
    for name, records in runs.items():
        for route, record in records.items():
            if record["title"] != KINDS[name].title:
                yield f"{name}, {route}: of {record['title']}, not {KINDS[name].title}"
            for feature in FEATURES:
                known = lack(name, route, feature)
                outcome = record["features"].get(feature)
                expected = "works" if known is None else known.shows and "lacks"
                if outcome != expected and not (feature in UNROUTED and route != DIRECT):
                    yield f"{name}, {route}, {feature}: {outcome}, not {expected}"


UNROUTED = ("found", "broken_call", "reasoning")
"""Features that the provider alone decides: they are tried without a server."""


def cell(records: Mapping[str, Any], name: str, feature: str, reasons: list[str]) -> str:
    """Return a cell: on which routes a feature works, and the numbers of the reasons why not.

    Args:
        records: Of one engine, by route.
        name: The engine.
        feature: The feature.
        reasons: The reasons so far, which grow.
    """
    works, numbers, tried = [], set(), False
    for route in records:
        known = lack(name, route, feature)
        if feature in UNROUTED and route != DIRECT:
            continue
        if known is None:
            works.append(title(route))
            continue
        if known.reason not in reasons:
            reasons.append(known.reason)
        numbers.add(reasons.index(known.reason) + 1)
        tried = tried or known.shows is not None
    if not numbers:
        return "yes"
    shown = ", ".join(works) or ("no" if tried else "not tried")
    return " ".join([shown, *(f"({number})" for number in sorted(numbers))])


def render(runs: Runs) -> str:
    """Return the table and the list of reasons."""
    reasons: list[str] = []
    names = [name for name in KINDS if name in runs]
    columns: dict[str, dict[str, Any]] = {
        name: {route: runs[name][route] for route in ROUTES if route in runs[name]}
        for name in names
    }
    heads = [KINDS[name].title for name in names]
    called = [", ".join(map(title, columns[name])) for name in names]
    days = [max(record["date"] for record in columns[name].values()) for name in names]
    lines = [
        f"| | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
        f"| called | {' | '.join(called)} |",
        f"| on | {' | '.join(days)} |",
    ]
    for feature, shown in FEATURES.items():
        cells = [cell(columns[name], name, feature, reasons) for name in names]
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    numbered = [
        f"{number}. {reason[0].upper()}{reason[1:]}." for number, reason in enumerate(reasons, 1)
    ]
    return "\n".join([*lines, "", *numbered])


def section(page: str) -> str:
    """Return what stands between the marks of a page."""
    return marked.between(page, BEGIN, END).strip()


def write() -> int:
    """Keep the records of this machine, and write the table into the page."""
    runs = kept()
    for name, records in found().items():
        runs[name] = {**runs.get(name, {}), **records}
    if wrong := list(problems(runs)):
        say("nothing is written:\n" + "\n".join(wrong))
        return 1
    RUNS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    made = marked.replaced(text, BEGIN, END, f"\n\n{render(runs)}\n\n")
    PAGE.write_text(made, encoding="utf-8")
    say(f"written: {PAGE.relative_to(ROOT)}")
    return 0
