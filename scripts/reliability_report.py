"""Write docs/reliability.md from records of tests: `python -m scripts.reliability_report`.

`make reliability` runs the tests, which write var/reliability/*.json, and then this. Standard
library only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts import reliability_text as text

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reliability.md"
RECORDS = ROOT / "var" / "reliability"
FIGURES = "## Figures of the last run\n"
RIGHT, CLEAR = "right answer", "clear error"
UNCLEAR = "unclear error"
BAD = ("cut short, looks complete", "wrong answer, looks complete", "no end")
GOOD = (RIGHT, CLEAR)
_NEEDED = (
    *("streams-native", "streams-openai", "hour", "restart-killed", "restart-stopped"),
    *("leaving", "faults"),
)

Record = Mapping[str, Any]


def read(folder: Path) -> dict[str, Record]:
    """Read the records of a run.

    Raises:
        FileNotFoundError: One is missing.
    """
    return {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in _NEEDED
    }


def page(records: Mapping[str, Record]) -> str:
    """The whole page."""
    return f"{text.PROMISES}{FIGURES}{figures(records)}"


def figures(records: Mapping[str, Record]) -> str:
    """The part of the page that a run decides."""
    faults = records["faults"]
    parts = [
        text.MEASURED.format(date=max(record["date"] for record in records.values())),
        load_table(records),
        text.MEMORY.format(
            streams=_grown(records["streams-openai"]["memory_mb"]),
            streams_bound=records["streams-openai"]["memory_bound_mb"],
            hour=records["hour"]["memory_grown_mb"],
            hour_bound=records["hour"]["memory_bound_mb"],
        ),
        text.COMPARED.format(**faults, cases=_total(faults, "ours", None)),
        summary_table(faults),
        text.EACH,
        fault_table(faults),
        text.EXAMPLES,
        examples(faults),
    ]
    return "\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def load_table(records: Mapping[str, Record]) -> str:
    """The requests that were carried under load, and those that were lost."""
    rows: list[tuple[object, ...]] = []
    for name in ("streams-native", "streams-openai"):
        one = records[name]
        rows.append(
            (
                f"{one['streams']} streams at once, {one['rounds']} times, {one['api']}, "
                f"{one['release']}",
                f"{one['carried']:,} tokens: {one['lost']} lost, {one['doubled']} doubled, "
                f"{one['mixed']} in another's stream, {one['broken']} streams broken. "
                f"{_left(one)}",
            )
        )
    hour = records["hour"]
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(hour["kinds"].items()))
    rows.append(
        (
            f"{hour['requests']:,} requests in {hour['seconds']} s, {hour['at_once']} at a time, "
            f"{hour['release']}: {kinds}",
            f"{hour['wrong']} wrong; of {hour['faults']} faults {hour['faults_right']} ended in "
            f"the right answer and {hour['faults_error']} in a clear error. {_left(hour)}",
        )
    )
    for name in ("restart-killed", "restart-stopped"):
        one = records[name]
        rows.append(
            (
                f"The NIM is {one['how']} under load and started again, {one['release']}",
                f"Of {one['in_flight']} requests in flight {one['in_flight_right']} were answered "
                f"and {one['in_flight_failed']} failed; {one['looked_complete']} looked complete "
                f"and were not. While it was down, {one['while_down']} requests were refused "
                f"within {one['slowest_refusal_s']} s. The first right answer came "
                f"{one['recovery_s']} s after the NIM was back; {one['after_failed']} of "
                f"{one['after']} requests failed after that.",
            )
        )
    leaving = records["leaving"]
    rows.append(
        (
            f"{leaving['clients']} clients leave in the middle of a stream, {leaving['release']}",
            f"The NIM stopped after {leaving['slowest_stop_s']} s at most; "
            f"{leaving['still_running']} answers went on.",
        )
    )
    return table(("Test", "Outcome"), rows)


def _left(record: Record) -> str:
    before, after = record["before"], record["after"]
    more = {
        name: max(after[name] - before[name], 0) for name in ("descriptors", "sockets", "tasks")
    }
    return f"Left behind: {', '.join(f'{count} {name}' for name, count in more.items())}."


def _grown(memory: Sequence[float]) -> float:
    return round(memory[-1] - memory[1], 1)


def outcomes(faults: Record, name: str, provider: str) -> Mapping[str, int]:
    """How often which outcome."""
    found: Mapping[str, int] = faults["faults"][name][provider]["outcomes"]
    return found


def _total(faults: Record, provider: str, outcome: str | None) -> int:
    return sum(
        count
        for name in faults["faults"]
        for found, count in outcomes(faults, name, provider).items()
        if outcome in (None, found)
    )


def summary_table(faults: Record) -> str:
    """All faults together."""
    rows = [
        (word, _total(faults, "ours", word), _total(faults, "builtin", word))
        for word in (*GOOD, UNCLEAR, *BAD)
    ]
    return table(("Outcome", "This provider", "Built-in"), rows)


def fault_table(faults: Record) -> str:
    """A row for each fault."""
    rows = [
        (f"`{name}`", *(_cell(outcomes(faults, name, who)) for who in ("ours", "builtin")))
        for name in faults["faults"]
    ]
    return table(("Fault", "This provider", "Built-in"), rows)


def _cell(found: Mapping[str, int]) -> str:
    words = [word for word in (*GOOD, UNCLEAR, *BAD) if word in found]
    return ", ".join(
        f"{found[word]} {word}" if word in GOOD else f"**{found[word]} {word}**" for word in words
    )


def _in_line(text: str) -> str:
    """Make text fit between backticks."""
    return " ".join(text.replace("`", "'").split())


def examples(faults: Record) -> str:
    """One case of each outcome that is no good, per fault."""
    titles = {"ours": "this provider", "builtin": "built-in"}
    lines = [
        f"- `{name}`, {titles[provider]}, {outcome}: `{_in_line(said)}`\n"
        for name, found in faults["faults"].items()
        for provider in titles
        for outcome, said in sorted(found[provider]["examples"].items())
    ]
    return "".join(lines) or "None.\n"


def main() -> int:
    """Write the page."""
    try:
        records = read(RECORDS)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: `make reliability` writes it.", file=sys.stderr)
        return 1
    TARGET.write_text(page(records), encoding="utf-8")
    print(f"Written: {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
