"""Requests after a client's first one, which are copies of the SDK's, over real sockets."""

import asyncio
import contextlib
import datetime
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.json_types import JSONObject
from llama_stack_provider_nvidia.nim.transport.client_pool import ClientPool, TransportSettings
from llama_stack_provider_nvidia.nim.transport.network import NetworkConfig
from llama_stack_provider_nvidia.nim.transport.retry import RetryPolicy
from llama_stack_provider_nvidia.nim.transport.sdk_request import SDKRequests
from llama_stack_provider_nvidia.nim.transport.sender import Sender
from nim_emulator import EmulatorServer

PATH = "/chat/completions"
BODY: JSONObject = {
    "model": "meta/llama-3.1-8b-instruct",
    "messages": [{"role": "user", "content": "é 1"}],
}


@pytest.fixture
def nim() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@contextlib.asynccontextmanager
async def sender_to(
    url: str, headers: list[dict[str, str]] | None = None, **settings: Any
) -> AsyncIterator[Sender]:
    """A sender; of ``headers`` each request gets the next ones."""
    rest = list(headers or ())

    def observe(record: Any, _: object) -> None:
        record.headers.update(rest.pop(0) if rest else {})

    made = TransportSettings(f"{url}/v1", retry=RetryPolicy(retries=0), **settings)
    sender = Sender(made, key="nvapi-server", is_hosted=False, observe=observe)
    yield sender
    await sender.aclose()


async def post(sender: Sender, body: JSONObject = BODY, **more: Any) -> httpx.Response:
    return await sender.post(PATH, body, **{"key": None, "stream": False, **more})


def seen(key: str) -> str:
    """A key as the emulated NIM records it."""
    return f"Bearer sha256:{hashlib.sha256(key.encode()).hexdigest()[:12]}"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-1-2-01"}])
async def test_a_copy_is_what_the_sdk_sends(nim: EmulatorServer, headers: dict[str, str]) -> None:
    network = NetworkConfig(headers={"X-Team": "search"})
    async with sender_to(nim.url, [headers] * 3, network=network) as sender:
        for _ in range(3):
            assert (await post(sender)).status_code == 200
    first, *others = nim.requests
    assert len(others) == 2
    assert first.headers["x-team"] == "search"
    assert first.headers["authorization"] == seen("nvapi-server")
    assert ("traceparent" in first.headers) == bool(headers)
    for other in others:
        assert dict(other.headers) == dict(first.headers)
        assert other.body == first.body == BODY


async def test_a_nim_without_a_key_gets_none(nim: EmulatorServer) -> None:
    settings = TransportSettings(f"{nim.url}/v1")
    sender = Sender(settings, key=None, is_hosted=False)
    for _ in range(3):
        await post(sender)
    await sender.aclose()
    assert ["authorization" in request.headers for request in nim.requests] == [False] * 3


async def test_headers_of_one_request_are_not_those_of_the_next(nim: EmulatorServer) -> None:
    headers = [{"X-Number": "1"}, {"X-Number": "2"}, {}, {"user-agent": "mine"}, {}]
    async with sender_to(nim.url, headers) as sender:
        for _ in headers:
            await post(sender)
    sent = [request.headers for request in nim.requests]
    assert [one.get("x-number") for one in sent] == ["1", "2", None, None, None]
    assert [one["user-agent"] == "mine" for one in sent] == [False, False, False, True, False]


async def test_a_header_in_the_place_of_a_fixed_one_is_that_request_s(nim: EmulatorServer) -> None:
    async with sender_to(nim.url, [{"user-agent": "mine"}]) as sender:
        for _ in range(3):
            await post(sender)
    first, *others = (request.headers["user-agent"] for request in nim.requests)
    assert first == "mine"
    assert all(other.startswith("llama-stack: ") for other in others)


async def test_each_key_and_each_path_has_its_own(nim: EmulatorServer) -> None:
    prompt: JSONObject = {"model": BODY["model"], "prompt": "1"}
    async with sender_to(nim.url) as sender:
        for _ in range(2):
            for key in ("nvapi-1", "nvapi-2", None):
                await post(sender, key=key)
                await sender.post("/completions", prompt, key=key, stream=False)
    sent = [(request.path, request.headers["authorization"]) for request in nim.requests]
    keys = ("nvapi-1", "nvapi-2", "nvapi-server")
    assert (
        sent == [(f"/v1{path}", seen(key)) for key in keys for path in (PATH, "/completions")] * 2
    )


