"""Test the package on every supported release, each in an environment of its own.

    make matrix                             all releases
    make matrix RELEASES="0.7.3 ogx-1.5.0"  some of them
    make matrix EXCEPT=0.7.3                not this one on its oldest Python, as `make test` does

Prints a line as each release ends, a table at last, and exits with 1 when a test failed or a
release could not be tested. The output of each is in var/matrix/. Standard library only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts import interpreters, junit, releases, venvs
from scripts.child_process import stop_process, tail
from scripts.interpreters import NoInterpreterError, Version
from scripts.phases import PhaseError, Phases

SUITE = "tests/matrix"
# All that runs on Llama Stack's code, on the first release: it has the native API, and `make test`
# runs the rest.
WHOLE = ("tests",)
NOT_AGAIN = (
    *("tests/capture", "tests/deploy", "tests/emulator"),
    *(
        f"tests/repo/test_{name}.py"
        for name in (
            *("demo", "deploy", "distributions", "install", "layer", "package_readme"),
            *("pictures", "site", "workflows"),
        )
    ),
)
WHOLE_ON = ("0.2.12",)
# What covers the code for the native API; `make coverage` joins it with that of `make test`.
COVERED_ON = "0.2.12"
# What the other NIMs take and give does not depend on the release: `make test` covers them.
LEFT_OUT = (
    "(nim1-1.15 or vllm or nim2-sglang or hosted or dynamo or generic or fast_streams)"
    " and not test_deployed_config"
)
# Every row of docs/errors.md, on one release of each generation.
ERROR_TABLE = "test_error_table"
ERROR_TABLE_ON = ("0.2.12", "0.2.24", "0.7.3", "ogx-1.5.0")
# What another Python than the oldest cannot change.
SAME_ON_ANY_PYTHON = (
    "test_conformance or test_tenants or test_init or test_error_table or test_distribution_files"
)
# Releases that are tested on this Python as well as on the oldest that they accept.
ALSO_ON = {Version(3, 13): ("0.2.24", "0.7.3", "ogx-1.5.0")}
LOGS = venvs.ROOT / "var" / "matrix"
# Requests of the tenants that share a server: `make load-test` sends 10,000.
LOAD = {"LOAD_REQUESTS": "100"}
SECONDS = 600
WHOLE_SECONDS = 1800
# For the end of the servers that a run has started.
TEARDOWN_SECONDS = 60
JOBS = 2
# Failed tests of a release that the last lines name.
NAMES = 20
RERUN = re.compile(r"^RERUN (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One release on one Python."""

    stack: str
    python: Version

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{releases.parse(self.stack).title} on Python {self.python}"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOGS / f"{releases.parse(self.stack).slug}-python{self.python}.log"

    @property
    def is_whole(self) -> bool:
        """True if it runs the whole suite, alone on the machine."""
        return self.stack in WHOLE_ON and self.python == interpreters.minimum_python(self.stack)

    @property
    def coverage(self) -> Path | None:
        """Where its coverage is kept, if it is."""
        return self.log.with_suffix(".coverage") if self.stack == COVERED_ON else None

    @property
    def arguments(self) -> list[str]:
        """The words for pytest that name the tests to run."""
        if not self.is_whole:
            return [SUITE, "--no-cov", "-k", self.left_out]
        counted = ["--cov", "--cov-report="] if self.coverage else ["--no-cov"]
        # Two at a time take little more than one; a file's servers are its own.
        ignored = [f"--ignore={path}" for path in NOT_AGAIN]
        chosen = [*WHOLE, *ignored, "-m", "not engine and not deploy"]
        return [*chosen, "-n", "2", "--dist", "loadfile", *counted]

    @property
    def left_out(self) -> str:
        """The tests that other runs do, as an expression of pytest's."""
        without = [LEFT_OUT]
        if self.python != interpreters.minimum_python(self.stack):
            without.append(SAME_ON_ANY_PYTHON)
        elif self.stack not in ERROR_TABLE_ON:
            without.append(ERROR_TABLE)
        return f"not ({' or '.join(without)})"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: What was tested.
        passed: Tests that passed.
        failed: Tests that failed, errors among them.
        seconds: Time that the tests took, the making of the environment apart.
        problem: Why there is no result, empty when there is one.
        reasons: Of each failed test its name and the end of its text.
        reruns: Tests that pytest ran again because they failed, where it was told to.
    """

    run: Run
    passed: int = 0
    failed: int = 0
    seconds: float = 0
    problem: str = ""
    reasons: tuple[str, ...] = ()
    reruns: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Everything passed, and there was something to pass."""
        return not self.problem and not self.failed and self.passed > 0

    def line(self) -> str:
        """One line for people."""
        mark = "ok    " if self.good else "FAILED"
        counts = f"{self.passed:4} passed {self.failed:3} failed {self.seconds:5.0f} s"
        return f"{mark} {self.run.title:<32} {counts}  {self.problem}".rstrip()


