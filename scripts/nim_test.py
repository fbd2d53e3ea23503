"""Run the engine suite on a NIM of the user's: `make nim-test URL=http://host:8000`.

The key is NVIDIA_API_KEY. The suite calls the NIM directly and through servers: of the release that
STACK names, else of those of the engine suite. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from scripts import interpreters, venvs
from scripts.engine import suite
from scripts.phases import PhaseError


def run(url: str, model: str, words: Sequence[str]) -> int:
    """Run the suite; return its status."""
    environ = dict(os.environ)
    called = suite.stacks(environ)
    # The first has the client of the native API, if that is called.
    python, *_ = [suite.make(stack, environ) for stack in called]
    variables = {
        "ENGINE": "nim",
        "ENGINE_URL": url,
        "ENGINE_MODEL": model,
        # Tests take away what begins with NVIDIA_.
        "ENGINE_API_KEY": environ.get("NVIDIA_API_KEY", ""),
    }
    return suite.run(python, environ, called, variables, words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="make nim-test URL=... [MODEL=...] [ARGS=...]")
    parser.add_argument("--url", required=True, help="address of the NIM")
    parser.add_argument("--model", default="", help="the model to call")
    options, words = parser.parse_known_args(argv)
    if not options.url:
        parser.error("URL is empty: make nim-test URL=http://localhost:8000")
    try:
        return run(options.url, options.model, words)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
