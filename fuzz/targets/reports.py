"""Fuzz target: error bodies and headers."""

from fuzz.source import Source
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors import body as error_bodies
from llama_stack_provider_nvidia.nim.transport.retry import retry_after

_KEYS = ("error", "detail", "message", "title", "code", "status", "loc", "msg", "type", "object")
_WORDS = ("Model not found", "DEGRADED function", "<html>", '{"error": "x"}', "nvapi-" + "k" * 20)
SEEDS = [
    b'\x00{"error": {"message": "no such model", "code": 404}}',
    b'\x00{"detail": [{"loc": ["body", "n"], "msg": "wrong"}]}',
    b"\x00<!DOCTYPE html><html>",
    b"\x00" + b"[" * 2000,
    bytes(range(1, 90)),
]


def check(data: bytes) -> None:
    """Make errors of a body."""
    source = Source(data)
    structured = source.flag()
    body = source.json(_KEYS, _WORDS) if structured else source.rest()
    text = error_bodies.message_in(body)
    assert len(text) <= 500
    assert text.isprintable()
    assert "nvapi-" + "k" * 20 not in text
    for status in (400, 404, 429, 500, 503, 302):
        error = errors.from_status(status, body)
        assert len(str(error)) < 1000
    assert errors.from_report(body).status_code >= 400
    headers = {source.pick(("retry-after", "retry-after-ms")): source.text(("1", "1e9", "nan"))}
    wait = retry_after(headers, 0.0)
    assert wait is None or wait >= 0
    raw = data.decode("latin-1")
    assert (
        retry_after({"retry-after": raw}, 0.0) is None
        or retry_after({"retry-after": raw}, 0.0) >= 0
    )  # type: ignore[operator]
    found = error_bodies.request_id_of({"nvcf-reqid": raw})
    assert found is None or (found.isprintable() and len(found) <= 200)
