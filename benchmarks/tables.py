"""The figures as tables, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import stats, targets
from benchmarks.cells import AIOHTTP, BUILTIN, HTTPX, OURS, TITLES, Result

Rows = list[list[str]]


def percent(part: float) -> str:
    """A part of the whole: 0.05 is ``5 %``."""
    return f"{part * 100:.0f} %"


def number(value: float) -> str:
    """A figure with as many digits as it is worth."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def job_title(result: Result) -> str:
    """Return what a cell measures, in a few words."""
    job = result.cell.job
    if job.action == "chat":
        return f"{job.times} chats in turn"
    if job.action == "embed":
        return f"{job.chunks} texts embedded"
    many = "1 stream" if job.streams == 1 else f"{job.streams} streams"
    if job.rate and job.times > 1:
        many = f"{job.times} streams in turn"
    speed = f", {job.rate}/s" if job.rate else ""
    return f"{job.kind}, {many} of {job.chunks}{speed}"


def target_rows(results: list[Result]) -> Rows:
    """A row for each target."""
    rows = [["target", "release", "wanted", "measured", "of the rounds", ""]]
    for verdict in targets.verdicts(results):
        value = verdict.value
        wanted = f"{'at least' if verdict.at_least else 'at most'} {number(verdict.limit)}"
        word = "met" if verdict.met else "missed"
        rows.append(
            [
                verdict.what,
                verdict.release,
                wanted,
                number(value.median),
                f"{number(value.low)} to {number(value.high)}",
                f"{word}, within the noise" if verdict.close else word,
            ]
        )
    return rows


def part_rows(results: Sequence[Result]) -> Rows:
    """A row for each contestant of each cell of a part."""
    unit = "chunk" if results[0].cell.job.action == "stream" else "request"
    head = ["release", "job", "contestant", f"CPU µs per {unit}", "noise", "ratio to the built-in"]
    head += ["ratio to httpx", "ratio to aiohttp"]
    rows = [[*head, f"{unit}s/s", "first token ms", "events", "connections"]]
    for result in results:
        rows += list(_cell_rows(result))
    return rows


def _cell_rows(result: Result) -> Iterator[list[str]]:
    cell = result.cell
    for name in cell.contestants:
        start = [cell.release, job_title(result), TITLES[name]]
        samples = result.samples.get(name)
        if not samples:
            why = result.failures.get(name, "no rounds")
            yield [*start, f"failed: {why[:60]}", *[""] * 8]
            continue
        cost = stats.summary(result.per_unit(name))
        speed = stats.summary(result.speed(name)).median
        first = stats.summary([sample.first for sample in samples]).median
        yield [
            *start,
            number(cost.median) if cost.median else "",
            percent(cost.noise) if cost.median else "",
            _ratio(result, name, BUILTIN),
            _ratio(result, name, HTTPX),
            _ratio(result, name, AIOHTTP),
            number(speed),
            number(first * 1000) if first else "",
            str(samples[-1].events),
            str(samples[-1].connections),
        ]


def _ratio(result: Result, name: str, other: str) -> str:
    if name == other or other not in result.samples or not result.samples[name][0].cpu:
        return ""
    return number(stats.paired_ratio(result.per_unit(name), result.per_unit(other)).median)


def by_part(results: list[Result]) -> dict[str, list[Result]]:
    """Results by the part they belong to."""
    parts: dict[str, list[Result]] = {}
    for result in results:
        parts.setdefault(result.cell.part, []).append(result)
    return parts


def noise_line(data: dict[str, Any], results: list[Result]) -> str:
    """How noisy a run was, in a sentence."""
    noises = sorted(
        stats.summary(result.per_unit(name)).noise
        for result in results
        for name in result.samples
        if name == OURS
    )
    machine = data["machine_noise"]
    slowest = machine["high"] / machine["low"] if machine["low"] else 1.0
    typical = percent(noises[len(noises) // 2]) if noises else "nothing"
    return (
        f"Noise: half of the rounds of this provider lie within {typical} of each other (median "
        f"over the table's rows; the worst: {percent(noises[-1]) if noises else '-'}); a fixed "
        f"piece of work took up to {slowest:.2f} times its shortest time during the run."
    )


def markdown(rows: Rows) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


def plain(rows: Rows) -> str:
    """A table for the terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    # What failed is long, and the last of its row.
    widths = [min(width, 64) for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def report(data: dict[str, Any], results: list[Result]) -> str:
    """Everything, for the terminal."""
    blocks = [
        f"\n{part}\n{plain(part_rows(members))}" for part, members in by_part(results).items()
    ]
    blocks += ["\ntargets\n" + plain(target_rows(results)), "\n" + noise_line(data, results)]
    return "\n".join([*blocks, f"It took {data['seconds']} s."])
