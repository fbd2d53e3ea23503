"""The road to a NIM, over real sockets."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import pytest
import trustme
from nim_emulator.app import create_app
from nim_emulator.faults import FaultPlan
from nim_emulator.record import Recorder
from nim_emulator.settings import Settings

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from . import own_api
from .conftest import MODEL

HELLO = "hello"
CHAT = "/v1/chat/completions"


@contextlib.asynccontextmanager
async def adapter_for(nim: EmulatorServer, **keys: object) -> AsyncIterator[NVIDIAInferenceAdapter]:
    made = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, max_retries=0, **keys))
    yield made
    await made.shutdown()


async def test_headers_are_sent_with_each_request(nim: EmulatorServer) -> None:
    async with adapter_for(nim, network={"headers": {"X-Team": "search"}}) as adapter:
        await adapter.list_models()
        await own_api.chat(adapter, MODEL, HELLO)
    assert {request.headers.get("x-team") for request in nim.requests} == {"search"}


async def test_a_nim_with_a_certificate_of_one_s_own_authority() -> None:
    with EmulatorServer(tls="good") as nim:
        async with adapter_for(nim) as adapter:
            with pytest.raises(errors.NIMConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await own_api.chat(adapter, MODEL, HELLO)
        async with adapter_for(
            nim, network={"tls": {"verify": nim.certificates.ca_file}}
        ) as adapter:
            await own_api.chat(adapter, MODEL, HELLO)


@pytest.mark.parametrize("kind", ["wrong-host", "expired", "unknown-ca"])
async def test_a_certificate_that_proves_nothing_is_refused(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with EmulatorServer(tls=kind) as nim:
        trusted = {"tls": {"verify": nim.certificates.ca_file}}
        async with adapter_for(nim, network=trusted) as adapter:
            with pytest.raises(errors.NIMConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await own_api.chat(adapter, MODEL, HELLO)
            assert nim.requests == []
        async with adapter_for(nim, network={"tls": {"verify": False}}) as adapter:
            await adapter.initialize()
            assert "TLS certificate verification is off" in caplog.text
            await own_api.chat(adapter, MODEL, HELLO)


async def test_a_nim_that_wants_a_certificate() -> None:
    with EmulatorServer(tls="client-certificate") as nim:
        files = nim.certificates
        tls = {"verify": files.ca_file}
        async with adapter_for(nim, network={"tls": tls}) as adapter:
            with pytest.raises(errors.NIMConnectionError):
                await own_api.chat(adapter, MODEL, HELLO)
        tls |= {"client_cert": files.client_file, "client_key": files.client_file}
        async with adapter_for(nim, network={"tls": tls}) as adapter:
            await own_api.chat(adapter, MODEL, HELLO)


@contextlib.asynccontextmanager
async def http_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy for http:// addresses, and the request lines that it has seen."""
    seen: list[str] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            line, _, rest = head.partition(b"\r\n")
            seen.append(line.decode())
            method, address, version = line.split(b" ")
            _, _, host_and_path = address.partition(b"://")
            host, _, path = host_and_path.partition(b"/")
            name, port = host.decode().split(":")
            upstream, sender = await asyncio.open_connection(name, int(port))
            # One request for each connection: the next one would have to be read, too.
            rest = rest.replace(b"Connection: keep-alive", b"Connection: close")
            sender.write(b" ".join((method, b"/" + path, version)) + b"\r\n" + rest)

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                with contextlib.suppress(OSError):
                    while data := await source.read(65536):
                        sink.write(data)
                        await sink.drain()
                sink.close()

            await asyncio.gather(pump(reader, sender), pump(upstream, writer))
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"http://{host}:{port}", seen
    server.close()


async def test_a_proxy_is_gone_through_except_where_it_is_not(nim: EmulatorServer) -> None:
    async with http_proxy() as (address, seen):
        async with adapter_for(nim, network={"proxy": {"url": address}}) as adapter:
            stream = await own_api.chat(adapter, MODEL, HELLO, stream=True)
            assert await own_api.text_of_stream(stream)
        assert seen
        assert all(nim.url in line for line in seen)
        seen.clear()
        direct = {"proxy": {"url": address, "no_proxy": ["127.0.0.1"]}}
        async with adapter_for(nim, network=direct) as adapter:
            await own_api.chat(adapter, MODEL, HELLO)
        assert seen == []


async def test_the_proxy_of_the_environment_counts(
    nim: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_proxy() as (address, seen):
        monkeypatch.setenv("HTTP_PROXY", address)
        async with adapter_for(nim) as adapter:
            await own_api.chat(adapter, MODEL, HELLO)
        assert seen


@pytest.mark.parametrize("keys", [{"timeout": 0.3}, {"network": {"timeout": {"read": 0.3}}}])
async def test_a_nim_that_does_not_answer_in_time(
    nim: EmulatorServer, keys: dict[str, object]
) -> None:
    nim.script([{"path": CHAT, "body": {}, "delay_s": 20}])
    async with adapter_for(nim, **keys) as adapter:
        await adapter.endpoint.finding()
        started = time.monotonic()
        with pytest.raises(errors.NIMTimeoutError):
            await own_api.chat(adapter, MODEL, HELLO)
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(("seconds", "connections"), [(5, 1), (0, 3)])
async def test_how_long_a_connection_is_kept(
    nim: EmulatorServer, seconds: float, connections: int
) -> None:
    network = {"limits": {"keepalive_expiry": seconds}}
    async with adapter_for(nim, dialect="nim2-vllm", network=network) as adapter:
        for _ in range(3):
            await own_api.chat(adapter, MODEL, HELLO)
    assert len({request.client_port for request in nim.requests}) == connections


async def test_a_request_beyond_the_limit_of_connections_waits(nim: EmulatorServer) -> None:
    async with adapter_for(nim, network={"limits": {"max_connections": 1}}) as adapter:
        await asyncio.gather(*(own_api.chat(adapter, MODEL, HELLO) for _ in range(5)))
    asked = [request for request in nim.requests if request.path == CHAT]
    assert len(asked) == 5
    assert len({request.client_port for request in nim.requests}) == 1


@contextlib.asynccontextmanager
async def http2_nim(folder: Path) -> AsyncIterator[tuple[str, Path, list[str]]]:
    """An emulated NIM over TLS that offers HTTP/2: its address, its authority, what was spoken."""
    spoken: list[str] = []
    application = create_app(Settings(dialect="nim2"), Recorder(), FaultPlan())

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            spoken.append(scope["http_version"])
        await application(scope, receive, send)

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{free_port()}"]
    config.certfile = config.keyfile = str(folder / "server.pem")
    stopping = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(noting, config, shutdown_trigger=stopping.wait)
    )
    yield f"https://{config.bind[0]}", folder / "ca.pem", spoken
    stopping.set()
    await serving


@pytest.mark.parametrize("wanted", [True, False])
async def test_http2_is_spoken_where_both_sides_can(tmp_path: Path, wanted: bool) -> None:
    async with http2_nim(tmp_path) as (address, authority, spoken):
        network = {"http2": wanted, "tls": {"verify": authority}}
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=address, network=network))
        stream = await own_api.chat(adapter, MODEL, HELLO, stream=True)
        assert await own_api.text_of_stream(stream)
        assert set(spoken) == {"2" if wanted else "1.1"}
        await adapter.shutdown()
