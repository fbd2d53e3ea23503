"""Merge of several runs of the benchmark into one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.cells import Cell


def merged(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the JSON data of runs together.

    Args:
        runs: In the order in which they were made, on one machine. Of a cell that several of
            them have, the last one's figures count.

    Raises:
        ValueError: They were not made on the same kind of machine.
    """
    machines = {(run["facts"]["processor"], run["facts"]["cores"]) for run in runs}
    if len(machines) != 1:
        raise ValueError(f"runs of different machines do not go together: {sorted(machines)}")
    results: dict[str, dict[str, Any]] = {}
    releases: dict[str, Any] = {}
    for run in runs:
        releases.update(run["facts"]["releases"])
        for result in run["results"]:
            results[repr(sorted(result["cell"].items(), key=lambda item: item[0]))] = result
    return {
        "title": runs[-1]["title"],
        "runs": len(runs),
        "facts": {**runs[-1]["facts"], "releases": dict(sorted(releases.items()))},
        "seconds": sum(run["seconds"] for run in runs),
        "machine_noise": max(
            (run["machine_noise"] for run in runs), key=lambda noise: noise["high"]
        ),
        "results": list(results.values()),
    }


def still_planned(results: Iterable[dict[str, Any]], cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Leave out what runs from before a change of the plan have measured in another form."""
    jobs = [(cell.part, cell.release, cell.place, dataclasses.asdict(cell.job)) for cell in cells]
    return [
        result
        for result in results
        if tuple(result["cell"][name] for name in ("part", "release", "place", "job")) in jobs
    ]
