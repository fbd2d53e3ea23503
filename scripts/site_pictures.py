"""Look at the documentation site in a browser: pictures of its pages, and faults that show.

    python3 -m scripts.site_pictures            all pages; pictures of some into var/site-pictures
    python3 -m scripts.site_pictures tools api  pictures of these pages

Each page is opened in the light and in the dark scheme, on a desktop and on a phone. Status 1 if a
page scrolls sideways, breaks a name in its middle, does not show a picture or reports an error.
Needs Chromium: Debian's package, or CHROMIUM with another's path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from scripts import interpreters, site, venvs
from scripts.phases import PhaseError

PINS = venvs.ROOT / "constraints" / "pictures.txt"
VENV = venvs.ROOT / ".venvs" / "pictures"
PAGES = ("index", "quickstart", "tools", "performance", "errors", "configuration", "api")
"""Of which pictures are made unless others are asked for."""


def browser() -> str:
    """Return Chromium's path, empty if there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or ""


def main(pages: Sequence[str]) -> int:
    """Build the site and look at it."""
    chromium = browser()
    if not chromium:
        print(
            "Missing: chromium. Install it with: "
            "apt-get install --no-install-recommends chromium fonts-dejavu",
            file=sys.stderr,
        )
        return 1
    if status := site.main(["build"]):
        return status
    environ = {name: value for name, value in os.environ.items() if name != "STACK"}
    try:
        _, python = interpreters.choose(environ)
        inside = site.make(python, environ, PINS, VENV)
    except (PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    look = [str(inside), "-m", "scripts.site_browser", chromium, *(pages or PAGES)]
    return subprocess.run(look, cwd=venvs.ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
