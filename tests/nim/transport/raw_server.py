"""A server that does with each connection what a test says, byte by byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@dataclass
class Connection:
    """One connection of a client, and what it has sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    heads: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """Read one request; returns its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return await self.reader.readexactly(int(value))
        return b""

    async def send(self, *parts: bytes) -> None:
        """Write each part as a segment of its own."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    def reset(self) -> None:
        """Break the connection: the other side sees a reset."""
        self.writer.transport.abort()


@dataclass
class RawServer:
    """Address, connections so far, and how many have been closed by the client."""

    url: str
    connections: list[Connection] = field(default_factory=list)
    ended: int = 0
    one_ended: asyncio.Event = field(default_factory=asyncio.Event)


def whole(body: bytes) -> bytes:
    return WHOLE % (len(body), body)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


@contextlib.asynccontextmanager
async def serving(
    script: Callable[[Connection], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Serve on a free port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Connection(reader, writer, len(server.connections))
        server.connections.append(connection)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await script(connection)
        except asyncio.CancelledError:
            pass
        finally:
            server.ended += 1
            server.one_ended.set()
            writer.transport.abort()
            tasks.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=4096)
    port = listening.sockets[0].getsockname()[1]
    server = RawServer(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
