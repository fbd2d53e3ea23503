"""The plots of docs/performance.md: `python -m benchmarks.charts FILE FOLDER`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import stats, tables
from benchmarks.cells import AIOHTTP, BUILTIN, DIRECT, HTTPX, OURS, SDK, TITLES, Result

_COLOURS = {
    OURS: "#76b900",
    BUILTIN: "#5a6b7b",
    SDK: "#b0bac4",
    HTTPX: "#d9dee3",
    AIOHTTP: "#e8dcc0",
    DIRECT: "#eee",
}
_PLOTTED = {
    "native-inprocess": "cpu",
    "openai-inprocess": "cpu",
    "native-server": "speed",
    "openai-server": "cpu",
    "requests": "cpu",
    "embeddings": "cpu",
}
_AXES = {
    "cpu": "CPU time per {unit}, µs (shorter is better)",
    "speed": "tokens a second (longer is better)",
}
# Matplotlib writes colours as styles of each element, which these rules overrule.
_SCHEMES = """
   [style*="fill: #ffffff"] {fill: none !important}
   @media (prefers-color-scheme: dark) {
    text {fill: #e6edf3}
    [style*="stroke: #000000"], [style*="stroke: #222222"] {stroke: #9da7b1 !important}
    [style*="fill: #5a6b7b"] {fill: #8195a8 !important}
   }
  """


def available() -> bool:
    """Whether matplotlib is installed here."""
    return importlib.util.find_spec("matplotlib") is not None


def series(results: list[Result], of: str) -> dict[str, list[stats.Summary | None]]:
    """Per contestant a figure for each cell; None where it failed."""
    order = (OURS, BUILTIN, SDK, HTTPX, AIOHTTP)
    names = [name for name in order if any(name in r.samples for r in results)]
    return {name: [_figure(result, name, of) for result in results] for name in names}


def _figure(result: Result, name: str, of: str) -> stats.Summary | None:
    if name not in result.samples:
        return None
    return stats.summary(result.speed(name) if of == "speed" else result.per_unit(name))


def draw(part: str, results: list[Result], target: Path) -> None:
    """Draw the bars of a part: a group for each cell, with the range of the rounds."""
    import matplotlib

    matplotlib.use("svg")
    # Words stay words, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": part, "font.size": 9})
    from matplotlib import pyplot

    of = _PLOTTED[part]
    unit = "chunk" if results[0].cell.job.action == "stream" else "request"
    found = series(results, of)
    figure, axes = pyplot.subplots(figsize=(8, 0.5 + 0.62 * len(results)), layout="constrained")
    height = 0.8 / len(found)
    for place, (name, figures) in enumerate(found.items()):
        rows = [(row, one) for row, one in enumerate(figures) if one is not None]
        medians = [one.median for _, one in rows]
        ranges = [
            [one.median - one.low for _, one in rows],
            [one.high - one.median for _, one in rows],
        ]
        axes.barh(
            [row + (place - (len(found) - 1) / 2) * height for row, _ in rows],
            medians,
            height,
            xerr=ranges,
            error_kw={"elinewidth": 0.7, "ecolor": "#222"},
            color=_COLOURS[name],
            label=TITLES[name],
        )
    labels = [f"{result.cell.release} {tables.job_title(result)}" for result in results]
    axes.set_yticks(range(len(results)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(_AXES[of].format(unit=unit))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(found), loc="lower center", bbox_to_anchor=(0.4, 1.0))
    figure.savefig(target, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    target.write_text(with_schemes(target.read_text(encoding="utf-8")), encoding="utf-8")


def with_schemes(svg: str) -> str:
    """Return a plot without a background of its own, whose words and lines suit a dark page too."""
    return svg.replace("</style>", f"{_SCHEMES}</style>", 1)


def main(source: Path, folder: Path) -> None:
    """Draw all plots and print their names."""
    data: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    results = [Result.from_json(result) for result in data["results"]]
    for part, members in tables.by_part(results).items():
        if part in _PLOTTED:
            groups: dict[str, list[Result]] = {}
            for result in members:
                groups.setdefault(result.cell.place, []).append(result)
            for place, group in groups.items():
                name = f"{part}-{place}.svg" if part == "requests" else f"{part}.svg"
                draw(part, group, folder / name)
                print(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
