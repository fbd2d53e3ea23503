"""Measure the CPU time that each command of the tool takes before its first line.

    python -m scripts.start_times    in an environment of the project

Prints the times as multiples of that of `python -c pass`, which hardly depend on the machine's
load. Status 1 if a command takes more than LIMIT of them, several times what it should.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence

URL = "http://127.0.0.1:9"
"""An address without a server: a command prints its first line before it calls one."""
COMMANDS = (
    ("--version",),
    ("--help",),
    ("providers-dir",),
    ("doctor", URL),
    ("models", URL),
    ("init", URL, "--output", "-"),
    ("chat", URL, "--once", "x"),
    ("rerank", "x", "--model", "x", "--query", "x", "--url", URL),
    ("capture", URL, "--output", os.devnull),
    ("compare", URL),
    ("emulate", "--port", "0"),
)
LIMIT = 60
ROUNDS = 3
# Runs the tool as on a terminal, and ends it with its first words, after those on the modules.
PROGRAM = """
import os, re, sys
class First:
    encoding, errors = "utf-8", "strict"
    def __init__(self, stream): self.stream = stream
    def write(self, text):
        if re.sub(r"\x1b\\[[^A-Za-z]*[A-Za-z]", "", text).strip():
            print("MODULES", *sys.modules, file=sys.__stdout__, flush=True)
            os._exit(0)
        return len(text)
    def flush(self): pass
    def isatty(self): return True
    def fileno(self): return self.stream.fileno()
sys.stdout, sys.stderr = First(sys.__stdout__), First(sys.__stderr__)
sys.argv = ["llama-stack-nvidia", *sys.argv[1:]]
from llama_stack_provider_nvidia.cli import app
app()
"""


class StartError(Exception):
    """A command ended without a word."""


def modules(arguments: Sequence[str]) -> set[str]:
    """Return the top-level modules that a command has imported when it prints its first words.

    Raises:
        StartError: It prints none.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("MODULES")]
    if not lines:
        raise StartError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return {name.partition(".")[0] for name in lines[0].split()[1:]}


def cpu_seconds(program: str, arguments: Sequence[str] = ()) -> float:
    """Return the CPU time of a Python program: the least of some rounds."""
    times = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def main() -> int:
    """Measure them all."""
    nothing = cpu_seconds("pass")
    print(f"{'python -c pass':<16} {nothing:5.2f} s of CPU")
    slow = []
    for arguments in COMMANDS:
        seconds = cpu_seconds(PROGRAM, arguments)
        ratio = seconds / nothing
        print(f"{arguments[0]:<16} {seconds:5.2f} s of CPU, {ratio:3.0f} times", flush=True)
        if ratio > LIMIT:
            slow.append(arguments[0])
    if slow:
        print(f"More than {LIMIT} times: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
