"""Check that a tag can be released: the versions and the changelog say the same.

    python3 -m scripts.release_check v0.1.0

Standard library only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = (
    "llama_stack_provider_nvidia/_version.py",
    "nim_emulator/src/nim_emulator/_version.py",
)
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_SECTION = r"^## {version} \(\d{{4}}-\d\d-\d\d\)\n(.*?)(?=^## |\Z)"


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return what keeps a tag from being released, in sentences."""
    found = []
    for name in VERSIONS:
        version = _VERSION.findall((root / name).read_text(encoding="utf-8"))
        if [f"v{one}" for one in version] != [tag]:
            found.append(f"{name} has version {', '.join(version)}; the tag is {tag}.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    pattern = _SECTION.format(version=re.escape(tag.removeprefix("v")))
    section = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if not section:
        found.append(f"CHANGELOG.md has no section `## {tag.removeprefix('v')} (YYYY-MM-DD)`.")
    elif "\n- " not in f"\n{section[1]}":
        found.append(f"CHANGELOG.md lists no change of {tag.removeprefix('v')}.")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the problems; return 1 if there are any."""
    words = sys.argv[1:] if argv is None else argv
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = problems(words[0])
    print("\n".join(found) or f"{words[0]} can be released.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
