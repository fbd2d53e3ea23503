"""Instructions per chunk, counted by valgrind, which do not depend on the machine's load.

For when timings are too noisy to decide. What is counted is the provider reading one stream of
prepared bytes, at two lengths; their difference leaves out start-up and the request itself.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import cells, children, tables
from scripts import releases
from scripts.stack_server import ROOT

_LENGTHS = (200, 1200)
_SECONDS = 600
_COUNTED = re.compile(r"Collected : (\d+)")


def count(python: Path, name: str, api: str, url: str, chunks: int) -> int:
    """Instructions of a whole process that reads a stream of so many chunks.

    Raises:
        WorkerError: It failed.
    """
    code = (
        "import asyncio\n"
        "from benchmarks import cells, contestants as c\n"
        "async def main():\n"
        f"    one = await c.make({name!r}, {url!r}, {api!r})\n"
        f"    await c.read(one, cells.Job('stream', {api!r}, chunks={chunks}))\n"
        "asyncio.run(main())"
    )
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(python), "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=children.environment(),
        timeout=_SECONDS,
        check=False,
    )
    found = _COUNTED.search(done.stderr)
    if done.returncode or not found:
        raise children.WorkerError(done.stderr[-300:])
    return int(found[1])


def main(pythons: Mapping[str, Path]) -> int:
    """Count for all contestants and show a table."""
    if not shutil.which("valgrind"):
        print(
            "Instructions are counted by valgrind, which is not installed: "
            "`apt-get install valgrind` or `dnf install valgrind`.",
            file=sys.stderr,
        )
        return 1
    rows = [["release", "API", "contestant", "thousand instructions per chunk", "of the built-in"]]
    with children.replay() as replay:
        for release, python in pythons.items():
            numbers = releases.parse(release).numbers
            api = "native" if numbers < (0, 3) else "openai"
            costs = {}
            for name in (cells.BUILTIN, cells.SDK, cells.HTTPX, cells.AIOHTTP, cells.OURS):
                few, many = (count(python, name, api, replay.url, n) for n in _LENGTHS)
                costs[name] = (many - few) / (_LENGTHS[1] - _LENGTHS[0]) / 1000
                share = costs[name] / costs[cells.BUILTIN]
                line = [release, api, cells.TITLES[name], tables.number(costs[name])]
                rows.append([*line, tables.number(share)])
                print("  ".join(rows[-1]), flush=True)
    print("\n" + tables.plain(rows))
    return 0