async def test_streams_and_retries_go_the_same_way(nim: EmulatorServer) -> None:
    async with sender_to(nim.url) as sender:
        for stream in (False, True, False, True):
            response = await post(sender, {**BODY, "stream": stream}, stream=stream)
            await response.aread()
            await response.aclose()
            assert (b"data: [DONE]" in response.content) == stream
    first, *others = nim.requests
    for other in others:
        ours = {k: v for k, v in other.headers.items() if k != "content-length"}
        assert ours == {k: v for k, v in first.headers.items() if k != "content-length"}


async def test_what_json_lacks_is_refused_or_left_to_the_sdk(nim: EmulatorServer) -> None:
    async with sender_to(nim.url) as sender:
        for _ in range(2):  # the first request, and one after it
            for value in (float("nan"), "\ud83d"):
                with pytest.raises(errors.InvalidRequestError, match=r"JSON|surrogate"):
                    await post(sender, {**BODY, "user": value})
            with pytest.raises(TypeError):
                await post(sender, {**BODY, "user": object()})
            day = datetime.datetime(2026, 11, 28)
            with contextlib.suppress(TypeError):  # older SDKs know no dates
                await post(sender, {**BODY, "user": day})
                assert nim.requests[-1].body["user"] == day.isoformat()
            await post(sender)


async def test_a_client_that_was_changed_makes_its_request_anew() -> None:
    pool, requests = ClientPool(TransportSettings("http://127.0.0.1:9/v1")), SDKRequests()
    with pool.lease("nvapi-1") as lease:
        client = lease.client
        for change in ("api_key", "base_url", "timeout"):
            made = httpx.Request("POST", f"http://127.0.0.1:9/v1{PATH}", json=BODY)
            requests.learn(client, PATH, made, {})
            assert requests.copy(client, PATH, BODY, {}) is not None
            assert requests.copy(client, "/completions", BODY, {}) is None
            setattr(client, change, {"timeout": 7.0}.get(change, "http://127.0.0.1:8/v1"))
            assert requests.copy(client, PATH, BODY, {}) is None
    await pool.aclose()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("HTTP/1.1 307 Temporary Redirect", errors.NIMError),
        ("HTTP/1.1 429 Too Many Requests", errors.RateLimitError),
        ("HTTP/1.1 503 Service Unavailable", errors.ServerError),
        ("", errors.NIMConnectionError),
        ("silence", errors.NIMTimeoutError),
    ],
)
async def test_a_copy_fails_as_the_first_request_does(
    answer: str, kind: type[errors.NIMError]
) -> None:
    good = "HTTP/1.1 200 OK"
    answers = [answer, good, answer]
    handlers = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        if (said := answers.pop(0)) == "silence":
            await reader.read()
        elif said:
            more = "location: /elsewhere\r\nconnection: close\r\ncontent-length: 4"
            writer.write(f"{said}\r\n{more}\r\n\r\nbody".encode())
        writer.close()

    failures = []
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, sender_to(f"http://127.0.0.1:{port}", timeout=2) as sender:
        for expected in (answer, good, answer):
            if expected == good:
                assert (await post(sender)).content == b"body"
                continue
            with pytest.raises(kind) as raised:
                await post(sender)
            failures.append(raised.value)
    await asyncio.gather(*(handler for handler in handlers if handler is not None))
    first, copy = failures
    assert (str(copy), copy.code) == (str(first), first.code)
    assert type(copy) is type(first)


def test_the_sdk_s_client_has_what_is_used_of_it() -> None:
    """The HTTP client below it has no public name."""
    http = httpx.AsyncClient()
    client = openai.AsyncOpenAI(api_key="1", base_url="http://127.0.0.1:9", http_client=http)  # type: ignore[arg-type, unused-ignore]
    assert client._client is http  # type: ignore[comparison-overlap, unused-ignore]
