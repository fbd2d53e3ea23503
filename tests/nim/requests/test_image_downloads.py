"""Images that are fetched so that a NIM need not, and what must not be fetched."""

import asyncio
import contextlib
import copy
import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests import ssrf_guard
from llama_stack_provider_nvidia.nim.requests.images import DownloadLimits, inline_images
from llama_stack_provider_nvidia.nim.requests.ssrf_guard import (
    PublicTransport,
    is_public,
    open_client,
)

from .image_parts import PNG, PNG_URL, SIGNATURES, image, refusal, user


def response(body=PNG, status="200 OK", **headers):
    given = {"content_type": "image/png", "content_length": len(body), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value != ""]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def redirect(to):
    return response(b"", "302 Found", location=to)


class Server:
    """Answers each path with what is set for it, and notes what was asked."""

    def __init__(self):
        self.answers = {"/a.png": response()}
        self.requests = []
        self.tasks = set()
        self.open = self.most = 0
        self.delay = 0.0

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            self.open += 1
            self.most = max(self.most, self.open)
            await asyncio.sleep(self.delay)
            self.open -= 1
            answer = self.answers.get(request.split()[1], response(b"", "404 Not Found"))
            for piece in [answer] if isinstance(answer, bytes) else answer:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def server():
    it = Server()
    listening = await asyncio.start_server(it.serve, "127.0.0.1")
    it.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield it
    listening.close()
    for task in it.tasks:
        task.cancel()
    await asyncio.gather(*it.tasks, return_exceptions=True)


async def inline(*urls, **options):
    given = {"image_bytes": 1000, "request_bytes": 10**6, "seconds": 5, "allow_private": True}
    given |= {name: options.pop(name) for name in given if name in options}
    messages = [user(*map(image, urls))]
    (message,) = await inline_images(messages, limits=DownloadLimits(**given), **options)
    return [part["image_url"]["url"] for part in message["content"][1:]]


class TestDownload:
    async def test_addresses_become_data_and_the_rest_stays(self, server):
        address = f"{server.url}/a.png"
        messages = [
            {"role": "system", "content": "text"},
            user(image(address), image(PNG_URL)),
            {"role": "user", "content": [{"type": "image_url", "image_url": address}]},
        ]
        before = copy.deepcopy(messages)
        after = await inline_images(
            messages, limits=DownloadLimits(image_bytes=len(PNG), seconds=5, allow_private=True)
        )
        assert after == [
            messages[0],
            user(image(PNG_URL), image(PNG_URL)),
            {"role": "user", "content": [{"type": "image_url", "image_url": PNG_URL}]},
        ]
        assert messages == before
        assert len(server.requests) == 1  # the same address twice

    async def test_nothing_to_fetch(self):
        messages = [user(image(PNG_URL)), {"role": "user", "content": "text"}]
        assert await inline_images(messages, limits=DownloadLimits(1, 1, 1)) == messages

    @pytest.mark.parametrize("kind", SIGNATURES)
    async def test_the_type_is_that_of_the_bytes(self, server, kind):
        server.answers["/x"] = response(SIGNATURES[kind])
        (url,) = await inline(f"{server.url}/x")
        assert url.startswith(f"data:{kind};base64,")

    async def test_no_credentials_and_no_environment_are_used(self, server, monkeypatch, tmp_path):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        server.answers["/x"] = response(b"", "302 Found", location="/a.png", set_cookie="a=b")
        assert await inline(f"{server.url}/x") == [PNG_URL]
        sent = "".join(server.requests).lower()
        assert "authorization" not in sent
        assert "cookie" not in sent
        assert "accept-encoding: identity" in sent

    async def test_a_chunked_answer(self, server):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PNG), PNG)
        server.answers["/x"] = response(body, content_length="", transfer_encoding="chunked")
        assert await inline(f"{server.url}/x") == [PNG_URL]

    @pytest.mark.parametrize("hops", [1, 3])
    async def test_redirects_are_followed(self, server, hops):
        for hop in range(hops):
            server.answers[f"/{hop}"] = redirect(f"/{hop + 1}")
        server.answers[f"/{hops}"] = response()
        assert await inline(f"{server.url}/0") == [PNG_URL]

    async def test_four_at_a_time(self, server):
        server.delay = 0.05
        server.answers |= {f"/{n}": response() for n in range(10)}
        assert await inline(*(f"{server.url}/{n}" for n in range(10))) == [PNG_URL] * 10
        assert server.most == 4


