"""Errors of the SDK and the HTTP library, raised for real and translated."""

import asyncio
import gzip
import json

import httpx
import openai
import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors import translated
from llama_stack_provider_nvidia.nim.errors.body import request_id_of

KEY = "nvapi-0123456789secret"
URL = "http://nim.example/v1"


def client(handler, **options):
    transport = handler if isinstance(handler, httpx.AsyncBaseTransport) else None
    return openai.AsyncOpenAI(
        base_url=URL,
        api_key=KEY,
        max_retries=0,
        http_client=httpx.AsyncClient(transport=transport or httpx.MockTransport(handler)),
        **options,
    )


async def ask(handler, *, stream=False):
    async with client(handler) as sdk:
        with translated("m", URL):
            answer = await sdk.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=stream
            )
            return [chunk async for chunk in answer] if stream else answer


async def failure(handler, kind, **options):
    with pytest.raises(kind) as caught:
        await ask(handler, **options)
    error = caught.value
    assert (error.model, error.endpoint) == ("m", URL)
    assert KEY not in str(error)
    assert KEY not in repr(error)
    return error


def answering(status, **fields):
    return lambda request: httpx.Response(status, **fields)


def raising(error):
    def handler(request):
        raise error

    return handler


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequestError),
        (401, errors.AuthenticationError),
        (402, errors.PermissionDeniedError),
        (403, errors.PermissionDeniedError),
        (404, errors.ModelNotFoundError),
        (409, errors.InvalidRequestError),
        (410, errors.ModelNotFoundError),
        (413, errors.InvalidRequestError),
        (422, errors.InvalidRequestError),
        (429, errors.RateLimitError),
        (500, errors.ServerError),
        (503, errors.ServerError),
        (504, errors.NIMTimeoutError),
        (529, errors.ServerError),
    ],
)
async def test_status_of_an_answer_becomes_our_error(status, kind, stream):
    body = {"error": {"message": f"refused {KEY}", "code": status}}
    headers = {"nvcf-reqid": "r-7"}
    error = await failure(answering(status, json=body, headers=headers), kind, stream=stream)
    assert error.status_code == status
    assert "refused nvapi-***" in str(error)
    assert error.request_id == "r-7"
    assert isinstance(error.__context__, openai.APIStatusError)


async def test_html_page_of_a_gateway_is_named_as_such():
    error = await failure(answering(502, html="<html>bad gateway"), errors.ServerError)
    assert "an HTML page" in str(error)


@pytest.mark.parametrize(
    ("raised", "key"),
    [
        pytest.param(httpx.ReadTimeout("slow"), "`timeout`", id="read"),
        pytest.param(httpx.ConnectTimeout("slow"), "`connect_timeout`", id="connect"),
        pytest.param(httpx.PoolTimeout("slow"), "`network.limits`", id="pool"),
    ],
)
async def test_timeout_becomes_ours_and_names_its_setting(raised, key):
    error = await failure(raising(raised), errors.NIMTimeoutError)
    assert error.status_code == 504
    assert key in str(error)


@pytest.mark.parametrize(
    ("raised", "remedy"),
    [
        (httpx.ConnectError("connection refused"), "Check the address and that the NIM is up"),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER]"), "http:// or https://"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "`network.tls.verify`"),
        (httpx.UnsupportedProtocol("no protocol"), "Check the address"),
        (httpx.ReadError(""), "Send the request again"),
        (httpx.RemoteProtocolError("peer closed connection"), "Send the request again"),
        (httpx.DecodingError("bad gzip"), "Send the request again"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else None,
)
async def test_broken_connection_becomes_ours_and_says_what_to_do(raised, remedy):
    error = await failure(raising(raised), errors.NIMConnectionError)
    assert error.status_code == 502
    assert isinstance(error, ConnectionError)
    assert (str(raised) or type(raised).__name__) in str(error)
    assert remedy in str(error)


@pytest.mark.parametrize(
    "raised",
    [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut")],
    ids=lambda error: type(error).__name__,
)
async def test_connection_that_breaks_in_a_stream_becomes_ours(raised):
    class Cut(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b'data: {"choices": []}\n\n'
            raise raised

    kinds = (errors.NIMTimeoutError, errors.NIMConnectionError)
    await failure(answering(200, stream=Cut()), kinds, stream=True)


async def test_body_that_cannot_be_unpacked_becomes_ours():
    broken = gzip.compress(b"x" * 100)[:-20] + b"rubbish and more of it"
    headers = {"content-encoding": "gzip"}
    with pytest.raises(errors.NIMConnectionError), translated("m", URL):
        httpx.Response(200, headers=headers, content=broken)


@pytest.mark.parametrize(
    ("report", "kind", "status"),
    [
        ({"message": "boom", "code": 500}, errors.ServerError, 500),
        ({"message": "too long", "code": 400}, errors.InvalidRequestError, 400),
        ("text alone", errors.ServerError, 500),
    ],
)
async def test_error_event_in_a_stream_of_the_sdk_becomes_ours(report, kind, status):
    body = f"data: {json.dumps({'error': report})}\n\ndata: [DONE]\n\n"
    error = await failure(answering(200, text=body), kind, stream=True)
    assert error.status_code == status
    assert (report if isinstance(report, str) else report["message"]) in str(error)


async def test_event_that_is_not_json_is_the_servers_fault():
    await failure(answering(200, text="data: {cut\n\n"), errors.ServerError, stream=True)


async def test_socket_that_nobody_listens_on_becomes_a_connection_error():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{port}",
        api_key=KEY,
        max_retries=0,
        http_client=httpx.AsyncClient(),
    ) as sdk:
        with pytest.raises(errors.NIMConnectionError, match="No connection"), translated("m", URL):
            await sdk.models.list()


async def test_socket_that_hangs_up_becomes_a_connection_error():
    async def hang_up(reader, writer):
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, httpx.AsyncClient() as http:
        with pytest.raises(errors.NIMConnectionError), translated("m", URL):
            await http.get(f"http://127.0.0.1:{port}/")


def test_our_own_error_gains_what_it_does_not_know_yet():
    response = httpx.Response(200, headers={"x-request-id": "r-9"})
    with pytest.raises(errors.ServerError) as caught, translated("m", URL, response):
        raise errors.ServerError("boom", model="known")
    error = caught.value
    assert (error.model, error.endpoint, error.request_id) == ("known", URL, "r-9")


def test_our_own_error_goes_through_without_a_response():
    with pytest.raises(errors.InvalidRequestError) as caught, translated(None, URL):
        raise errors.invalid("f", "is wrong")
    assert str(caught.value) == f"f: is wrong (code invalid_field, endpoint {URL})"
    assert caught.value.field == "f"


@pytest.mark.parametrize(
    "raised",
    [ValueError("ours"), asyncio.CancelledError(), KeyError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_failure_of_the_nim_goes_through(raised):
    with pytest.raises(type(raised)) as caught, translated("m", URL):
        raise raised
    assert caught.value is raised


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"nvcf-reqid": "a", "x-request-id": "b"}, "a"),
        ({"x-dynamo-request-id": "c", "x-request-id": "b"}, "c"),
        ({"X-Request-Id": "b"}, "b"),
        ({"x-request-id": ""}, None),
        ({}, None),
    ],
)
def test_request_id_of_the_answering_server_is_found(headers, expected):
    assert request_id_of(httpx.Headers(headers)) == expected
