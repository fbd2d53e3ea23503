"""Ask a running engine the fixed list of requests, and write its answers as a fixture.

python -m scripts.wire.record http://127.0.0.1:8000 --engine dynamo --version 1.6.1
"""

from __future__ import annotations

import argparse
import datetime
import time

from scripts.wire.fixtures import Fixture, ask, requests, write


def main() -> None:
    """Record an engine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="the engine, such as http://127.0.0.1:8000")
    parser.add_argument("--engine", required=True, help="its name, such as vllm")
    parser.add_argument("--version", required=True, help="its version")
    args = parser.parse_args()
    begin = time.monotonic()
    answers = ask(args.url)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    path = write(Fixture(args.engine, args.version, today, requests(), answers))
    size = path.stat().st_size // 1024
    print(f"{path.name}: {len(answers)} answers, {size} KiB, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
