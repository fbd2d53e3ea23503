"""Which model the demo calls on a NIM it does not know."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from scripts import model_choice
from scripts.child_process import ServerError
from scripts.launch import HOSTED_URL, Nim, named_nim

DEFAULT = model_choice.DEFAULT_MODEL


class ModelList(BaseHTTPRequestHandler):
    """Answers like a NIM that serves one model; 401 without the key."""

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "Bearer nvapi-x"
        found = self.path == "/v1/models"
        body = json.dumps({"data": [{"id": "a/b-instruct"}]}).encode()
        self.send_response(401 if not allowed else 200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def nim_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ModelList) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("named", "served", "chosen"),
    [
        ("mine", [DEFAULT], "mine"),
        (None, ["a/b", DEFAULT], DEFAULT),
        (None, ["nvidia/embed", "a/b-instruct"], "a/b-instruct"),
        (None, ["a/b"], "a/b"),
    ],
)
def test_choice(named: str | None, served: list[str], chosen: str) -> None:
    assert model_choice.choose(named, served) == chosen


def test_a_nim_without_models_is_an_error() -> None:
    with pytest.raises(ServerError, match="NVIDIA_MODEL"):
        model_choice.choose(None, [])


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_nim_is_asked_with_the_key(nim_url: str, suffix: str) -> None:
    nim = Nim(nim_url + suffix, emulated=False)
    assert model_choice.served_models(nim, {"NVIDIA_API_KEY": "nvapi-x"}) == ["a/b-instruct"]


def test_a_refused_key_is_told(nim_url: str) -> None:
    with pytest.raises(ServerError, match="401"):
        model_choice.served_models(Nim(nim_url, emulated=False), {})


@pytest.mark.parametrize(
    ("offered", "name", "registered"),
    [
        (["a/b-instruct"], "a/b-instruct", []),
        (["nvidia/a/b-instruct"], "nvidia/a/b-instruct", []),
        (["other"], "a/b-instruct", ["a/b-instruct"]),
    ],
)
def test_a_model_the_server_does_not_offer_is_registered(
    nim_url: str, offered: list[str], name: str, registered: list[str]
) -> None:
    made: list[str] = []

    def register(*, model_id: str, **rest: object) -> None:
        made.append(model_id)

    models = SimpleNamespace(
        list=lambda: [SimpleNamespace(identifier=o) for o in offered], register=register
    )
    client: Any = SimpleNamespace(models=models)
    nim = Nim(nim_url, emulated=False)
    assert model_choice.offered_model(client, nim, {"NVIDIA_API_KEY": "nvapi-x"}) == name
    assert made == registered


@pytest.mark.parametrize(
    ("environ", "nim"),
    [
        ({}, None),
        ({"NVIDIA_API_KEY": "", "NVIDIA_BASE_URL": ""}, None),
        ({"NVIDIA_API_KEY": "nvapi-x"}, Nim(HOSTED_URL, emulated=False)),
        (
            {"NVIDIA_API_KEY": "k", "NVIDIA_BASE_URL": "http://nim:8000"},
            Nim("http://nim:8000", emulated=False),
        ),
    ],
)
def test_the_environment_names_the_nim(environ: dict[str, str], nim: Nim | None) -> None:
    assert named_nim(environ) == nim
