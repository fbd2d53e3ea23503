"""Install, start and test the real engines.

    python3 -m scripts.engine serve dynamo --port 8000   installed first if need be; Ctrl-C stops it
    python3 -m scripts.engine install dynamo             only install it, with its model
    python3 -m scripts.engine test vllm dynamo           the suite, with each of them; `all` for all
    python3 -m scripts.engine table                      write what the runs found into the docs
    python3 -m scripts.engine lock                       resolve constraints/engine.txt anew

The suite calls an engine directly and through servers: of the releases that STACK names, else of
0.2.24, 0.7.3 and OGX 1.5.0. With `serve`, SIGUSR1 kills the worker and SIGUSR2 starts it again.
Standard library only.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

from scripts import interpreters, venvs
from scripts.engine import installing, suite, table
from scripts.engine.installing import ROOT, say
from scripts.engine.kinds import KINDS, RECORDS, VLLM
from scripts.engine.running import EngineError, running
from scripts.phases import PhaseError

CLIENT = "0.2.24"  # its environment has the client of the native API


def serve(name: str, port: int) -> int:
    """Run an engine until told to stop."""
    folder = RECORDS / f"{name}-{port}"
    begin = time.monotonic()
    engine = KINDS[name].engine(folder, port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGUSR1, lambda *_: engine.kill_worker())
    signal.signal(signal.SIGUSR2, lambda *_: engine.start())
    say(f"starting {KINDS[name].title}; its log is {engine.log.relative_to(ROOT)}")
    try:
        with running(engine):
            say(f"ready after {time.monotonic() - begin:.0f} s: {engine.url}")
            while True:
                signal.pause()
    except EngineError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def test(names: Sequence[str], words: Sequence[str]) -> int:
    """Run the suite with each engine; return 1 where one failed."""
    environ = dict(os.environ)
    called = suite.stacks(environ)
    for stack in {*called, CLIENT}:
        suite.make(stack, environ)
    python = suite.make(CLIENT, environ)
    failed = []
    for name in names:
        KINDS[name].install()
        if suite.run(python, environ, called, {"ENGINE": name}, words):
            failed.append(name)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return int(bool(failed))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python3 -m scripts.engine", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lock", help="resolve constraints/engine.txt anew")
    commands.add_parser("table", help="write what the runs found into docs/compatibility.md")
    for command in ("install", "test"):
        made = commands.add_parser(command)
        made.add_argument("names", nargs="*", choices=[*KINDS, "all"], default="vllm")
    server = commands.add_parser("serve", help="start an engine")
    server.add_argument("name", choices=KINDS)
    server.add_argument("--port", type=int, default=8000)
    options, words = parser.parse_known_args(argv)
    if words and options.command != "test":
        parser.error(f"unknown: {' '.join(words)}")
    if options.command == "lock":
        installing.lock(VLLM)
        return 0
    if options.command == "table":
        return table.write()
    if options.command == "serve":
        return serve(options.name, options.port)
    asked = [options.names] if isinstance(options.names, str) else options.names
    names = list(KINDS) if "all" in asked else asked
    if options.command == "install":
        for name in names:
            KINDS[name].install()
        return 0
    try:
        return test(names, words)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
