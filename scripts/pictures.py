"""Pictures for README.md: output of real commands as SVG.

    python -m scripts.pictures           writes docs/images/doctor.svg and docs/images/demo.svg
    python -m scripts.pictures doctor    writes one of them

In an environment of the project, for it starts an emulated NIM and, for the demo, a server. Of some
runs the quickest is shown: what else the machine does is not the command's time.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nim_emulator import EmulatorServer
from scripts import launch
from scripts.stack_server import ROOT

FOLDER = ROOT / "docs" / "images"
MODELS = (
    "meta/llama-3.1-8b-instruct",
    "nvidia/nv-embedqa-e5-v5",
    "nvidia/llama-nemotron-rerank-1b-v2",
)
WIDTH = 120
# The signs that turn while something starts.
_SPINNING = re.compile(r"^[^\n]*[\u2800-\u28ff][^\n]*\n", re.MULTILINE)
_SECONDS = 180
_TIME = re.compile(r"\b(\d+(?:\.\d+)?) (ms|s)\b")
ROUNDS = 3

# Rich's own frame, without the fonts that it has browsers fetch from elsewhere.
_FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
        font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})"
       clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""


def printed(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """The output of a command on a terminal, with its colours.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    done = subprocess.run(
        command,
        env={**environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=True,
    )
    return done.stdout.decode()


def seconds_of(output: str) -> float:
    """Return the sum of the times that an output names."""
    return sum(float(n) / (1000 if unit == "ms" else 1) for n, unit in _TIME.findall(output))


def quickest(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what a command prints on a terminal: the output of the quickest of some runs."""
    return min((printed(command, environ) for _ in range(ROUNDS)), key=seconds_of)


def picture(typed: str, output: str) -> str:
    """A terminal in which something was typed and printed, as SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), typed))
    console.print(Text.from_ansi(_SPINNING.sub("", output).rstrip()), soft_wrap=True)
    name = typed.split()[0]
    return console.export_svg(title=name, code_format=_FRAME, unique_id=name)


def text_of(svg: str) -> list[str]:
    """The words of a picture, in their order; for tests."""
    found = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    return " ".join(found).replace("&#160;", " ").split()


def doctor(environ: Mapping[str, str]) -> str:
    """`doctor --probe` on an emulated NIM."""
    with EmulatorServer(models=list(MODELS), tokens_per_second=400) as nim:
        tool = str(Path(sys.executable).with_name("llama-stack-nvidia"))
        here = nim.url
        output = quickest([tool, "doctor", here, "--probe"], environ)
    # The address that the emulator has by default, for the free port that was taken.
    url = "http://127.0.0.1:8000"
    shown = output.replace(here, url).replace(here.partition("//")[2], url.partition("//")[2])
    return picture(f"llama-stack-nvidia doctor {url} --probe", shown)


def demo(environ: Mapping[str, str]) -> str:
    """`make demo`."""
    return picture("make demo", quickest([sys.executable, "-m", "scripts.demo"], environ))


MAKERS = {"doctor": doctor, "demo": demo}


def main(names: Sequence[str]) -> None:
    """Make those named, or all."""
    launch.prepare_process()
    for name in names or MAKERS:
        (FOLDER / f"{name}.svg").write_text(MAKERS[name](os.environ), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
