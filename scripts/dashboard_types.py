"""Read a dashboard with the types that Grafana publishes, run by the Python of .venvs/deploy.

Standard output gets the dashboard as they write it again: what they do not know is missing there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog import (  # type: ignore[import-not-found,unused-ignore]
    encoder,
    plugins,
)
from grafana_foundation_sdk.models import (  # type: ignore[import-not-found,unused-ignore]
    dashboard,
)


def main(path: str) -> None:
    """Read and write a dashboard."""
    plugins.register_default_plugins()
    read = dashboard.Dashboard.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    print(encoder.JSONEncoder().encode(read))


if __name__ == "__main__":
    main(*sys.argv[1:])