def endless(head):
    yield head
    while True:
        yield PNG * 100


class TestFailures:
    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (response(b"", "404 Not Found"), "answered 404"),
            (response(b"", "304 Not Modified"), "answered 304"),
            (response(PNG, "206 Partial Content"), "answered 206"),
            (response(PNG, content_type="text/html"), "says it is text/html"),
            (response(PNG, content_type=""), "of no type"),
            (response(b"<svg/>", content_type="image/svg+xml"), "is no PNG"),
            (response(b""), "is no PNG"),
            (response(PNG, content_encoding="gzip"), "compressed"),
            (response(bytes(1001)), "larger than 1,000 bytes"),
            (response(PNG, content_length=10**12), "larger than 1,000 bytes"),
            (response(PNG, content_length=100), "cannot be fetched"),
            (response(PNG, content_length="x"), "cannot be fetched"),
            (b"nonsense\r\n\r\n", "cannot be fetched"),
            (b"", "cannot be fetched"),
            (redirect("/x"), "redirects more than 3 times"),
            (redirect("file:///etc/passwd"), "not by file"),
            (redirect("ftp://127.0.0.1/a"), "not by ftp"),
            (redirect("http://u:p@127.0.0.1/a"), "name and password"),
            (redirect("http://127.0.0.1:port/a"), "cannot be"),
            (redirect("http://127.0.0.1:99999/a"), "no port 99999"),
        ],
    )
    async def test_what_is_no_image_is_refused_by_its_place(self, server, answer, problem):
        server.answers["/x"] = answer
        with pytest.raises(InvalidRequestError, match=problem) as error:
            await inline(PNG_URL, f"{server.url}/x")
        assert error.value.field == "messages[0].content[2].image_url"

    async def test_a_body_without_an_end_is_cut_off(self, server):
        server.answers["/x"] = endless(response(b"", content_length=""))
        with pytest.raises(InvalidRequestError, match="larger than"):
            await inline(f"{server.url}/x")

    async def test_the_time_limit_covers_all_downloads(self, server):
        server.delay = 0.2
        server.answers |= {f"/{n}": response() for n in range(9)}
        with pytest.raises(InvalidRequestError, match=r"within 0\.3 s") as error:
            await inline(*(f"{server.url}/{n}" for n in range(9)), seconds=0.3)
        assert error.value.field in [f"messages[0].content[{n}].image_url" for n in range(5, 10)]

    async def test_a_slow_body_runs_into_the_time_limit(self, server):
        server.answers["/x"] = endless(response(b"", content_length=""))
        with pytest.raises(InvalidRequestError, match=r"within 0\.1 s"):
            await inline(f"{server.url}/x", seconds=0.1, image_bytes=10**12)

    async def test_a_failure_ends_the_other_downloads(self, server):
        server.answers["/slow"] = endless(response(b"", content_length=""))
        started = asyncio.get_running_loop().time()
        with pytest.raises(InvalidRequestError, match="answered 404"):
            await inline(f"{server.url}/none", f"{server.url}/slow", image_bytes=10**12)
        assert asyncio.get_running_loop().time() - started < 3

    async def test_nobody_listens(self):
        with pytest.raises(InvalidRequestError, match="cannot be fetched"):
            await inline("http://127.0.0.1:9/a.png")

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("file:///etc/passwd", "not by file"),
            ("ftp://example.com/a.png", "not by ftp"),
            ("gopher://example.com/a.png", "not by gopher"),
            ("javascript:alert(1)", "not by javascript"),
            ("/etc/passwd", "not by a path"),
            ("", "not by a path"),
            ("iVBORw0KGgo=", "not by a path"),
            ("http:///a.png", "no host"),
            ("http://u:p@example.com/a.png", "name and password"),
            ("http://u@example.com/a.png", "name and password"),
            ("http://example.com:port/a.png", "cannot be read"),
            ("http://example.com:65536/a.png", "no port 65536"),
            ("http://93.184.215.14:0/a.png", "no port 0"),
            ("http://exa\nmple.com/", "cannot be read"),
            (None, "must hold"),
        ],
    )
    async def test_addresses_that_are_not_asked(self, url, problem):
        with pytest.raises(InvalidRequestError, match=problem) as error:
            await inline(url)
        assert error.value.field == "messages[0].content[1].image_url"


