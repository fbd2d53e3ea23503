# ruff: noqa: T201
"""Run fuzz targets: `python -m fuzz --seconds 60 [target ...]`, in the fuzzer's environment.

All is imported once, with its branches counted. Each target then runs in a process of its own,
which a slow input, or one that takes too much memory, ends.
"""

import argparse
import contextlib
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

from fuzz import targets

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "nim" / "fuzz_cases"
CORPUS = ROOT / "var" / "fuzz"
# Not fed with bytes: `fuzz.contract`, which needs a process that counts no branches.
CONTRACT = "openapi"
_CONTRACT_SECONDS = 10  # at least: a few batches for each route of each dialect
_INPUT_SECONDS = 5
_MEGABYTES = 2048
_MOST_BYTES = 4096
_STATISTICS = re.compile(rb"^#(\d+)\s+\S+\s+cov: (\d+)", re.MULTILINE)


def _loaded(names: Sequence[str]) -> dict[str, tuple[Callable[[bytes], None], list[bytes]]]:
    # It names each module on the way.
    with (
        contextlib.redirect_stderr(io.StringIO()),
        atheris.instrument_imports(include=["llama_stack_provider_nvidia", "fuzz"]),
    ):
        modules = {name: targets.load(name) for name in names}
    return {name: (module.check, module.SEEDS) for name, module in modules.items()}


def _feed(name: str, check: Callable[[bytes], None], seconds: float, found: Path) -> None:
    """Become the process of one target."""
    arguments = [
        *(name, f"-max_total_time={max(1, round(seconds))}", f"-timeout={_INPUT_SECONDS}"),
        *(f"-rss_limit_mb={_MEGABYTES}", f"-max_len={_MOST_BYTES}", "-print_final_stats=1"),
        *(f"-artifact_prefix={found}/", str(CORPUS / name)),
    ]

    def watched(data: bytes) -> None:
        try:
            check(data)
        except BaseException:
            (found / f"crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            raise

    atheris.Setup(arguments, watched)
    atheris.Fuzz()


def _run(name: str, check: Callable[[bytes], None], seconds: float) -> bool:
    """Feed a target, say what came of it, and keep what was found; returns whether all is well."""
    with tempfile.TemporaryDirectory() as scratch:
        found, log = Path(scratch, "found"), Path(scratch, "log")
        found.mkdir()
        sys.stdout.flush()
        child = os.fork()
        if not child:
            with log.open("wb") as handle:
                os.dup2(handle.fileno(), 1)
                os.dup2(handle.fileno(), 2)
            try:
                _feed(name, check, seconds, found)
            finally:
                os._exit(70)  # not reached: the fuzzer ends the process
        _, status = os.waitpid(child, 0)
        said = log.read_bytes()
        numbers = _STATISTICS.findall(said) or [(b"0", b"0")]
        well = os.waitstatus_to_exitcode(status) == 0
        executions, covered = (int(number) for number in numbers[-1])
        print(
            f"{name:14} {executions:9,} inputs {covered:6,} branches  {'ok' if well else 'FOUND'}",
            flush=True,
        )
        if not well:
            print(said[-6000:].decode("utf-8", "replace"))
        for case in found.iterdir():
            kept = CASES / name / case.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(case.read_bytes())
            print(f"kept as {kept.relative_to(ROOT)}: the tests fail until it is put right")
    return well


def _hold(seconds: float) -> bool:
    """Hold the emulator to its OpenAPI document; returns whether all is well."""
    command = [sys.executable, "-m", "fuzz.contract", f"--seconds={seconds}"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0  # noqa: S603


def main(argv: Sequence[str] | None = None) -> int:
    """Feed targets; returns 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="in all (default: 60)")
    parser.add_argument("names", nargs="*", metavar="target", help="default: all")
    options = parser.parse_args(argv)
    known = [*targets.names(), CONTRACT]
    chosen = options.names or known
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"no target {unknown[0]}; there are {', '.join(known)}")
    share = options.seconds / len(chosen)
    wells = []
    for name, (check, seeds) in _loaded([name for name in chosen if name != CONTRACT]).items():
        corpus = CORPUS / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        wells.append(_run(name, check, share))
    if CONTRACT in chosen:
        wells.append(_hold(max(share, _CONTRACT_SECONDS)))
    return 0 if all(wells) else 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
