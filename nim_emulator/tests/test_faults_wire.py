"""Faults of the connection, of timing and of framing, seen on the socket."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import Any

import httpx
import pytest

from nim_emulator import EmulatorServer
from raw_http import CHAT, STREAM, WORDS, Wire, ask, connect, read, request

# Nothing more comes: longer than a busy machine lets one wait for what does.
QUIET_S = 1.0


def wait_for(condition: Any, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def faulty(nim: EmulatorServer, fault: str, body: Any = None, quiet: float = 5) -> Wire:
    nim.faults([fault])
    wire = ask(nim, body or STREAM, quiet=quiet)
    assert nim.requests[-1].fault == fault.partition(":")[0]
    return wire


def test_without_a_fault(nim2: EmulatorServer) -> None:
    wire = ask(nim2, STREAM)
    assert (wire.end, wire.status, wire.text) == ("whole", 200, WORDS)
    assert nim2.requests[-1].fault is None


def test_refused_connections(nim2: EmulatorServer) -> None:
    with connect(nim2) as before:
        before.sendall(request(STREAM))
        assert read(before).text == WORDS
        start = time.monotonic()
        nim2.faults(["refuse:seconds=2"])
        with pytest.raises(ConnectionRefusedError):
            connect(nim2)
        # What is open stays open.
        before.sendall(request(STREAM))
        assert read(before).text == WORDS
        wait_for(lambda: reachable(nim2))
        assert time.monotonic() - start >= 1.9
    assert ask(nim2, STREAM).text == WORDS


def reachable(nim: EmulatorServer) -> bool:
    try:
        connect(nim).close()
    except ConnectionRefusedError:
        return False
    return True


def test_clearing_opens_the_port(nim2: EmulatorServer) -> None:
    nim2.faults(["refuse:seconds=60"])
    assert not reachable(nim2)
    nim2.faults(["refuse:seconds=90"])
    nim2.clear()
    assert ask(nim2, STREAM).text == WORDS


def test_refusing_over_http_answers_first(nim2: EmulatorServer) -> None:
    with httpx.Client(base_url=nim2.url, trust_env=False) as http:
        answer = http.post("/emulator/faults", json=["refuse:seconds=60"])
        assert answer.json() == {"waiting": 0}
        assert not reachable(nim2)
        assert http.delete("/emulator/faults").status_code == 204
        assert reachable(nim2)


def test_a_server_can_stop_while_its_port_is_closed() -> None:
    with EmulatorServer() as nim:
        nim.faults(["refuse:seconds=60"])
        port = int(nim.url.rsplit(":", 1)[1])
    with EmulatorServer(port=port) as nim:
        assert reachable(nim)


def test_restart(nim2: EmulatorServer) -> None:
    with connect(nim2) as other:
        other.sendall(
            request(
                {**STREAM, "messages": [{"role": "user", "content": "count to 99"}]},
                headers={"x-emulator-tokens-per-second": "5"},
            )
        )
        wait_for(lambda: nim2.requests and nim2.requests[-1].status == 200)
        wire = faulty(nim2, "restart:seconds=2")
        assert (wire.end, wire.data) == ("reset", b"")
        assert read(other).end == "reset"
    assert not reachable(nim2)
    wait_for(lambda: reachable(nim2))
    assert ask(nim2, STREAM).text == WORDS


@pytest.mark.parametrize("name", ["reset", "hang-up"])
def test_no_head(nim2: EmulatorServer, name: str) -> None:
    end = {"reset": "reset", "hang-up": "closed"}[name]
    wire = faulty(nim2, name)
    assert (wire.end, wire.data) == (end, b"")
    wire = faulty(nim2, f"{name}:when=in-headers")
    assert wire.end == end
    assert wire.data.startswith(b"HTTP/1.1 200 ")
    assert b"\r\n\r\n" not in wire.data
    assert not nim2.requests[-1].disconnected
    assert nim2.requests[-1].ended_at is not None


def test_no_answer(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "no-answer", quiet=QUIET_S)
    assert (wire.end, wire.data) == ("open", b"")
    wait_for(lambda: nim2.requests[-1].disconnected)
    start = time.monotonic()
    assert faulty(nim2, "no-answer:seconds=0.1").text == WORDS
    assert time.monotonic() - start >= 0.09


def test_slow_headers(nim2: EmulatorServer) -> None:
    nim2.faults(["slow-headers:pause_s=0.02"])
    pieces = []
    with connect(nim2) as peer:
        peer.sendall(request(STREAM))
        while b"\r\n\r\n" not in b"".join(pieces):
            pieces.append(peer.recv(1 << 16))
    assert len(pieces) > 20
    wire = faulty(nim2, "slow-headers:pause_s=0")
    assert (wire.end, wire.text) == ("whole", WORDS)
    assert wire.headers["connection"] == "close"


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_slow_body(nim2: EmulatorServer, body: Any) -> None:
    wire = faulty(nim2, "slow-body:size=50,pause_s=0.0005", body)
    assert wire.end == "whole"
    assert max(map(len, wire.chunks)) == 50
    assert len(wire.chunks) >= 10


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("text", b"no HTTP here"),
        ("tls", b"\x15\x03\x01"),
        ("bad-chunk-size", b"\r\n\r\nzz\r\n"),
        ("two-lengths", b"content-length: 2\r\ncontent-length: 3\r\n"),
    ],
)
def test_no_proper_http(nim2: EmulatorServer, what: str, data: bytes) -> None:
    assert data in faulty(nim2, f"not-http:what={what}").data
    nim2.faults([f"not-http:what={what}"])
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{nim2.url}/v1/chat/completions", json=CHAT, trust_env=False)


def test_stall(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "stall:after=3", quiet=QUIET_S)
    assert (wire.end, wire.body.count(b"data: ")) == ("open", 3)
    wait_for(lambda: nim2.requests[-1].disconnected)
    wire = faulty(nim2, "stall", CHAT, quiet=QUIET_S)
    assert (wire.end, wire.status) == ("open", 200)
    assert wire.body.startswith(b'{"id"')
    start = time.monotonic()
    assert faulty(nim2, "stall:after=0,seconds=0.1").text == WORDS
    assert time.monotonic() - start >= 0.09
    # The head is sent before the wait.
    assert faulty(nim2, "stall:after=0", quiet=QUIET_S).status == 200


@pytest.mark.parametrize(
    ("how", "end"), [("end", "whole"), ("close", "closed"), ("reset", "reset"), ("chunk", "closed")]
)
def test_cut(nim2: EmulatorServer, how: str, end: str) -> None:
    wire = faulty(nim2, f"cut:how={how},after=3")
    assert (wire.end, wire.body.count(b"data: ")) == (end, 3)
    assert b"DONE" not in wire.data
    # After the last complete chunk, half of another.
    half = wire.data.rpartition(wire.chunks[-1] + b"\r\n")[2]
    assert (b"data: {" in half) == (how == "chunk")
    assert (half == b"0\r\n\r\n") == (how == "end")
    wire = faulty(nim2, f"cut:how={how}", CHAT)
    assert wire.end == end
    assert wire.body.startswith(b'{"id"')
    with pytest.raises(json.JSONDecodeError):
        _ = wire.json
    if how in ("close", "reset"):
        assert int(wire.headers["content-length"]) >= 2 * len(wire.body) - 4
    assert nim2.requests[-1].ended_at is not None


def test_cut_before_everything(nim2: EmulatorServer) -> None:
    assert faulty(nim2, "cut:after=0").body == b""


def test_a_cut_scripted_reply(nim2: EmulatorServer) -> None:
    nim2.script([{"sse": ["one", "two", "three"]}])
    assert faulty(nim2, "cut:after=2").body == b"data: one\n\ndata: two\n\n"


def test_open_end(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "open-end", quiet=QUIET_S)
    assert wire.end == "open"
    assert wire.body.endswith(b"data: [DONE]\n\n")
    assert faulty(nim2, "open-end:seconds=0.01").end == "whole"


@pytest.mark.parametrize(
    ("what", "repeated"),
    [
        ("text", b'"content":"1"'),
        ("comments", b": wait\n\n"),
        ("empty", b'"choices":[]'),
        ("line", b" " * 64),
    ],
)
def test_endless(nim2: EmulatorServer, what: str, repeated: bytes) -> None:
    nim2.faults([f"endless:what={what},pause_s=0"])
    with connect(nim2) as peer:
        peer.sendall(request(STREAM))
        seen = b""
        while seen.count(repeated) < 500:
            seen += peer.recv(1 << 16)
    assert seen.count(b'"finish_reason":"stop"') == 0
    wait_for(lambda: nim2.requests[-1].disconnected)


@pytest.mark.parametrize(
    "body",
    ["nested", "nested-object", "flat", "reason", "string", "problem", "title", "detail-list"],
)
def test_error_event(nim2: EmulatorServer, body: str) -> None:
    wire = faulty(nim2, f"error-event:body={body},after=2,message=boom")
    *chunks, error = wire.events
    assert (wire.end, len(chunks)) == ("whole", 2)
    assert all("choices" in chunk for chunk in chunks)
    assert "choices" not in error
    assert ("boom" in str(error)) == (body != "title")
    assert b"DONE" not in wire.body


def test_error_event_with_its_name(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "error-event:named=true,done=true,after=0,status=400")
    assert wire.body.startswith(b'event: error\ndata: {"error":{')
    assert b'"type":"BadRequestError","param":null,"code":400' in wire.body
    assert wire.body.endswith(b"\n\ndata: [DONE]\n\n")


def test_error_event_in_a_comment(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "error-event:body=comment,after=0,message=boom,done=true")
    assert wire.body == b"event: error\n: boom\n\ndata: [DONE]\n\n"


def test_side_events(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "fields:kind=side-events")
    named = [event for event in wire.body.split(b"\n\n") if event.startswith(b"event: ")]
    assert {event.split(b"\n")[0] for event in named} == {
        b"event: tool_dispatch",
        b"event: ping",
    }


def plain(nim: EmulatorServer) -> bytes:
    """The stream without a fault; ids and times differ."""
    return ask(nim, STREAM).body


def test_split_and_merged(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "split")
    assert {len(chunk) for chunk in wire.chunks} == {1}
    assert wire.text == WORDS
    wire = faulty(nim2, "merged")
    assert (len(wire.chunks), wire.text) == (1, WORDS)


def test_line_ends(nim2: EmulatorServer) -> None:
    events = plain(nim2).count(b"\n\n")
    crlf = faulty(nim2, "line-ends").body
    assert crlf.count(b"\r\n\r\n") == events == crlf.count(b"\n") / 2
    cr = faulty(nim2, "line-ends:kind=cr").body
    assert (cr.count(b"\r\r"), cr.count(b"\n")) == (events, 0)
    mixed = faulty(nim2, "line-ends:kind=mixed").body
    assert mixed.count(b"\r\n\r\n") < events
    assert b"}\n\ndata" in mixed
    assert b"}\r\rdata" in mixed


def test_lines_beside_the_data(nim2: EmulatorServer) -> None:
    events = plain(nim2).count(b"data: ")
    body = faulty(nim2, "comments").body
    assert body.count(b": keep-alive\n\n:\n\n: data: {\ndata: ") == events
    body = faulty(nim2, "fields").body
    assert body.count(b"event: message\nid: ") == body.count(b"retry: 1000\n") == events
    body = faulty(nim2, "no-space").body
    assert (body.count(b"data:"), body.count(b"data: ")) == (events, 0)


def test_several_data_lines(nim2: EmulatorServer) -> None:
    body = faulty(nim2, "data-lines").body
    first = body.split(b"\n\n")[0].split(b"\n")
    assert len(first) > 10
    assert all(line.startswith(b"data: ") for line in first)
    joined = b"\n".join(line.removeprefix(b"data: ") for line in first)
    assert json.loads(joined)["object"] == "chat.completion.chunk"
    assert body.endswith(b"\n\ndata: [DONE]\n\n")


def test_odd_bytes(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "huge-line:size=300000")
    assert max(map(len, wire.body.split(b"\n"))) > 300_000
    assert wire.text == WORDS
    assert faulty(nim2, "byte-order-mark").body.startswith(b"\xef\xbb\xbfdata: {")
    body = faulty(nim2, "invalid-utf8").body
    assert body.count(b'"content":"\xff\xc3\x28') == 1
    with pytest.raises(UnicodeDecodeError):
        body.decode()


def test_ends(nim2: EmulatorServer) -> None:
    assert faulty(nim2, "no-last-blank-line").body.endswith(b"}\n\ndata: [DONE]")
    assert faulty(nim2, "no-last-blank-line:newline=true").body.endswith(b"\n\ndata: [DONE]\n")
    assert faulty(nim2, "no-last-blank-line:end=finish").body.endswith(b"}")
    assert faulty(nim2, "no-done").body.endswith(b"}\n\n")
    body = faulty(nim2, "after-done").body
    assert body.count(b"[DONE]") == 2
    assert body.count(b'"role"') == 2
    for what, end in {
        "garbage": b"data: {{{\n\n",
        "comment": b": bye\n\n",
        "done": b"data: [DONE]\n\n",
    }.items():
        assert faulty(nim2, f"after-done:what={what}").body.endswith(b"data: [DONE]\n\n" + end)


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_gzip(nim2: EmulatorServer, body: Any) -> None:
    wire = faulty(nim2, "gzip", body)
    assert wire.headers["content-encoding"] == "gzip"
    assert WORDS[:1].encode() in gzip.decompress(wire.body)
    # Each event can be read when it comes.
    assert zlib.decompressobj(wbits=31).decompress(wire.chunks[0]).endswith((b"\n\n", b"}"))
    wire = faulty(nim2, "gzip:kind=undeclared", body)
    assert "content-encoding" not in wire.headers
    assert gzip.decompress(wire.body)
    wire = faulty(nim2, "gzip:kind=untrue", body)
    assert wire.headers["content-encoding"] == "gzip"
    assert wire.body.startswith((b"data: ", b"{"))


def test_the_rate_of_a_stream_stays(nim2: EmulatorServer) -> None:
    nim2.faults(["comments"])
    start = time.monotonic()
    wire = ask(nim2, STREAM, headers={"x-emulator-tokens-per-second": "50"})
    assert wire.end == "whole"
    assert time.monotonic() - start > 0.08