class TestPrivateAddresses:
    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "[::1]", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
            *("0.0.0.0", "[::]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "100.64.0.1"),
            *("localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "0177.0.0.1"),
            *("127.1", "0x7f.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[2002:7f00:1::]"),
            *("[64:ff9b::10.0.0.1]", "[fd00::1]", "[fe80::1]", "[::127.0.0.1]"),
            "①②⑦.0.0.1",
        ],
    )
    async def test_are_refused(self, server, host):
        port = server.url.rpartition(":")[2]
        with pytest.raises(InvalidRequestError) as error:
            await inline(f"http://{host}:{port}/a.png", allow_private=False)
        assert server.requests == []
        field, message = refusal(error)
        assert field == "messages[0].content[1].image_url"
        # That httpx or a resolver does not know an odd way of writing an address is as good.
        assert re.search("not on the public internet|is not known|cannot be read", message)

    @pytest.mark.parametrize(
        ("address", "public"),
        [
            ("8.8.8.8", True),
            ("2001:4860:4860::8888", True),
            ("::ffff:8.8.8.8", True),
            ("64:ff9b::8.8.8.8", True),
            ("2002:808:808::", True),
            ("::ffff:10.0.0.1", False),
            ("64:ff9b::169.254.169.254", False),
            ("64:ff9b:1::8.8.8.8", False),
            ("2002:a00:1::", False),
            ("2001:0:808:808::", False),
            ("fe80::1%eth0", False),
            ("240.0.0.1", False),
            ("192.0.2.1", False),
            ("239.1.1.1", False),
            ("fec0::1", False),
        ],
    )
    def test_is_public(self, address, public):
        assert is_public(address) is public

    @given(st.ip_addresses(v=4))
    def test_an_address_within_another_is_what_it_is_itself(self, inner):
        bare = is_public(str(inner))
        assert is_public(f"::ffff:{inner}") is bare
        assert is_public(f"64:ff9b::{inner}") is bare
        packed = inner.packed
        assert is_public(f"2002:{packed[:2].hex()}:{packed[2:].hex()}::1") is bare

    async def test_a_redirect_to_one_is_refused(self, server, monkeypatch):
        # The server stands for the public internet.
        monkeypatch.setattr(ssrf_guard, "is_public", lambda it: it == "127.0.0.1" or is_public(it))
        port = server.url.rpartition(":")[2]

        async def resolver(host, _):
            return {"a.test": ["127.0.0.1"], "inside.test": ["10.0.0.1"]}.get(host, [host])

        server.answers["/name"] = redirect("http://inside.test/secret")
        server.answers["/number"] = redirect("http://10.0.0.1/secret")
        server.answers["/fine"] = redirect("/a.png")
        options = {"allow_private": False, "resolver": resolver}
        assert await inline(f"http://a.test:{port}/fine", **options) == [PNG_URL]
        assert f"host: a.test:{port}" in server.requests[0].lower()
        for path in ("name", "number"):
            with pytest.raises(InvalidRequestError, match="not on the public internet"):
                await inline(f"http://a.test:{port}/{path}", **options)

    async def test_one_private_address_among_others_is_enough(self):
        async def resolver(*_):
            return ["8.8.8.8", "10.0.0.1"]

        with pytest.raises(InvalidRequestError, match="not on the public internet"):
            await inline("https://a.test/a.png", allow_private=False, resolver=resolver)

    @pytest.mark.parametrize("failure", [OSError("none"), UnicodeError("label too long")])
    async def test_a_host_that_is_not_known(self, failure):
        async def resolver(*_):
            raise failure

        with pytest.raises(InvalidRequestError, match="its host is not known"):
            await inline("https://a.test/a.png", allow_private=False, resolver=resolver)

    async def test_a_host_without_addresses(self):
        async def resolver(*_):
            return []

        with pytest.raises(InvalidRequestError, match="its host has no address"):
            await inline("https://a.test/a.png", allow_private=False, resolver=resolver)


