import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests.images import DownloadLimits
from llama_stack_provider_nvidia.nim.retrieval.content import Content, resolve_images

BYTES = b"\x89PNG\r\n\x1a\n0000"
PNG = f"data:image/png;base64,{base64.b64encode(BYTES).decode()}"
FETCH = {"download": True, "limits": DownloadLimits(allow_private=True)}
PUBLIC = {"download": True}
NONE = {"download": False}
NAME = "items[{}]".format


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/cat.png"
        self.send_response(200 if found else 404)
        self.send_header("content-type", "image/png")
        self.end_headers()
        self.wfile.write(BYTES)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Pictures) as made:
        thread = Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("settings", [NONE, FETCH])
async def test_texts_and_data_stay_as_they_are(settings):
    contents = [Content("a"), Content(image=PNG), Content("b", PNG), Content()]
    assert await resolve_images(contents, NAME, **settings) == contents
    texts = [Content("a")]
    assert await resolve_images(texts, NAME, **settings) is texts


async def test_images_by_address_become_data_where_the_user_has_it_so(server):
    contents = [Content("a"), Content("b", f"{server}/cat.png")]
    assert await resolve_images(contents, NAME, **FETCH) == [
        Content("a"),
        Content("b", PNG),
    ]


@pytest.mark.parametrize(
    ("image", "settings", "problem"),
    [
        ("{server}/cat.png", NONE, "download_images"),
        ("{server}/cat.png", PUBLIC, "public internet"),
        ("{server}/dog.png", FETCH, "404"),
        ("data:text/plain;base64,AAAA", FETCH, "image/<type>"),
        ("data:image/png;base64,A", NONE, "base64"),
        ("", NONE, "address or a data URL"),
    ],
)
async def test_image_that_cannot_be_had_is_named_as_the_caller_names_it(
    server, image, settings, problem
):
    contents = [Content("a"), Content(image=image.format(server=server))]
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        await resolve_images(contents, NAME, **settings)
    assert caught.value.field == "items[1]"
    assert "messages" not in str(caught.value)