def runs(chosen: Sequence[str] = (), without: Sequence[str] = ()) -> list[Run]:
    """Return what to test: every pinned release, or those chosen, oldest first.

    Raises:
        EnvError: A release that was named has no pins.
    """
    pinned = venvs.pinned()
    if unknown := [name for name in (*chosen, *without) if name not in pinned]:
        message = f"There are no pins for {', '.join(unknown)}; there are for {', '.join(pinned)}."
        raise venvs.EnvError(message)
    found = []
    for stack in pinned:
        if chosen and stack not in chosen:
            continue
        if stack not in without:
            found.append(Run(stack, interpreters.minimum_python(stack)))
        found += [Run(stack, version) for version, also in ALSO_ON.items() if stack in also]
    return found


def _silent(log: Path) -> Phases:
    """Phases that only their log shows: several releases are under way at a time."""
    return Phases(log, out=lambda text: None)


class Matrix:
    """Runs the suites, several releases at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def test_all(self, wanted: Iterable[Run], jobs: int) -> list[Outcome]:
        """Test them all, and print a line as each ends."""
        runs = list(wanted)
        alone = self._together([run for run in runs if run.is_whole], 1)
        return alone + self._together([run for run in runs if not run.is_whole], jobs)

    def _together(self, wanted: Iterable[Run], jobs: int) -> list[Outcome]:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                # Environments are made here, one after the other, while tests run beside.
                pending = [pool.submit(self._report, run, self._make(run)) for run in wanted]
                return [future.result() for future in pending]
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End what runs."""
        with self._lock:
            self._stopped = True
            children = list(self._children)
        for child in children:
            stop_process(child, TEARDOWN_SECONDS)

    def _make(self, run: Run) -> Path | str:
        """The environment's Python, or why there is none."""
        try:
            python = interpreters.exactly(run.python, self._environ)
            return venvs.make(run.stack, python, self._environ, _silent)
        except (venvs.EnvError, PhaseError, NoInterpreterError) as error:
            return str(error)

    def _report(self, run: Run, made: Path | str) -> Outcome:
        outcome = Outcome(run, problem=made) if isinstance(made, str) else self._test(run, made)
        print("\n\n".join([outcome.line(), *outcome.reasons]), flush=True)
        return outcome

    def _test(self, run: Run, python: Path) -> Outcome:
        report = run.log.with_suffix(".xml")
        report.unlink(missing_ok=True)
        begin = time.monotonic()
        status = self._pytest(run, python, report)
        seconds = time.monotonic() - begin
        if not report.exists():
            problem = f"pytest ended with status {status}; see {run.log}:\n{tail(run.log)}"
            return Outcome(run, seconds=seconds, problem=problem)
        result = junit.read(report)
        problem = f"see {run.log}" if result.failed else ""
        if status and not result.failed:
            problem = f"pytest ended with status {status}; see {run.log}"
        reruns = tuple(RERUN.findall(run.log.read_text(encoding="utf-8", errors="replace")))
        return Outcome(run, result.passed, result.failed, seconds, problem, result.reasons, reruns)

    def _pytest(self, run: Run, python: Path, report: Path) -> int | None:
        run.log.parent.mkdir(parents=True, exist_ok=True)
        command = [str(python), "-m", "pytest", *run.arguments, f"--junit-xml={report}"]
        # Their caches and coverage data would get into each other's way.
        command += ["-p", "no:cacheprovider"]
        environ = {**LOAD, **self._environ}
        if run.coverage:
            run.coverage.unlink(missing_ok=True)
            environ["COVERAGE_FILE"] = str(run.coverage)
        with run.log.open("wb") as log:
            with self._lock:
                if self._stopped:
                    return None
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=venvs.ROOT,
                    env=venvs.activated(python, environ),
                    start_new_session=True,
                )
                self._children.add(child)
            try:
                return child.wait(WHOLE_SECONDS if run.is_whole else SECONDS)
            except subprocess.TimeoutExpired:
                stop_process(child, TEARDOWN_SECONDS)
                return child.returncode
            finally:
                self._children.discard(child)


def table(outcomes: Sequence[Outcome]) -> str:
    """All outcomes with the names of what failed, and their sum in a last line of its own."""
    lines = []
    for outcome in outcomes:
        names = [reason.partition("\n")[0] for reason in outcome.reasons[:NAMES]]
        lines += [outcome.line(), *(f"       {name}" for name in names)]
        lines += [f"       run again: {name}" for name in outcome.reruns]
    passed = sum(outcome.passed for outcome in outcomes)
    # A release without a result counts as one failure.
    failed = sum(max(outcome.failed, not outcome.good) for outcome in outcomes)
    return "\n".join([*lines, f"{passed} passed, {failed} failed"])


def main() -> int:
    """Test the releases that RELEASES and EXCEPT leave; JOBS at a time."""
    environ = {name: value for name, value in os.environ.items() if name not in ("STACK", "PYTHON")}
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: the tests end first
    try:
        wanted = runs(
            environ.pop("RELEASES", "").split(), without=environ.pop("EXCEPT", "").split()
        )
        jobs = int(environ.pop("JOBS", "") or min(JOBS, os.cpu_count() or 1))
        outcomes = Matrix(environ).test_all(wanted, jobs)
    except (venvs.EnvError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nAfter {time.monotonic() - begin:.0f} s:\n{table(outcomes)}")
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
