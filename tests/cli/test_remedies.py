"""The findings of doctor about servers that are no NIM, or that fail in ways of their own."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from nim_emulator import EmulatorServer

from .conftest import LLM, Run
from .test_doctor import BASIC, PROBES, report, statuses, written

PAGE = b"<!doctype html><html><head><title>Welcome &amp; hello\n there</title></head></html>"
Respond = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def web_server(respond: Respond, server: str = "nginx/1.25.3") -> Iterator[str]:
    """A server that responds to every request alike; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            respond(self)

        do_POST = do_GET  # noqa: N815 - named by the standard library

        def version_string(self) -> str:
            return server

        def log_message(self, *_: Any) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()


def sends(status: int, body: bytes = PAGE, kind: str = "text/html") -> Respond:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return respond


def only_failure(checks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The one check that failed; those that need it were not tried because of it."""
    (failed,) = (check for check in checks.values() if check["status"] == "failed")
    later = list(checks)[list(checks).index(failed["check"]) + 1 :]
    assert {checks[name]["detail"] for name in later} == {
        f"not tried, because {failed['check']} failed"
    }
    return failed


def test_a_web_site_is_no_nim(run: Run) -> None:
    with web_server(sends(200)) as url:
        failed = only_failure(report(run("doctor", url, "--probe", "--json"), 1))
    assert failed["check"] == "liveness"
    assert 'HTTP 200 from nginx/1.25.3, page "Welcome & hello there"' in failed["detail"]
    assert "set url to the address of the NIM" in failed["remedy"]


def test_a_gateway_s_own_words_are_shown(run: Run) -> None:
    with web_server(sends(502, PAGE.replace(b"Welcome", b"Bad Gateway"))) as url:
        failed = only_failure(report(run("doctor", url, "--json"), 1))
    assert "HTTP 502 from nginx/1.25.3" in failed["detail"]
    assert 'page "Bad Gateway' in failed["detail"]
    assert "gateway" in failed["remedy"]


def test_a_page_that_refuses_is_quoted(run: Run) -> None:
    with web_server(sends(403), "cloudflare") as url:
        failed = only_failure(report(run("doctor", url, "--json"), 1))
    assert failed["check"] == "key"
    assert 'HTTP 403 from cloudflare, page "Welcome & hello there"' in failed["detail"]


@pytest.mark.parametrize("path", ["/api", "/v2/v1"])
def test_a_wrong_path_is_told_from_a_model_that_loads(
    path: str, nim: EmulatorServer, run: Run
) -> None:
    failed = only_failure(report(run("doctor", f"{nim.url}{path}", "--probe", "--json"), 1))
    assert failed["check"] == "liveness"
    assert "no inference API at this path" in failed["detail"]
    assert failed["remedy"] == f"Set url to {nim.url}/v1: there is an inference API there."


def test_a_server_without_an_api_has_no_right_path(run: Run) -> None:
    with web_server(sends(404, b"{}", "application/json")) as url:
        failed = only_failure(report(run("doctor", url, "--json"), 1))
    assert "no inference API at this path" in failed["detail"]
    assert "Correct the path of url" in failed["remedy"]


def test_a_proxy_that_wants_a_password(run: Run) -> None:
    with web_server(sends(407, b"", "text/plain")) as proxy:
        result = run("doctor", "http://nim.example", "--json", http_proxy=proxy, no_proxy="")
        failed = only_failure(report(result, 1))
    assert "HTTP 407" in failed["detail"]
    assert "user name and password" in failed["remedy"]


@pytest.mark.parametrize("tls", [None, "good"])
def test_a_slow_server_is_not_a_matter_of_tls(tls: Any, run: Run) -> None:
    with EmulatorServer(tls=tls, log_level="critical") as nim:
        trusted = {"SSL_CERT_FILE": nim.certificates.ca_file} if nim.certificates else {}
        nim.faults([{"fault": "no-answer", "path": "*", "times": None}])
        result = run("doctor", nim.url, "--json", "--timeout", "6", **trusted)
    checks = report(result, 1)
    assert checks["tls"]["status"] == ("ok" if tls else "skipped")
    failed = only_failure(checks)
    assert failed["check"] == "liveness"
    assert failed["detail"].endswith("does not answer within 3 s")
    assert "hangs or is overloaded" in failed["remedy"]


def test_a_port_that_accepts_and_speaks_no_tls(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        failed = only_failure(report(run("doctor", url, "--json", "--timeout", "3"), 1))
    assert failed["check"] == "tls"
    assert "does not answer in TLS" in failed["remedy"]


def test_a_stalled_model_is_one_cause(run: Run) -> None:
    with EmulatorServer(models=[LLM]) as nim:
        nim.faults([{"fault": "no-answer", "path": "/v1/chat/completions", "times": None}])
        checks = report(run("doctor", nim.url, "--probe", "--json", "--timeout", "6"), 1)
    assert checks["chat"]["status"] == "failed"
    assert "The model hangs or is overloaded" in checks["chat"]["remedy"]
    for name in PROBES[1:6]:
        assert checks[name]["detail"] == "not tried, because chat got no response in time"
        assert checks[name]["remedy"] is None


def test_a_burst_has_no_rate(nim: EmulatorServer, run: Run) -> None:
    text = "data: " + json.dumps(
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": LLM,
            "choices": [{"index": 0, "delta": {"content": "1 "}, "finish_reason": None}],
        }
    )
    last = text.replace('"finish_reason": null', '"finish_reason": "stop"')
    stream = "\n\n".join([*[text] * 400, last, "data: [DONE]", ""]).encode()

    def respond(request: BaseHTTPRequestHandler) -> None:
        if request.path.endswith("/chat/completions"):
            sends(200, stream, "text/event-stream")(request)
        elif request.path.endswith("/models"):
            listed = {"object": "list", "data": [{"id": LLM, "object": "model", "owned_by": "me"}]}
            sends(200, json.dumps(listed).encode(), "application/json")(request)
        else:
            sends(404, b"{}", "application/json")(request)

    with web_server(respond) as url:
        result = run("doctor", url, "--probe", "--json")
        checks = json.loads(result.stdout)["endpoints"][0]["checks"]
        said = run("chat", url, "--once", "count", "--stats")
    (stream_check,) = (check for check in checks if check["check"] == "stream")
    assert stream_check["data"]["tokens_per_second"] is None
    assert stream_check["detail"].endswith("401 tokens, all at once")
    assert "401 tokens, the first after" in said.stderr


def test_a_scheme_left_out_is_http(nim: EmulatorServer, run: Run) -> None:
    place = nim.url.removeprefix("http://")
    assert list(statuses(report(run("doctor", place, "--json")))) == BASIC
    assert run("models", place).exit_code == 0


@pytest.mark.parametrize("target", ["ftp://nim", "missing.yaml", "broken.yaml", "http://u:p4@nim"])
def test_json_is_a_document_whatever_is_wrong(target: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [1\nb: 2\n")
    result = run("doctor", target, "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert (document["ok"], document["endpoints"]) == (False, [])
    assert document["error"] in result.stderr
    assert "p4" not in result.output
    listed = run("models", target, "--json")
    assert (listed.exit_code, json.loads(listed.stdout)["error"]) == (2, document["error"])


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("lama_stack_provider_nvidia", "Correct the spelling: `module: llama_stack_provider_nv"),
        ("llama-stack-provider-nvidia", "Correct the spelling"),
        ("another_package", "unless the other package is meant"),
    ],
)
def test_a_mistyped_module(
    module: str, remedy: str, nim: EmulatorServer, run: Run, tmp_path: Path
) -> None:
    path = written(tmp_path, {"url": nim.url}, module=module)
    checks = report(run("doctor", path, "--json"), 1)
    assert checks["provider"]["detail"] == f"`module: {module}` is not this package"
    assert remedy in checks["provider"]["remedy"]


def test_a_provider_that_is_there_twice(nim: EmulatorServer, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, {"url": "http://gone.invalid"}, {"url": nim.url}, provider_id="nim")
    result = run("doctor", path, "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["endpoints"]
    failed = [check for check in first["checks"] if check["status"] == "failed"]
    assert [check["check"] for check in failed] == ["provider"]
    assert "the server ignores this one" in failed[0]["detail"]
    assert "Remove the entry" in failed[0]["remedy"]
    assert {check["detail"] for check in first["checks"][1:]} == {
        "not tried, because the server ignores this entry"
    }
    assert second["ok"]


def test_a_mistyped_key_is_named_with_the_right_one(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, {"url": "http://nim:8000", "tiemout": 3})
    checks = report(run("doctor", path, "--json"), 1)
    detail = checks["configuration"]["detail"]
    assert detail == "config.tiemout: not permitted here; did you mean `timeout`?"
    assert yaml.safe_load(Path(path).read_text())
    assert checks["models"]["detail"] == "not tried, because configuration failed"
