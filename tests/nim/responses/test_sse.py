import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.errors import ServerError
from llama_stack_provider_nvidia.nim.responses import sse
from llama_stack_provider_nvidia.nim.responses.sse import SSEDecoder

from ...strategies import cuts

REPORT = b'{"error":{"message":"a"}}'
NO_REASON = b'{"error":{"message":"an error event without a reason"}}'


def decoded(*received: bytes) -> list[bytes]:
    decoder = SSEDecoder()
    events = [event for piece in received for event in decoder.feed(piece)]
    return events + decoder.close()


@pytest.mark.parametrize(
    ("received", "events"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="LF"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="CRLF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [b"a", b"b"], id="CR"),
        pytest.param(b"data: a\r\n\ndata: b\r\r\n", [b"a", b"b"], id="mixed"),
        pytest.param(b"data:a\n\ndata:  b\n\n", [b"a", b" b"], id="at most one space goes"),
        pytest.param(b": hi\n\n:\n\ndata: a\n: in between\n\n", [b"a"], id="comments"),
        pytest.param(b"event: message\nid: 1\nretry: 5\ndata: a\n\n", [b"a"], id="other fields"),
        pytest.param(b"event: x\ndata: a\n\ndata: b\n\n", [b"b"], id="side event"),
        pytest.param(b"data: a\nevent: x\n\ndata: b\n\n", [b"b"], id="named at the end"),
        pytest.param(b"event: x\ndata: [DONE]\n\n", [b"[DONE]"], id="named end"),
        pytest.param(b"event: error\ndata: a\n\n", [REPORT], id="error in data"),
        pytest.param(b": a\nevent: error\n\n", [REPORT], id="error in a comment before"),
        pytest.param(b"event: error\n: a", [REPORT], id="error in a comment at the end"),
        pytest.param(b"event: error\ndata: " + REPORT + b"\n\n", [REPORT], id="error report"),
        pytest.param(b'event: error\ndata: {"message": "a"}\n\n', [REPORT], id="flat error report"),
        pytest.param(b"event: error\n\n", [NO_REASON], id="error without a reason"),
        pytest.param(b"event: annotation\n\ndata: a\n\n", [b"a"], id="event without data"),
        pytest.param(b"data:\n\ndata: \n\ndata: a\n\n", [b"a"], id="empty data"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="data on several lines"),
        pytest.param(b"data: a\ndata:\ndata: b\n\n", [b"a\n\nb"], id="empty line inside"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [b"a"], id="BOM"),
        pytest.param(b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"], id="BOM inside stays"),
        pytest.param(b"\n\n\r\n\rdata: a\n\n\n\n", [b"a"], id="more blank lines"),
        pytest.param(b"data: a\n\ndata: b", [b"a", b"b"], id="no line end at the end"),
        pytest.param(b"data: a\n\ndata: b\n", [b"a", b"b"], id="no blank line at the end"),
        pytest.param(b"data: a\n\ndata: b\r", [b"a", b"b"], id="CR at the end"),
        pytest.param(b"database: a\n\ndat: b\n\ndata\n\n", [], id="other names"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\xef\xbb", [], id="half a BOM"),
    ],
)
def test_events_are_found_whole_and_cut_anywhere(received, events):
    assert decoded(received) == events
    assert decoded(*(bytes([byte]) for byte in received)) == events
    for cut in range(len(received)):
        assert decoded(received[:cut], b"", received[cut:]) == events


def test_event_is_given_as_soon_as_it_is_complete():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\ndata: b") == [b"a"]
    assert decoder.feed(b"\r\n\r\n") == [b"b"]
    assert decoder.close() == []


def test_crlf_cut_in_two_ends_one_line_only():
    assert decoded(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [b"a\nb"]


def test_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    decoder = SSEDecoder()
    decoder.feed(b"data: " + b"x" * 900)
    with pytest.raises(ServerError, match="an event of more than 1000 bytes"):
        decoder.feed(b"x" * 900)


def test_long_line_below_the_limit_is_read():
    long = b"x" * 3_000_000
    assert decoded(b"data: " + long[:1_000_000], long[1_000_000:] + b"\n\n") == [long]


@st.composite
def ended(draw: st.DrawFn, wire: bytes) -> bytes:
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    # An LF after a CR would be the second half of one line end.
    return wire + (b"\r\n" if wire.endswith(b"\r") and end == b"\n" else end)


fields = st.sampled_from([b": comment", b"event: message", b"id: 7", b":"])
# Lines that follow the first character are free; a first space would be the separator.
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)


@given(st.data(), st.lists(st.lists(lines.map(str.encode), min_size=1, max_size=3), max_size=5))
def test_any_events_with_any_line_ends_cut_anywhere_decode_to_the_same_events(data, meant):
    wire = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for event in meant:
        for line in event:
            if data.draw(st.booleans()):
                wire = data.draw(ended(wire + data.draw(fields)))
            wire = data.draw(ended(wire + b"data: " + line))
        wire = data.draw(ended(wire))
    if data.draw(st.booleans()):
        wire = data.draw(ended(wire + data.draw(fields)))
    expected = [joined for event in meant if (joined := b"\n".join(event))]
    assert decoded(*data.draw(cuts(wire, most=12))) == expected


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_decode_the_same_however_they_are_cut(pieces):
    assert decoded(*pieces) == decoded(b"".join(pieces))


def test_events_of_a_captured_stream_come_out_one_by_one():
    body = b"".join(b'data: {"n": %d}\n\n' % n for n in range(50)) + b"data: [DONE]\n\n"
    for size in (1, 7, 64, len(body)):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert len(decoded(*pieces)) == 51
