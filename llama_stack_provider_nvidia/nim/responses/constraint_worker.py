"""The process that checks constraints: one JSON request per line in, one reply per line out."""

import contextlib
import faulthandler
import json
import os
import sys
from typing import Any, TextIO

from .constraint_checks import ConstraintError, problem_of

READY = b"ready"
"""The first line out, when the process can take requests."""


def reply_to(request: Any) -> list[str | None]:
    """Return why the constraint cannot be used, and what is wrong with the text."""
    kind, value = request["constraint"]
    try:
        return [None, problem_of(kind, value, request["text"])]
    except ConstraintError as error:
        return [str(error), None]


def main() -> None:
    """Answer requests until the input ends; no check exceeds its time."""
    with contextlib.suppress(ImportError, ValueError):  # no such limits on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    with contextlib.suppress(AttributeError, OSError):  # nor this
        os.nice(10)  # the server goes first
    problem_of("JSON schema", {"pattern": "x"}, '"x"')  # imports what takes longest
    sys.stdout.write(f"{READY.decode()}\n")
    sys.stdout.flush()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        for line in sys.stdin.buffer:
            if hasattr(os, "fork"):
                _answer_in_child(line, nowhere)
            else:
                _answer(line, nowhere)


def _answer(line: bytes, nowhere: TextIO) -> None:
    request = json.loads(line)
    # Its thread needs no turn of the interpreter: C code that runs for years is ended too.
    faulthandler.dump_traceback_later(request["seconds"], exit=True, file=nowhere)
    reply = reply_to(request)
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def _answer_in_child(line: bytes, nowhere: TextIO) -> None:
    """Answer in a fork of this process: to start another costs a hundred times as much.

    An empty line says that the fork has ended over it.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _answer(line, nowhere)
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
