"""Facts about a run: machine, interpreters and versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_VERSIONS = """
import importlib.metadata as m, json, platform
names = ("llama-stack", "openai", "aiohttp", "httpx", "httpx2", "msgspec", "pydantic")
known = {d.name: d.version for d in m.distributions() if d.name in names}
print(json.dumps({"python": platform.python_version(), **known}))
"""


def collect(pythons: Mapping[str, Path]) -> dict[str, Any]:
    """Facts about this machine and the environments of some releases."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "releases": {release: _versions(python) for release, python in pythons.items()},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions(python: Path) -> dict[str, str]:
    done = subprocess.run(
        [str(python), "-c", _VERSIONS], capture_output=True, text=True, check=False, timeout=60
    )
    found: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
    return dict(sorted(found.items()))
