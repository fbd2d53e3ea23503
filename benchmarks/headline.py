"""README.md's figures and chart of speed, from the tables of docs/performance.md.

    python -m benchmarks.headline

`python -m benchmarks.page` calls it, so that `make bench ARGS="--page"` renews README.md as well.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from scripts.stack_server import ROOT

PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
CHART = ROOT / "docs" / "images" / "speed.svg"
RELEASE, OLDER = "0.7.3", "0.2.12"
_BULLET = re.compile(r"^- \*\*Fast\.\*\* .*?(?=^- \*\*)", re.MULTILINE | re.DOTALL)


class Figure(NamedTuple):
    """A target's row of the page.

    Attributes:
        what: How the row begins.
        release: Of Llama Stack.
        name: For the chart.
    """

    what: str
    release: str
    name: str = ""


CPU = (
    Figure("OpenAI-style through the server, CPU per token", RELEASE, "a streamed token"),
    Figure("chat requests one after the other through the server, CPU", RELEASE, "a chat"),
    Figure("embeddings of 256 texts (openai), CPU", RELEASE, "256 embeddings"),
)
"""The bars of the chart."""
SPEED = (
    Figure("one stream through the server at 2000 chunks/s, tokens/s", OLDER),
    Figure("200 streams through the server, tokens/s", OLDER),
)


def measured(page: str, figure: Figure) -> float:
    """Return the ratio to the built-in that a page has.

    Args:
        page: Text of docs/performance.md. Of several rows, the first is the newest.
        figure: Which.

    Raises:
        ValueError: The page has no such row.
    """
    form = rf"^\| {re.escape(figure.what)}[^|]* against the built-in \| "
    form += rf"{re.escape(figure.release)} \|[^|]*\| ([\d.]+) \|"
    if (found := re.search(form, page, re.MULTILINE)) is None:
        raise ValueError(f"docs/performance.md has no row of {figure.what!r} on {figure.release}.")
    return float(found[1])


def percent(ratio: float) -> str:
    """A share as people read it: 0.247 is ``25 %``."""
    return f"{ratio * 100:.0f} %"


def bullet(page: str) -> str:
    """Return README.md's item on speed."""
    token, chat, texts = (percent(measured(page, one)) for one in CPU)
    single, many = (round(measured(page, one)) for one in SPEED)
    return (
        f"- **Fast.** With {RELEASE}, a streamed token takes {token} of the CPU time that it takes"
        f" with the built-in,\n  a chat {chat}, the embeddings of 256 texts {texts}. Through"
        f" {OLDER}, which sleeps after each event, one stream\n  has {single} times the built-in's"
        f" tokens per second, and 200 at once {many} times\n"
        "  ([docs/performance.md](docs/performance.md)).\n"
    )


def chart(page: str) -> str:
    """Return a chart of what the built-in and this provider take, in both schemes."""
    rows = []
    for place, figure in enumerate(CPU):
        ratio, top = measured(page, figure), 58 + 64 * place
        rows.append(
            f'<text x="148" y="{top + 27}" class="name">{figure.name}</text>'
            f'<rect x="160" y="{top}" width="400" height="18" class="builtin"/>'
            f'<text x="568" y="{top + 14}">built-in</text>'
            f'<rect x="160" y="{top + 22}" width="{400 * ratio:.0f}" height="22" class="ours"/>'
            f'<text x="{168 + 400 * ratio:.0f}" y="{top + 39}" class="ours">{percent(ratio)}</text>'
        )
    shares = ", ".join(f"{one.name} {percent(measured(page, one))}" for one in CPU)
    return _FRAME.format(release=RELEASE, shares=shares, rows="\n  ".join(rows))


_FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 256" width="640" role="img">
  <title>CPU time of this provider as a share of the built-in's: {shares}</title>
  <style>
    text {{ font: 14px system-ui, sans-serif; fill: #57606a; }}
    .title {{ font-size: 17px; font-weight: 600; fill: #1f2328; }}
    .name {{ text-anchor: end; font-size: 15px; fill: #1f2328; }}
    rect.builtin {{ fill: #b0bac4; }}
    rect.ours {{ fill: #76b900; }}
    text.ours {{ font-size: 17px; font-weight: 700; fill: #4a7500; }}
    @media (prefers-color-scheme: dark) {{
      text {{ fill: #9da7b1; }}
      .title, .name {{ fill: #e6edf3; }}
      rect.builtin {{ fill: #5a6b7b; }}
      text.ours {{ fill: #9bd82e; }}
    }}
  </style>
  <text x="160" y="24" class="title">CPU time with Llama Stack {release}</text>
  <text x="160" y="44">this provider beside the built-in; shorter is better</text>
  {rows}
</svg>
"""


def renewed(readme: str, page: str) -> str:
    """Return README.md with the figures of a page."""
    return _BULLET.sub(lambda _: bullet(page), readme, count=1)


def write() -> None:
    """Write README.md's item and its chart."""
    page = PAGE.read_text(encoding="utf-8")
    README.write_text(renewed(README.read_text(encoding="utf-8"), page), encoding="utf-8")
    CHART.write_text(chart(page), encoding="utf-8")
    for path in (README, CHART):
        print(f"Written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    write()