class TestTransport:
    """With what is below it replaced: a test cannot reach public addresses."""

    @staticmethod
    async def get(url, answers, *, down=()):
        """Return where each try went, for answers of the resolver in turn."""
        tries = []
        answers = iter(answers)

        async def resolver(host, port):
            tries.append((host, port))
            return next(answers)

        def answer(request):
            tries.append((request.url.host, request.headers["host"], *request.extensions.values()))
            if request.url.host in down:
                raise httpx.ConnectError("down")
            return httpx.Response(200)

        transport = PublicTransport(httpx.MockTransport(answer), resolver)
        async with transport:
            request = httpx.Request("GET", url)
            failed = None
            try:
                await transport.handle_async_request(request)
            except httpx.ConnectError as error:
                failed = str(error)
        return tries, failed

    async def test_the_checked_address_is_the_one_connected_to(self):
        # A second answer, which a rebinding name server would give, is never asked for.
        tries, failed = await self.get("https://a.test/x", [["8.8.8.8"], ["127.0.0.1"]])
        assert tries == [("a.test", 443), ("8.8.8.8", "a.test", "a.test")]
        assert failed is None

    async def test_plain_http_and_ports(self):
        tries, _ = await self.get("http://a.test/x", [["2001:4860:4860::8888"]])
        assert tries == [("a.test", 80), ("2001:4860:4860::8888", "a.test", "a.test")]
        tries, _ = await self.get("http://a.test:81/x", [["8.8.8.8"]])
        assert tries == [("a.test", 81), ("8.8.8.8", "a.test:81", "a.test")]

    async def test_international_names(self):
        tries, _ = await self.get("http://bücher.test/x", [["8.8.8.8"]])
        assert tries[1] == ("8.8.8.8", "xn--bcher-kva.test", "xn--bcher-kva.test")

    async def test_addresses_are_tried_in_turn(self):
        answers = [["8.8.8.8", "8.8.4.4"]]
        tries, failed = await self.get("http://a.test/x", answers, down=["8.8.8.8"])
        assert [address for address, *_ in tries] == ["a.test", "8.8.8.8", "8.8.4.4"]
        assert failed is None
        _, failed = await self.get("http://a.test/x", answers, down=["8.8.8.8", "8.8.4.4"])
        assert failed == "its host cannot be reached"

    async def test_connections_are_not_kept(self, server, monkeypatch):
        monkeypatch.setattr(ssrf_guard, "is_public", lambda _: True)
        async with open_client() as client:
            await client.get(f"{server.url}/a.png")
            await client.get(f"{server.url}/a.png")
        assert len(server.requests) == 2


@given(st.text(max_size=20) | st.text(max_size=20).map("http://{}".format))
def test_any_text_as_an_address_gives_an_error_of_ours(url):
    async def resolver(*_):
        return ["127.0.0.1"]

    with contextlib.suppress(InvalidRequestError):
        asyncio.run(inline(url, allow_private=False, resolver=resolver))


class TestBoundsInSum:
    async def test_all_images_of_a_request_have_a_bound_together(self, server):
        for n in range(4):
            server.answers[f"/{n}"] = response()
        urls = [f"{server.url}/{n}" for n in range(4)]
        assert len(await inline(*urls, request_bytes=4 * len(PNG))) == 4
        problem = f"larger than {4 * len(PNG) - 1:,} bytes in all: send fewer"
        with pytest.raises(InvalidRequestError, match=problem):
            await inline(*urls, request_bytes=4 * len(PNG) - 1)

    async def test_an_image_counts_as_often_as_it_occurs(self, server):
        urls = [f"{server.url}/a.png"] * 3
        assert len(await inline(*urls, request_bytes=3 * len(PNG))) == 3
        with pytest.raises(InvalidRequestError, match="in all"):
            await inline(*urls, request_bytes=3 * len(PNG) - 1)

    async def test_images_of_eight_requests_are_downloaded_at_a_time(self, server):
        server.delay = 0.1
        for n in range(12):
            server.answers[f"/{n}"] = response()
        done = await asyncio.gather(*(inline(f"{server.url}/{n}") for n in range(12)))
        assert len(done) == 12
        assert server.most <= 8

    async def test_who_waits_for_others_too_long_is_told_so(self, server):
        server.delay = 5
        for n in range(9):
            server.answers[f"/{n}"] = response()
        others = [asyncio.create_task(inline(f"{server.url}/{n}")) for n in range(8)]
        await asyncio.sleep(0.2)
        with pytest.raises(InvalidRequestError, match=r"within 0\.1 s"):
            await inline(f"{server.url}/8", seconds=0.1)
        assert len(server.requests) == 8
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
