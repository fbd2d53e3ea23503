"""Write docs/performance.md and its plots from JSON files: `python -m benchmarks.page FILE...`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import charts, merge, plan, tables
from benchmarks.cells import BUILTIN, OURS, Result
from scripts.stack_server import ROOT

TARGET = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"
_CHARTS = ROOT / ".venvs" / "charts"

HEAD = """\
# Performance

What a streamed token, a request and an embedding cost in this provider, beside the `remote::nvidia`
that the same release of Llama Stack has built in, the openai SDK alone, and httpx that reads lines
and does nothing with them. All of them were up at the same time and took turns, so a ratio is worth
more than a figure. `make bench ARGS="--page"` measures anew and writes this page.

"""

METHOD = """\
## How it is measured

- The NIM is a process of its own that sends prepared bytes: one token per chunk, one HTTP chunk per
  event, as fast as the socket takes them or at a rate. Alone with a reader that does not parse, it
  gives several times what any contestant takes (the rows "no server between").
- CPU time is that of the process that holds the provider, user and system. It includes the HTTP
  client and the event loop; in the parts called *server*, the whole Llama Stack server, too.
- Each contestant has a process of its own on one core, everything else runs on the other.
- Servers up to 0.2.24 run without their store of finished chats, `inference_store`: it is the same
  work with either provider, and with hundreds of streams that end at once the SQLite file behind it
  can lock up. Later ones keep every chat, whatever run.yaml says, and so do both of theirs here.
- A row's figure is the median of the rounds, its noise the distance of their quartiles. Ratios are
  taken round by round, and then their median.
- Before the clock starts each contestant does the job once with every token counted; the answers
  of servers are counted every time. One that loses a token, or fails, has no figure.
- The 200 streams begin 20 ms apart and have 1,000 tokens each, at most 100 a second. In shorter
  ones the start of the requests is the larger part, which no provider can shorten: with 600 tokens
  runs on this machine have measured 4.6 to 5.8 times the built-in's tokens a second on 0.2.12.
- *events* is what the reader got to see: fewer than chunks where a provider joins those that have
  piled up.
"""

TITLES = {
    "native-inprocess": "Native streams, the provider alone",
    "openai-inprocess": "OpenAI-style streams, the provider alone",
    "native-server": "Native streams through a server",
    "openai-server": "OpenAI-style streams through a server",
    "requests": "Whole answers, one request after the other",
    "embeddings": "Embeddings",
    "linearity": "Short and long streams",
}


def text(data: dict[str, Any], images: list[str]) -> str:
    """The page.

    Args:
        data: What was measured.
        images: Names of the plots.
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
    parts.append("\n" + METHOD)
    for part, members in tables.by_part(results).items():
        parts.append(f"## {TITLES.get(part, part)}\n")
        parts += [f"![{TITLES.get(part, part)}](images/{n})\n" for n in images if part in n]
        parts.append(tables.markdown(tables.part_rows(members)) + "\n")
    return "\n".join(parts)


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
            f"Of the {whole:,.0f} µs of a chat through the {release} server, {own:,.0f} are "
            f"this provider's, as it costs in process. The rest is the server's own work, its "
            f"store of chats and its log among it: a provider that cost nothing would measure "
            f"{floor:.2f} of the built-in there."
        )
    return lines


def machine(facts: dict[str, Any]) -> str:
    """What the run was made on."""
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
    TARGET.write_text(text(data, done.stdout.split()).rstrip() + "\n", encoding="utf-8")
    print(f"Written: {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
