"""Captures of emulated NIMs, replayed, with the same result; and what a broken NIM leaves."""

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from llama_stack_provider_nvidia.capture import capture_file, session
from llama_stack_provider_nvidia.capture.calls import Call
from llama_stack_provider_nvidia.capture.field_values import EMBEDDING_FIELD_VALUES, FIELD_VALUES
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.doctor.context import CheckContext, check_contexts
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.requests.field_table import EMBEDDING_FIELD_TABLE, FIELD_TABLE
from nim_emulator import DIALECTS, EmulatorServer, Fault, read_capture

KEY = "nvapi-Abcd1234efgh5678ijkl"
CHAT = "/v1/chat/completions"
SAY = {
    "model": "meta/llama-3.1-8b-instruct",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 8,
}
KINDS = {
    "models": ["meta/llama-3.1-8b-instruct", "nvidia/nv-embedqa-e5-v5"],
    "retriever": None,
    "retriever1": None,
}


def context_of(url: str, key: str | None = KEY) -> CheckContext:
    return check_contexts(NVIDIAConfig.model_validate({"url": url, "api_key": key}))[0]


async def planned(url: str) -> list[Call]:
    context = context_of(url)
    try:
        return await session.plan(context)
    finally:
        await context.endpoint.aclose()


async def captured(
    nim: EmulatorServer, path: Path, calls: list[Call] | None = None, **options: Any
) -> session.CaptureResult:
    if calls is None:
        calls = await planned(nim.url)
        nim.clear()
    return await session.capture(context_of(nim.url), calls, path, **{"seconds": 20, **options})


async def seen(url: str) -> tuple[Any, ...]:
    """The dialect that the provider takes a NIM for."""
    context = context_of(url)
    try:
        finding = await context.endpoint.finding()
        models = await context.endpoint.catalogue.models()
        return finding.dialect, finding.release, finding.reason, models
    finally:
        await context.endpoint.aclose()


def test_each_row_of_the_field_tables_has_values() -> None:
    assert list(FIELD_VALUES) == [feature.field for feature in FIELD_TABLE]
    assert list(EMBEDDING_FIELD_VALUES) == [feature.field for feature in EMBEDDING_FIELD_TABLE]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_replayed_nim_is_taken_for_what_it_is(dialect: str, tmp_path: Path) -> None:
    models = KINDS.get(dialect, KINDS["models"])
    with EmulatorServer(dialect, models, context=3000) as nim:
        before = await seen(nim.url)
        calls = (await planned(nim.url))[:20]
        nim.clear()
        result = await captured(nim, tmp_path / "nim.capture", calls)
        assert result.end == "complete"
        assert result.calls == len(nim.requests)
    assert before[0] == result.dialect
    with EmulatorServer(replay=tmp_path / "nim.capture", replay_timing=False) as again:
        *found, listed = await seen(again.url)
        assert (*found, listed) == before
    # The same calls once more: what comes back is the same, byte for byte.
    with EmulatorServer(replay=tmp_path / "nim.capture", replay_timing=False) as again:
        await captured(again, tmp_path / "again.capture", calls)
    one, other = (read_capture(tmp_path / name) for name in ("nim.capture", "again.capture"))
    for first, second in zip(one.calls, other.calls, strict=True):
        assert (first.call, first.status, first.content, first.headers) == (
            second.call,
            second.status,
            second.content,
            second.headers,
        )


async def test_calls_are_tried_on_each_route_that_the_nim_serves(tmp_path: Path) -> None:
    models = [*(KINDS["models"] or ()), "nvidia/llama-nemotron-rerank-1b-v2"]
    with EmulatorServer("nim2", models, context=3000) as nim:
        await captured(nim, tmp_path / "nim.capture")
    calls = read_capture(tmp_path / "nim.capture").calls
    tried = {(call.path, call.feature, call.value) for call in calls if call.feature}
    for path in (CHAT, "/v1/completions"):
        for field in FIELD_VALUES:
            assert {(path, field, "good"), (path, field, "bad")} <= tried
    for field in EMBEDDING_FIELD_VALUES:
        assert ("/v1/embeddings", field, "bad") in tried
    assert "/v1/ranking" in {call.path for call in calls}
    by_name = {call.call: call for call in calls}
    assert by_name["too long"].status == 400
    assert by_name["unknown model"].status == 404
    assert by_name["chat, streamed"].chunks
    assert by_name["tools, required"].status == 200
    obeyed = by_name["chat, regex constraint, good"].content
    assert FIELD_VALUES["structured_outputs.regex"].is_obeyed
    text = json.loads(obeyed)["choices"][0]["message"]["content"]
    assert FIELD_VALUES["structured_outputs.regex"].is_obeyed(text)


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 401, "body": {"error": f"the key {KEY} is not valid"}},
        {"headers": {"x-quoted": f"Bearer {KEY}"}, "body": {"a": 1}},
        {"headers": {"set-cookie": f"k={KEY}"}, "body": {"a": 1}},
        {"body": f"<html>{KEY}</html>"},
        {"body": {"text": "".join(f"\\u{ord(one):04x}" for one in KEY)}},
        {"sse": [{"raw": f"data: {KEY[:13]}"}, {"raw": f"{KEY[13:]}\n\n"}], "chunk_delay_s": 0.05},
        {"sse": [{"choices": [{"delta": {"content": one}}]} for one in KEY]},
        {"status": 500, "sse": [f'{{"error": {{"message": "{KEY}"}}}}']},
    ],
    ids=["error", "header", "cookie", "page", "escaped", "two chunks", "letters", "event"],
)
async def test_no_key_that_the_nim_quotes_is_in_the_file(
    reply: dict[str, Any], tmp_path: Path
) -> None:
    with EmulatorServer() as nim:
        nim.script([{"path": "/quote", **reply}])
        result = await captured(nim, tmp_path / "nim.capture", [Call("quote", "/quote", SAY)])
        assert result.end == "complete"
        host = nim.url.removeprefix("http://")
    text = (tmp_path / "nim.capture").read_text()
    quote = read_capture(tmp_path / "nim.capture").calls[-1]
    assert (quote.path, quote.status) == ("/quote", reply.get("status", 200))
    for n in range(6, len(KEY) - 7):
        assert KEY[n : n + 8] not in text
    assert re.sub(r"\W", "", KEY[6:]) not in re.sub(r"[^A-Za-z0-9]", "", text)
    assert host not in text


