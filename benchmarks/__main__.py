"""Command that compares this provider with the built-in one, the openai SDK, httpx and aiohttp.

    make bench                                       everything, in half an hour
    make bench ARGS="--quick"                        the main figures, in a few
    make bench ARGS="--only native-inprocess"        one part
    make bench ARGS="--page"                         everything, and docs/performance.md of it
    make bench ARGS="--instructions"                 instructions instead of time (valgrind)

The figures go to var/bench/ as JSON; `python -m benchmarks.page FILE` makes the page of a file.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import children, facts, instructions, page, plan, stats, system, tables
from benchmarks.cells import Cell, Result
from benchmarks.plan import Size
from benchmarks.runner import Runner
from scripts import interpreters, launch, releases, venvs
from scripts.phases import PhaseError
from scripts.stack_server import ROOT

FOLDER = ROOT / "var" / "bench"
_NO_NATIVE = (0, 3)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="make bench", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("--quick", action="store_true", help="fewer releases, sizes and rounds")
    made.add_argument("--only", action="append", choices=plan.PARTS, metavar="PART",
                      help=f"one part, may be given again: {', '.join(plan.PARTS)}")  # fmt: skip
    made.add_argument("--releases", help="of Llama Stack, such as 0.2.12,0.7.3 (default: all)")
    made.add_argument(
        "--here", action="store_true", help="only the release that this Python has installed"
    )
    made.add_argument("--rounds", type=int, help="measurements of each contestant")
    made.add_argument("--streams", type=int, help="leave out what has more streams at a time")
    made.add_argument("--chunks", type=int, help="chunks of a measurement in process, in all")
    made.add_argument("--output", type=Path, help="the JSON file (default: in var/bench)")
    made.add_argument("--page", action="store_true", help="write docs/performance.md as well")
    made.add_argument("--instructions", action="store_true", help="count instructions instead")
    return made


def size_of(options: argparse.Namespace) -> Size:
    """The sizes that the options ask for."""
    made = plan.QUICK if options.quick else plan.FULL
    if options.rounds:
        made = dataclasses.replace(made, rounds=options.rounds, server_rounds=options.rounds)
    if options.chunks:
        made = dataclasses.replace(made, chunks=options.chunks)
    return made


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """The cells that the options ask for."""
    made = plan.plan(size_of(options), tuple(options.only or ()))
    if options.streams:
        made = [cell for cell in made if cell.job.streams <= options.streams]
    if options.here:
        release = installed()
        # The cells of several releases are the same then.
        made = list(dict.fromkeys(dataclasses.replace(cell, release=release) for cell in made))
        native = releases.parse(release).numbers < _NO_NATIVE
        return [cell for cell in made if native or cell.job.api != "native"]
    if options.releases:
        wanted = options.releases.split(",")
        made = [cell for cell in made if cell.release in wanted]
    return made


def installed() -> str:
    """The release that this Python has installed, as STACK names it."""
    for project, prefix in (("ogx", "ogx-"), ("llama-stack", "")):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return prefix + importlib.metadata.version(project)
    raise SystemExit("No release of Llama Stack is installed in this Python.")


def pythons(releases: Sequence[str]) -> dict[str, Path]:
    """The Python of each release's environment, which is made if it is not there.

    A release for which this machine has no Python is left out.
    """
    found = {}
    for release in releases:
        environ = {**os.environ, "STACK": release}
        environ.pop("PYTHON", None)
        try:
            stack, python = interpreters.choose(environ)
            found[release] = venvs.make(stack, python, environ)
        except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
            print(f"Llama Stack {release} is left out: {error}")
    return found


def measure(wanted: Sequence[Cell], found: Mapping[str, Path], title: str) -> dict[str, Any]:
    """Run cells in the environments found; gives what is written as JSON."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    started = time.time()
    with children.replay() as replay:
        system.pin(children.AROUND)
        runner = Runner(found, replay, FOLDER, lambda line: print(line, flush=True))
        results = runner.run(wanted)
    return {
        "title": title,
        "facts": facts.collect(found),
        "seconds": round(time.time() - started),
        "machine_noise": dataclasses.asdict(stats.summary(runner.spins or [0.0])),
        "results": [result.as_json() for result in results],
    }


def results_of(data: dict[str, Any]) -> list[Result]:
    """The results of a JSON file."""
    return [Result.from_json(result) for result in data["results"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, show and write."""
    options = parser().parse_args(argv)
    launch.prepare_process()
    wanted = cells_of(options)
    releases = list(dict.fromkeys(cell.release for cell in wanted))
    found = dict.fromkeys(releases, Path(sys.executable)) if options.here else pythons(releases)
    if options.instructions:
        return instructions.main(found)
    data = measure(wanted, found, "quick" if options.quick else "full")
    output = options.output or FOLDER / time.strftime(f"{data['title']}-%Y%m%d-%H%M%S.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(tables.report(data, results_of(data)))
    print(f"\nWritten: {os.path.relpath(output)}")
    if options.page:
        page.write(output)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
