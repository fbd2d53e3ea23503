"""Write docs/performance.md, its plots and README.md's figures.

python -m benchmarks.page FILE...    from the JSON of a run, or of several runs of parts
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import charts, headline, merge, plan, tables
from benchmarks.cells import BUILTIN, OURS, Result
from scripts import marked
from scripts.stack_server import ROOT

TARGET = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"
_CHARTS = ROOT / ".venvs" / "charts"
BEGIN = "<!-- by hand: begin -->"
END = "<!-- by hand: end -->"

HEAD = """\
# Performance

What a streamed token, a request and an embedding cost with this provider, compared with the
built-in `remote::nvidia` of the same release of Llama Stack, with the openai SDK alone, and with
httpx and aiohttp that read lines and ignore them: aiohttp is the practical limit. All of them ran
at the same time and took turns, so ratios are more reliable than absolute figures.
`make bench ARGS="--page"` measures again and writes this page.

"""

METHOD = """\
## How it is measured

- The NIM is a separate process that sends prepared bytes: one token per chunk, one HTTP chunk per
  event, as fast as the socket takes them or at a fixed rate. With a reader that does not parse, it
  is several times faster than any contestant (the rows "no server between").
- CPU time is user and system time of the process that runs the provider, including the HTTP client
  and the event loop. In the parts called *server*, it is that of the whole Llama Stack server.
- Each contestant has its own process on one core; everything else runs on the other core.
- Servers up to 0.2.24 run without their store of finished chats, `inference_store`. The store is
  the same work with either provider, and its SQLite file can lock up when hundreds of streams end
  at once. Later servers keep every chat, with both providers.
- A figure is the median of the rounds, its noise the interquartile range. A ratio is taken per
  round; the page shows the median of these.
- Before the clock starts, each contestant does the job once with every token counted; responses of
  servers are counted every time. A contestant that loses a token, or fails, has no figure.
- The 200 streams start 20 ms apart and have 1,000 tokens each, at most 100 per second. In shorter
  streams the start of the requests dominates, which no provider can shorten. Where the NIM sends
  less than five times what the built-in passes on, 0.95 of what it sends is wanted.
- The 50 streams have 300 tokens each, which a server keeps up with. Of httpx and aiohttp the CPU
  time is that of a process that only reads.
- *events* is what the reader saw: fewer than chunks if a provider merges chunks. *connections* is
  how many were opened to the NIM; those that the job before left open serve again.
"""

TITLES = {
    "native-inprocess": "Native streams, the provider alone",
    "openai-inprocess": "OpenAI-style streams, the provider alone",
    "native-server": "Native streams through a server",
    "openai-server": "OpenAI-style streams through a server",
    "requests": "Non-streaming requests, one after the other",
    "embeddings": "Embeddings",
    "linearity": "Short and long streams",
}


def text(data: dict[str, Any], images: list[str], notes: str = "\n") -> str:
    """The page.

    Args:
        data: What was measured.
        images: Names of the plots.
        notes: What was written by hand below the targets.
    """
    results = [Result.from_json(result) for result in data["results"]]
    facts = data["facts"]
    runs = data.get("runs", 1)
    run = f"This is a {data['title']} run, which took {data['seconds']} s. "
    if runs > 1:
        run = f"These are {runs} {data['title']} runs of parts, {data['seconds']} s in all. "
    parts = [HEAD + machine(facts), run + tables.noise_line(data, results), "\n## Targets\n"]
    parts.append(tables.markdown(tables.target_rows(results)))
    parts += [f"\n{line}" for line in server_share(results)]
    parts.append(f"\n{BEGIN}{notes}{END}")
    parts.append("\n" + METHOD)
    for part, members in tables.by_part(results).items():
        parts.append(f"## {TITLES.get(part, part)}\n")
        parts += [f"![{TITLES.get(part, part)}](images/{n})\n" for n in images if part in n]
        parts.append(tables.markdown(tables.part_rows(members)) + "\n")
    return "\n".join(parts)


def notes_of(page: str) -> str:
    """Return what was written by hand on a page, which stays when it is made anew."""
    return marked.between(page, BEGIN, END) if BEGIN in page else "\n"


def server_share(results: list[Result]) -> list[str]:
    """Of requests through a server, what the server itself costs: no provider can go below it."""
    found = {
        (one.cell.release, one.cell.job.api, one.cell.place): one
        for one in results
        if one.cell.part == "requests" and OURS in one.samples
    }
    lines = []
    for (release, api, place), served in found.items():
        alone = found.get((release, api, "process"))
        if place != "server" or alone is None or BUILTIN not in served.samples:
            continue
        whole, own = median(served.per_unit(OURS)), median(alone.per_unit(OURS))
        floor = (whole - own) / median(served.per_unit(BUILTIN))
        lines.append(
            f"A chat through the {release} server takes {whole:,.0f} µs, of which {own:,.0f} are "
            f"this provider's, as measured in process. The rest is the server's own work, such as "
            f"its chat store and its log: a provider without any cost would measure "
            f"{floor:.2f} of the built-in there."
        )
    return lines


def machine(facts: dict[str, Any]) -> str:
    """The machine and the versions of the run."""
    lines = [
        f"Measured on {facts['date']} on {facts['cores']} cores of an {facts['processor']}, "
        f"{facts['system']}."
    ]
    for release, versions in facts["releases"].items():
        others = ", ".join(f"{name} {number}" for name, number in versions.items())
        lines.append(f"- Llama Stack {release}: {others}")
    return "\n".join([lines[0], "", *lines[1:], ""])


def chart_python() -> Path:
    """A Python that has matplotlib: this one, or that of an environment made for it."""
    if charts.available():
        return Path(sys.executable)
    python = _CHARTS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_CHARTS)], check=True)
    wanted = Path(__file__).with_name("requirements.txt")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)]
    subprocess.run(pip, check=True)
    return python


def write(*sources: Path) -> None:
    """Write the page and its plots from the JSON of a run, or of several runs of parts."""
    data = merge.merged([json.loads(source.read_text(encoding="utf-8")) for source in sources])
    source = sources[-1]
    if len(sources) > 1:
        data["results"] = merge.still_planned(data["results"], plan.plan(plan.FULL))
        source = source.with_name("merged.json")
        source.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    IMAGES.mkdir(parents=True, exist_ok=True)
    command = [str(chart_python()), "-m", "benchmarks.charts", str(source.resolve()), str(IMAGES)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    notes = notes_of(TARGET.read_text(encoding="utf-8"))
    TARGET.write_text(text(data, done.stdout.split(), notes).rstrip() + "\n", encoding="utf-8")
    print(f"Written: {TARGET.relative_to(ROOT)}")
    try:
        headline.write()
    except ValueError as error:
        # A run of parts alone has not all rows.
        print(f"README.md is left as it is: {error}")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