async def test_names_that_the_user_gives_are_not_in_the_file(tmp_path: Path) -> None:
    with EmulatorServer(models=["acme/secret-8b"]) as nim:
        calls = (await planned(nim.url))[:12]
        await captured(nim, tmp_path / "nim.capture", calls, names=["acme"])
    assert "acme" not in (tmp_path / "nim.capture").read_text()
    with EmulatorServer(replay=tmp_path / "nim.capture", replay_timing=False) as again:
        models = (await seen(again.url))[3]
    assert [model.id for model in models] == ["xxxx/secret-8b"]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("stall:after=1,seconds=20", "timeout"),
        ("cut:after=1,how=close", "Error"),
        ("cut:after=2,how=reset", "Error"),
        ("status:status=503", None),
    ],
)
async def test_a_nim_that_fails_is_recorded_as_it_fails(
    fault: str, problem: str | None, tmp_path: Path
) -> None:
    calls = [Call("whole", CHAT, SAY), Call("streamed", CHAT, {**SAY, "stream": True})]
    with EmulatorServer() as nim:
        context = context_of(nim.url)
        writer_path = tmp_path / "nim.capture"
        nim.faults([Fault.model_validate(f"{fault},match=Say hello.,times=20")])
        result = await session.capture(context, calls, writer_path, seconds=1.5)
    assert result.end == "complete"
    streamed = read_capture(writer_path).calls[-1]
    assert streamed.call == "streamed"
    if problem is None:
        assert streamed.status == 503
        return
    assert problem in (streamed.error or "")
    with EmulatorServer(replay=writer_path) as again:
        repeated = await session.capture(
            context_of(again.url), calls, tmp_path / "again.capture", seconds=5
        )
        assert repeated.end == "complete"
    last = read_capture(tmp_path / "again.capture").calls[-1]
    assert last.error
    assert last.content == streamed.content


async def test_a_nim_that_dies_ends_the_capture(tmp_path: Path) -> None:
    with EmulatorServer() as nim:
        calls = await planned(nim.url)

        def die(text: str) -> None:
            if text == "chat":
                nim.stop()

        result = await session.capture(
            context_of(nim.url), calls, tmp_path / "nim.capture", seconds=10, progress=die
        )
    assert result.end == "no response"
    found = read_capture(tmp_path / "nim.capture")
    assert found.end
    assert found.end["end"] == "no response"
    assert [call.status for call in found.calls[-3:]] == [None, None, None]
    assert "ConnectError" in (found.calls[-1].error or "")


async def test_bodies_and_file_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = "x" * (capture_file.MAX_BODY_BYTES + 10)
    calls = [Call(f"call {n}", "/large", {"n": n}) for n in range(9)]
    with EmulatorServer() as nim:
        nim.script([{"path": "/large", "body": large} for _ in calls])
        result = await captured(nim, tmp_path / "nim.capture", calls)
    assert result.end == "full"
    assert result.size < capture_file.MAX_FILE_BYTES + 1000
    found = read_capture(tmp_path / "nim.capture")
    assert found.end
    cut = [call for call in found.calls if call.path == "/large"]
    assert len(cut) == 3
    assert cut[0].cut == len(large)
    assert len(cut[0].content) == capture_file.MAX_BODY_BYTES


async def test_a_capture_that_is_interrupted_is_usable(tmp_path: Path) -> None:
    with EmulatorServer(tokens_per_second=20) as nim:
        calls = await planned(nim.url)
        reached = asyncio.Event()

        def progress(text: str) -> None:
            if text == "chat, streamed":
                reached.set()

        task = asyncio.create_task(
            session.capture(
                context_of(nim.url), calls, tmp_path / "n.gz", seconds=20, progress=progress
            )
        )
        await reached.wait()
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    found = read_capture(tmp_path / "n.gz")
    assert found.end
    assert found.end["end"] == "interrupted"
    assert found.calls[-1].call == "chat, streamed"
    assert found.calls[-1].error


async def test_a_file_whose_last_line_is_broken_is_usable(tmp_path: Path) -> None:
    with EmulatorServer() as nim:
        await captured(nim, tmp_path / "nim.capture.gz", (await planned(nim.url))[:20])
    data = (tmp_path / "nim.capture.gz").read_bytes()
    whole = read_capture(tmp_path / "nim.capture.gz")
    (tmp_path / "part.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "part").write_bytes(gzip.decompress(data)[:-200])
    for name in ("part.gz", "part"):
        part = read_capture(tmp_path / name)
        assert part.end is None
        assert part.calls == whole.calls[: len(part.calls)]
        assert part.calls


@pytest.mark.parametrize("dialect", list(Dialect))
def test_calls_can_be_planned_for_each_dialect(dialect: Dialect) -> None:
    kinds: list[Any] = [
        (session.Kind.LLM, "a/b", None),
        (session.Kind.EMBEDDING, "c/d", 512),
        (session.Kind.RERANK, "e/f", None),
    ]
    calls = session.planned_calls(dialect, kinds)
    assert len({call.name for call in calls}) == len(calls)
    assert 130 < len(calls) < 170
