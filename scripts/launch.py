"""Context manager that runs a NIM and a Llama Stack server in front of it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from scripts import stack_client
from scripts.child_process import Child, ServerError, free_port
from scripts.engine import running as engines
from scripts.engine.kinds import KINDS
from scripts.stack_server import ROOT, StackServer

HOSTED_URL = "https://integrate.api.nvidia.com/v1"
# One of each kind, the one that the demo calls first.
EMULATED = (
    "--model=meta/llama-3.1-8b-instruct",
    "--model=nvidia/nv-embedqa-e5-v5",
    "--model=meta/llama-3.2-11b-vision-instruct",
    "--model=nvidia/llama-3.1-nemotron-nano-8b-v1",
    "--model=nvidia/llama-3.2-nv-rerankqa-1b-v2",
)
_READY = re.compile(r"^Emulating NIM \([\w-]+\) at (?P<url>\S+)\s", re.MULTILINE)


@dataclass(frozen=True)
class Nim:
    """The NIM in use.

    Attributes:
        url: Its address as the user or the emulator gave it.
        emulated: Whether it is this package's emulator.
        engine: The title of the real engine that runs on this machine, where one does.
    """

    url: str
    emulated: bool
    engine: str = ""

    @property
    def kind(self) -> str:
        """The name for people."""
        return self.engine or ("emulated" if self.emulated else "as set by the environment")


@dataclass(frozen=True)
class Running:
    """The running NIM, and the Llama Stack server in front of it."""

    nim: Nim
    server: StackServer
    logs: tuple[Path, ...]


def named_nim(environ: Mapping[str, str]) -> Nim | None:
    """The NIM that the environment names: by its address, or by a key for the hosted one."""
    if url := environ.get("NVIDIA_BASE_URL"):
        return Nim(url, emulated=False)
    if environ.get("NVIDIA_API_KEY"):
        return Nim(HOSTED_URL, emulated=False)
    return None


def installed(distribution: str) -> str:
    """The version of an installed distribution."""
    return importlib.metadata.version(distribution)


def prepare_process() -> None:
    """Fit this process to its task; call it first.

    Calls to this machine stay away from any proxy, here and in the children; the client's
    HTTP library logs no line per request; SIGTERM and SIGHUP unwind the `with` blocks as
    Ctrl-C does.
    """
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    hosts = ",".join(filter(None, [known, "127.0.0.1,localhost"]))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = hosts
    logging.getLogger("httpx").setLevel(logging.WARNING)

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, interrupt)


@contextlib.contextmanager
def emulator(log_path: Path) -> Iterator[Nim]:
    """Run the package's emulated NIM on a free port.

    Raises:
        ServerError: It ended by itself, or did not say in time that it is ready.
    """
    program = str(Path(sys.executable).parent / "llama-stack-nvidia")

    def ready() -> re.Match[str] | None:
        return _READY.search(log_path.read_text("utf-8", "replace"))

    child = Child(
        "The emulated NIM",
        # At the pace of a model: what comes all at once is joined into one event.
        [
            *(program, "emulate", "--port=0", "--dialect=nim2", "--tokens-per-second=40"),
            *EMULATED,
        ],
        log_path,
        ready=lambda: bool(ready()),
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with child:
        found = ready()
        assert found
        yield Nim(found["url"], emulated=True)


@contextlib.contextmanager
def real_engine(name: str, folder: Path) -> Iterator[Nim]:
    """Run a real inference engine on a free port, installed first if need be.

    Args:
        name: As `scripts.engine.kinds` has it.
        folder: For its log.

    Raises:
        ServerError: There is none of that name, or it did not come up.
    """
    if name not in KINDS:
        message = f"ENGINE={name} is none of {', '.join(KINDS)}."
        raise ServerError(message)
    try:
        with engines.running(KINDS[name].engine(folder)) as made:
            yield Nim(made.url, emulated=False, engine=f"{KINDS[name].title}, on this machine")
    except engines.EngineError as error:
        raise ServerError(str(error)) from error


@contextlib.contextmanager
def running(console: Console, name: str, *, port: int | None = None) -> Iterator[Running]:
    """Start the NIM (unless the environment names one) and the server, and stop both at the end.

    Args:
        console: Where progress is shown.
        name: What the logs under `var/` are called after, with the server's port: several may run
            from one folder.
        port: The server's port; a free one unless told.

    Raises:
        ServerError: One of the two did not come up.
    """
    logs = ROOT / "var"
    logs.mkdir(exist_ok=True)
    port = port or free_port()
    log, nim_log = (logs / f"{name}-{port}-{of}.log" for of in ("server", "nim"))
    software = stack_client.installed_kind()
    version = installed(software.server)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(tempfile.TemporaryDirectory(prefix="nim-demo-"))
        nim = named_nim(os.environ)
        if nim is None and (chosen := os.environ.get("ENGINE")):
            with working(console, "Starting a real engine, for up to a minute"):
                nim = stack.enter_context(real_engine(chosen, logs / f"{name}-{port}-engine"))
        if nim is None:
            with working(console, "Starting an emulated NIM"):
                nim = stack.enter_context(emulator(nim_log))
        console.print(f"NIM          {nim.url} ({nim.kind})", soft_wrap=True, highlight=False)
        server = StackServer(
            ROOT / (os.environ.get("RUN_YAML") or "run.yaml"),
            env={**_plain_logs(), "NVIDIA_BASE_URL": nim.url, "SQLITE_STORE_DIR": store},
            port=port,
            log_path=log,
        )
        with working(console, f"Starting {software.title} {version}"):
            stack.enter_context(server)
        console.print(f"{software.title:<12} {server.url} (release {version})", highlight=False)
        yield Running(nim, server, (log, nim_log))


def _plain_logs() -> dict[str, str]:
    """Return variables that keep a server from drawing tracebacks, while it answers nobody."""
    names = ("LLAMA_STACK_LOG_FORMAT", "OGX_LOG_FORMAT")
    return {name: os.environ.get(name) or "json" for name in names}


@contextlib.contextmanager
def working(console: Console, text: str) -> Iterator[None]:
    """Show that something is under way: a spinner on a terminal, a line elsewhere."""
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(f"{text} ...", highlight=False)
        yield
