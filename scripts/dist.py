"""Build the distributions, check them, and try each wheel in an environment of its own.

    python3 -m scripts.dist     writes dist/

PROJECT_URL is the repository's address, for the project's URLs and the readme's links.
Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import interpreters, package_readme, pip_settings, venvs
from scripts.phases import PhaseError

PINS = venvs.ROOT / "constraints" / "dist.txt"
FOLDER = venvs.ROOT / "dist"

Command = Sequence[str]


class DistError(Exception):
    """The distributions cannot be used; the text says why."""


@dataclass(frozen=True)
class Distribution:
    """One distribution of the repository.

    Attributes:
        name: Its name in the names of files.
        source: The folder of its pyproject.toml.
        uses: What a user does first with the wheel alone, and what a server needs of it.
    """

    name: str
    source: Path
    uses: tuple[Command, ...]


PROVIDER = Distribution(
    "llama_stack_provider_nvidia",
    venvs.ROOT,
    (
        ["llama-stack-nvidia", "--help"],
        ["llama-stack-nvidia", "providers-dir"],
        ["python", "-c", "import llama_stack_provider_nvidia.config"],
    ),
)
EMULATOR = Distribution(
    "nim_emulator",
    venvs.ROOT / "nim_emulator",
    (
        ["nim-emulator", "--help"],
        ["python", "-m", "nim_emulator", "--version"],
        ["python", "-c", "import nim_emulator; nim_emulator.EmulatorServer().start().stop()"],
    ),
)
# Together, as `llama-stack-provider-nvidia[emulator]` installs them.
_TOGETHER = (["llama-stack-nvidia", "emulate", "--help"],)
# The former name of the emulator, which re-exports it and holds no code.
_FORMER_NAME = "llama_stack_provider_nvidia/emulator/"
_FORMER_NAME_LINES = 30


def build(
    uv: Command,
    distribution: Distribution,
    folder: Path,
    flags: Sequence[str],
    environ: Mapping[str, str],
) -> tuple[Path, Path]:
    """Build a distribution into a folder; return its wheel and its archive of sources.

    The build is from a copy of the sources, which has the readme and the URLs for an index.

    Raises:
        DistError: It cannot be built, or not just these two files were made.
    """
    forge = forge_address(environ)
    options = ["--quiet", *flags, "--build-constraints", str(PINS), "--out-dir"]
    with tempfile.TemporaryDirectory() as scratch:
        run([*uv, "build", "--sdist", *options, scratch, str(distribution.source)], environ)
        (first,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(first) as archive:
            archive.extractall(scratch, filter="data")
        copy = Path(scratch, first.name.removesuffix(".tar.gz"))
        # The description that the first build has put there.
        (copy / "PKG-INFO").unlink()
        version = copy.name.rpartition("-")[2]
        place = distribution.source.relative_to(venvs.ROOT)
        package_readme.prepare(copy, forge, version, place.as_posix())
        run([*uv, "build", *options, str(folder), str(copy)], environ)
    found = sorted(folder.glob(f"{distribution.name}-*"))
    if [path.name.rpartition(".")[2] for path in found] != ["whl", "gz"]:
        names = ", ".join(path.name for path in found) or "nothing"
        raise DistError(f"{folder.name}/ has {names} of {distribution.name}")
    wheel, sources = found
    return wheel, sources


def forge_address(environ: Mapping[str, str]) -> str:
    """Return the repository's address from PROJECT_URL, "" where it is not set.

    Raises:
        DistError: It is no address of https.
    """
    address = environ.get("PROJECT_URL", "").rstrip("/").removesuffix(".git")
    if address and not address.startswith("https://"):
        raise DistError(f"PROJECT_URL has to start with https://, and is {address}")
    return address


def modules(wheel: Path) -> dict[str, int]:
    """Return the lines of each Python module of a wheel by its path."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        return {name: archive.read(name).count(b"\n") for name in names}


def check_contents(distribution: Distribution, wheel: Path) -> None:
    """Check that a wheel holds its own package alone, and the provider's no emulator.

    Raises:
        DistError: It holds something else.
    """
    lines = modules(wheel)
    foreign = [name for name in lines if not name.startswith(f"{distribution.name}/")]
    former = {name: count for name, count in lines.items() if name.startswith(_FORMER_NAME)}
    if former and (len(former) > 1 or sum(former.values()) > _FORMER_NAME_LINES):
        foreign += former
    if foreign or not lines:
        raise DistError(f"{wheel.name} holds {', '.join(foreign) or 'no modules'}")


def run(command: Command, environ: Mapping[str, str], folder: Path = venvs.ROOT) -> str:
    """Run a command and return what it printed.

    Raises:
        DistError: It failed.
    """
    done = subprocess.run(
        command, env=dict(environ), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DistError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def use(
    uv: Command,
    wheels: Sequence[Path],
    uses: Sequence[Command],
    pins: Path,
    environ: Mapping[str, str],
) -> None:
    """Install wheels into an environment of their own and call them from another folder.

    Raises:
        DistError: They cannot be installed, or do not work.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder) / "venv"
        run([*uv, "venv", "--quiet", "--python", sys.executable, str(venv)], environ)
        inside = venvs.venv_python(venv)
        install = [*uv, "pip", "install", "--quiet", "--python", str(inside), "-c", str(pins)]
        run([*install, *map(str, wheels)], environ)
        for name, *arguments in uses:
            run([str(inside.with_name(name)), *arguments], environ, Path(folder))


def main() -> int:
    """Build, check and use both distributions; return 1 where that does not work."""
    environ = dict(os.environ)
    try:
        stack, found = interpreters.choose(environ)
        inside = venvs.make(stack, found, environ)
        settings = venvs.pip_config(inside, environ)
        environ |= pip_settings.uv_environment(settings, environ)
        uv = [str(inside), "-m", "uv"]
        flags = pip_settings.uv_flags(settings)
        shutil.rmtree(FOLDER, ignore_errors=True)
        wheels = []
        for distribution in (PROVIDER, EMULATOR):
            wheel, archive = build(uv, distribution, FOLDER, flags, environ)
            check_contents(distribution, wheel)
            twine = [*uv, "tool", "run", *flags, "--constraints", str(PINS), "twine"]
            print(run([*twine, "check", "--strict", str(archive), str(wheel)], environ), end="")
            use(uv, [wheel], distribution.uses, venvs.constraints_path(stack), environ)
            print(
                f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB, "
                f"{sum(modules(wheel).values())} lines; installed on its own, it answers "
                f"`{distribution.uses[0][0]} --help`."
            )
            wheels.append(wheel)
        (FOLDER / ".gitignore").unlink(missing_ok=True)
        use(uv, wheels, _TOGETHER, venvs.constraints_path(stack), environ)
    except (DistError, venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print("Both together answer `llama-stack-nvidia emulate --help`.")
    if not forge_address(environ):
        print("Set PROJECT_URL before you publish them: the readme has no links without it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
