"""Runs the emulator on a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from .app import create_app
from .capture_file import read_capture
from .connection import Port, protocol_class
from .dialect import ToolStream
from .faults import Fault, FaultPlan
from .record import Connections, RecordedRequest, Recorder, Reply
from .replay import Replay
from .settings import DEFAULT_BATCH, DEFAULT_CONTEXT, Settings
from .tls import TLS, Certificates, make_certificates

_BACKLOG = 512
_START_S = 10.0
_STOP_S = 10.0
_GRACE_S = 1
"""Seconds that responses in progress get when the server stops."""


class EmulatorServer:
    """An emulated NIM in a thread of this process.

    Use it as a context manager, or call ``start`` and ``stop``:

        with EmulatorServer(dialect="nim1") as nim:
            client = OpenAI(base_url=f"{nim.url}/v1", api_key="none")

    Args:
        dialect: Name of the generation, such as ``nim1``, ``nim2`` or ``hosted``.
        models: Ids of the served models, None for the dialect's own. The dialect ``dynamo`` may
            have none, as a front end without workers.
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        api_key: Key that inference requires, None for no key.
        context: Context length of the models in tokens.
        tokens_per_second: Rate of streams, None for no limit.
        tool_stream: Style of streamed tool calls, None for the dialect's own.
        frames_per_write: Events of a stream per write to the socket.
        release: What the version route says, None for the dialect's own.
        done: Streams end with ``[DONE]``.
        tool_parser: The tool choice ``auto`` is not refused.
        adapters: LoRA adapters: the id of a served model by the name of the adapter.
        max_batch: The most texts of one embedding request; retriever and hosted dialects only.
        polls: How often a response that is fetched later is not ready; hosted dialect only.
        log_level: Level of uvicorn's log; ``info`` logs each request.
        tls: Speak TLS, with a certificate of this kind; needs the library ``trustme``.
        replay: Path of a capture to answer from, in place of the dialect.
        replay_timing: Send recorded responses as slowly as they came.

    Raises:
        ValueError: A value is unknown or out of range, or the capture cannot be used.
        OSError: The capture cannot be read.
    """

    def __init__(
        self,
        dialect: str = "nim2",
        models: Sequence[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        context: int = DEFAULT_CONTEXT,
        tokens_per_second: float | None = None,
        tool_stream: ToolStream | None = None,
        frames_per_write: int = 1,
        release: str | None = None,
        done: bool = True,
        polls: int = 1,
        tool_parser: bool = True,
        adapters: Mapping[str, str] | None = None,
        max_batch: int = DEFAULT_BATCH,
        log_level: str = "warning",
        tls: TLS | None = None,
        replay: str | Path | None = None,
        replay_timing: bool = True,
    ) -> None:
        self._replay = None
        if replay is not None:
            self._replay = Replay(read_capture(replay), timing=replay_timing)
        self.settings = Settings(
            dialect=dialect,
            models=None if models is None else tuple(models),
            adapters=dict(adapters or {}),
            max_batch=max_batch,
            api_key=api_key,
            context=context,
            tokens_per_second=tokens_per_second,
            tool_stream=tool_stream,
            frames_per_write=frames_per_write,
            release=release,
            done=done,
            polls=polls,
            tool_parser=tool_parser,
        )
        self.recorder = Recorder()
        self.certificates: Certificates | None = None
        self._plan = FaultPlan()
        self._tls = tls
        self._address = (host, port)
        self._log_level = log_level
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._bound: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        """The server root, such as ``http://127.0.0.1:41234``; add ``/v1`` for clients.

        With ``tls`` it is https, and ``certificates`` has the files for the client.

        Raises:
            RuntimeError: The server was not started.
        """
        if self._bound is None:
            raise RuntimeError("the emulator is not running: call start() or use 'with'")
        host, port = self._bound
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def running(self) -> bool:
        """The server accepts requests."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last requests, oldest first."""
        return self.recorder.requests()

    def clear(self) -> None:
        """Forget the requests, drop the script and the faults."""
        self.recorder.clear_requests()
        self.recorder.clear_script()
        self._plan.clear()

    def script(self, replies: Iterable[Reply | Mapping[str, Any]]) -> None:
        """Answer the next fitting requests with these replies, in order; see ``Reply``."""
        self.recorder.script(replies)

    def faults(self, faults: Iterable[Fault | Mapping[str, Any] | str]) -> None:
        """Answer the next fitting requests with these faults; see ``Fault``.

        A text is read as on the command line: ``stall:after=1,seconds=2``.
        """
        self._plan.add(faults)

    @property
    def connections(self) -> Connections:
        """The number of connections made, and those that are open."""
        return self.recorder.connections()

    def start(self) -> EmulatorServer:
        """Start to serve; return when requests are accepted.

        Raises:
            OSError: The address cannot be bound.
            RuntimeError: It runs already, or did not start, or a library is missing.
        """
        if self._thread is not None:
            raise RuntimeError("the emulator is running already")
        host = self._address[0]
        if self._tls is not None:
            self.certificates = make_certificates(self._tls, host)
        listener = _listen(*self._address)
        config = uvicorn.Config(
            create_app(self.settings, self.recorder, self._plan, self._replay),
            # A capture has the real server's.
            server_header=self._replay is None,
            http=protocol_class(self.recorder),
            log_level=self._log_level,
            access_log=self._log_level in ("info", "debug", "trace"),
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_S,
            **(self.certificates.options if self.certificates else {}),
        )
        server = uvicorn.Server(config)
        bound = listener.getsockname()[:2]

        def serve() -> None:
            asyncio.run(self._serve(server, listener, lambda: _listen(host, bound[1])))

        thread = threading.Thread(target=serve, name="nim-emulator", daemon=True)
        thread.start()
        deadline = time.monotonic() + _START_S
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                listener.close()
                raise RuntimeError("the emulator did not start; see the log")
            time.sleep(0.002)
        self._server, self._thread = server, thread
        self._bound = bound
        return self

    async def _serve(
        self,
        server: uvicorn.Server,
        listener: socket.socket,
        listen: Callable[[], socket.socket],
    ) -> None:
        self._plan.port = Port(server, listen, asyncio.get_running_loop())
        try:
            with listener:
                await server.serve(sockets=[listener])
        finally:
            self._plan.port = None

    def stop(self) -> None:
        """Stop serving; responses in progress are cut after a second. Does nothing twice."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        self._server = self._thread = self._bound = None
        if self.certificates is not None:
            self.certificates.close()
            self.certificates = None

    def __enter__(self) -> EmulatorServer:
        """Start the server."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, unlike socket.create_server: asyncio turns Nagle's algorithm off
    # for such sockets only, and with it each small event of a stream may wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
