"""Render and lint the Helm chart with Helm's own library, run by the Python of .venvs/deploy.

Standard input has a list of sets of values as JSON. Standard output gets the rendered texts of each
set, and what `helm lint` says.
"""

from __future__ import annotations

import json
import sys

import helm_python  # type: ignore[import-not-found,unused-ignore]


def main(chart: str, release: str, namespace: str) -> None:
    """Render with each set of values."""
    rendered = []
    with helm_python.Chart.load(chart) as loaded:
        for values in json.load(sys.stdin):
            texts = loaded.render(values, name=release, namespace=namespace)
            rendered.append([text for text in texts.values() if text.strip()])
    json.dump({"rendered": rendered, "lint": helm_python.lint(chart)}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
