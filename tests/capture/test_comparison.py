"""Comparing captures: a NIM beside itself, one that was changed, and the real engines."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.capture import session
from llama_stack_provider_nvidia.capture.answers import MODEL, Answer
from llama_stack_provider_nvidia.capture.calls import Call, llm_calls
from llama_stack_provider_nvidia.capture.capture_file import CaptureWriter
from llama_stack_provider_nvidia.capture.capture_reader import CaptureError, read_capture
from llama_stack_provider_nvidia.capture.comparison import (
    Row,
    compare_with_emulator,
    compare_with_table,
    subject_of,
)
from llama_stack_provider_nvidia.capture.differences import differences
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.doctor.context import check_contexts
from llama_stack_provider_nvidia.nim.dialect import Dialect
from nim_emulator import DIALECTS, EmulatorServer
from scripts.wire.calls import calls
from scripts.wire.fixtures import fixture_of, load

from ..emulator.test_real_engines import CONTEXT, told
from .test_capture import CHAT, KINDS, SAY, captured

AUTO = "tools, auto"
LLM = "meta/llama-3.1-8b-instruct"
CHATS = [Call("whole", CHAT, SAY), Call("streamed", CHAT, {**SAY, "stream": True})]


def compared(path: Path, dialect: Dialect | None = None) -> list[Row]:
    """The differences of a capture from the emulator of its dialect, and from the field table."""
    capture = read_capture(path)
    subject = subject_of(capture, dialect)
    models = [entry.id for entry in subject.models] or None
    context = {"context": subject.context_length} if subject.context_length else {}
    with EmulatorServer(subject.emulated, models, **context) as nim:
        rows = compare_with_emulator(capture, subject, nim.url)
    return rows + compare_with_table(capture, subject.dialect)


async def captured_as(nim: EmulatorServer, dialect: Dialect, path: Path) -> None:
    """Capture a NIM that is taken for one of another dialect."""
    config = NVIDIAConfig.model_validate({"url": nim.url, "dialect": dialect, "api_key": "none"})
    planned = [call for call in llm_calls(LLM, dialect, None) if call.feature]
    await session.capture(check_contexts(config)[0], planned, path, seconds=20)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_nim_does_not_differ_from_itself(dialect: str, tmp_path: Path) -> None:
    with EmulatorServer(dialect, KINDS.get(dialect, KINDS["models"]), context=3000) as nim:
        result = await captured(nim, tmp_path / "nim.capture")
    capture = read_capture(tmp_path / "nim.capture")
    assert len(capture.calls) == result.calls
    assert subject_of(capture).emulated == dialect
    assert compared(tmp_path / "nim.capture") == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("missing:field=usage", [("whole", "usage", "{", None)]),
        (
            "wrong-type:field=choices.*.message.content,value=5",
            [("whole", "content", "str", "numb")],
        ),
        (
            "status:status=503",
            [("whole", "status", "200", "503"), ("streamed", "status", "200", "503")],
        ),
        ("no-done:times=20", [("streamed", "events", "[", "[")]),
        ("cut:after=2,how=close", [("streamed", "response", "complete", "RemoteProtocolError")]),
        ("gzip:kind=undeclared", [("whole", "body", "{", ""), ("streamed", "events", "", "")]),
        ("finish:kind=aborted", [("whole", "finish_reason", "", "abort")]),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
async def test_what_was_changed_is_a_row(fault: str, expected: Any, tmp_path: Path) -> None:
    with EmulatorServer() as nim:
        nim.faults([f"{fault},match=Say hello.,times=20".replace("times=20,", "")])
        await captured(nim, tmp_path / "nim.capture", CHATS)
    rows = compared(tmp_path / "nim.capture")
    found = {(row.call, row.field.rpartition(".")[2]): row for row in rows}
    assert {row.beside for row in rows} == {"emulator"}
    for call, name, wanted, seen in expected:
        row = found[call, name]
        assert (row.expected or "").startswith(wanted), row
        assert row.seen is None if seen is None else (row.seen or "").startswith(seen), row


async def test_a_length_or_a_choice_of_the_model_is_no_difference(tmp_path: Path) -> None:
    by_name = {call.name: call for call in llm_calls(LLM, Dialect.NIM2_VLLM, None)}
    long = {**SAY, "max_tokens": 400, "messages": [{"role": "user", "content": "Say more."}]}
    with EmulatorServer() as nim:
        await captured(nim, tmp_path / "nim.capture", [Call("long", CHAT, long), by_name[AUTO]])
    lines = (tmp_path / "nim.capture").read_text().splitlines()
    changed = []
    for line in map(json.loads, lines):
        if line.get("call") == "long":
            body = json.loads(line["body"])
            assert body["choices"][0]["finish_reason"] == "stop"
            body["choices"][0]["finish_reason"] = "length"
            line["body"] = json.dumps(body)
        if line.get("call") == AUTO:
            body = json.loads(line["body"])
            assert body["choices"][0]["message"]["tool_calls"]
            body["choices"][0]["message"] = {"role": "assistant", "content": "No."}
            line["body"] = json.dumps(body)
        changed.append(json.dumps(line))
    (tmp_path / "nim.capture").write_text("\n".join(changed))
    assert compared(tmp_path / "nim.capture") == []


LOGPROBS = {"content": [{"token": "x", "logprob": 0}]}


@pytest.mark.parametrize(
    ("choice", "counts"),
    [
        ({"delta": {}, "logprobs": LOGPROBS, "finish_reason": None}, False),
        ({"delta": {"reasoning_content": None}, "logprobs": LOGPROBS}, False),
        ({"delta": {"content": ""}, "logprobs": LOGPROBS}, False),
        ({"delta": {"content": "a"}, "logprobs": LOGPROBS}, True),
        ({"delta": {}, "logprobs": LOGPROBS, "finish_reason": "stop"}, True),
        ({"delta": {"role": "assistant", "content": ""}, "logprobs": LOGPROBS}, True),
        ({"delta": {}, "logprobs": None, "finish_reason": None}, True),
    ],
)
def test_a_part_of_a_character_is_no_event(choice: dict[str, Any], counts: bool) -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    more = {"choices": [{"index": 0, **choice}]}
    wanted, seen = (Answer(200, "text/event-stream", [*chunks, end]) for chunks in ([], [more]))
    assert bool(differences(wanted, seen)) == counts


@pytest.mark.parametrize(
    ("emulated", "dialect", "field", "seen"),
    [
        # Taken for Dynamo, a NIM 2.x ignores its fields.
        ("nim2", Dialect.DYNAMO, "guided_regex", "without effect: "),
        ("dynamo", Dialect.NIM1, "nvext.guided_json", "refused, 400: "),
        ("nim2", Dialect.HOSTED, "structured_outputs.regex", "obeyed: "),
        ("nim1", Dialect.NIM2_VLLM, "structured_outputs.choice", "refused, 400: "),
    ],
)
async def test_what_contradicts_the_field_table_is_a_row(
    emulated: str, dialect: Dialect, field: str, seen: str, tmp_path: Path
) -> None:
    with EmulatorServer(emulated, [LLM]) as nim:
        await captured_as(nim, dialect, tmp_path / "nim.capture")
    rows = compare_with_table(read_capture(tmp_path / "nim.capture"), dialect)
    found = {(row.call.partition(",")[0], row.field): row.seen or "" for row in rows}
    for route in ("chat", "completion"):
        assert found[route, field].startswith(seen)


# --- the real engines -------------------------------------------------------

DECIDED_BY_THE_MODEL = {"tools auto", "tools auto stream"}
"""Rows of the reference that are none here: a real model may call a tool or not."""


def as_capture(engine: str, dialect: Dialect, path: Path) -> None:
    """Write the recorded answers of an engine as a capture."""
    fixture = load(fixture_of(engine))
    bodies = {call.name: call for call in calls()}

    def named(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(MODEL, LLM))

    with CaptureWriter(path) as writer:
        writer.header()
        for name, answer in fixture.answers.items():
            call = bodies[name]
            line = {
                "call": name,
                "path": named(call.path),
                "method": "POST" if call.body is not None else "GET",
            }
            if call.body is not None:
                line["request"] = named(call.body)
            body = named(answer.body)
            if answer.media == "text/event-stream":
                texts = [one if isinstance(one, str) else json.dumps(one) for one in body]
                line["chunks"] = [[0, f"data: {text}\n\n"] for text in texts]
            else:
                line["body"] = body if isinstance(body, str) else json.dumps(body)
            line |= {"status": answer.status, "headers": {"content-type": answer.media}}
            assert writer.call(line)
        writer.end("complete", dialect=dialect)


@pytest.mark.parametrize(
    ("engine", "dialect", "emulated"),
    [
        ("vllm", Dialect.NIM2_VLLM, "vllm"),
        ("sglang", Dialect.NIM2_SGLANG, "nim2-sglang"),
        ("dynamo", Dialect.DYNAMO, "dynamo"),
    ],
)
def test_a_real_engine_differs_as_the_reference_says(
    engine: str, dialect: Dialect, emulated: str, tmp_path: Path
) -> None:
    as_capture(engine, dialect, tmp_path / "nim.capture")
    capture = read_capture(tmp_path / "nim.capture")
    assert subject_of(capture).emulated == emulated
    assert subject_of(capture).context_length == CONTEXT
    seen = {row.call for row in compared(tmp_path / "nim.capture")}
    known = {name for name, _ in told(emulated)}
    assert seen <= known
    assert known - seen <= DECIDED_BY_THE_MODEL | LENGTHS


LENGTHS = {
    "completion of two prompts",
    "completion of token ids",
    "chat n 2 stream",
}
"""Rows of the reference that are none here where a text is longer or shorter and that is all."""


# --- files of others --------------------------------------------------------


def parsed(data: bytes, folder: Path) -> int | str:
    path = folder / "given.capture"
    path.write_bytes(data)
    try:
        return len(read_capture(path).calls)
    except CaptureError as error:
        return str(error)


HEAD = b'{"format": "nim-capture", "version": 1}\n'
LINE = {"call": "a", "method": "GET", "path": "/a", "status": 200, "body": "b"}


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"", "line 1: not the header"),
        (b"[]", "line 1: not the header"),
        (b'{"format": "nim-capture", "version": 9}\n', "line 1: it has version 9"),
        (b"\x1f\x8bnothing", "it cannot be decompressed"),
        (HEAD, 0),
        (HEAD + b"{oops\n{}\n", "line 2: "),
        (HEAD + json.dumps(LINE).encode(), 1),
        (HEAD + json.dumps(LINE).encode() + b'\n{"call": "b', 1),
        (HEAD + b"[" * 100_000 + b"\n\n", "line 2: "),
        *(
            (HEAD + json.dumps({**LINE, **wrong}).encode() + b"\n\n", "line 2: ")
            for wrong in (
                {"path": "http://other/a"},
                {"path": "//other/a"},
                {"path": "a"},
                {"method": "DELETE"},
                {"status": "ok"},
                {"body": 5},
                {"body": {"base64": "!"}},
                {"chunks": [["a", "b"]]},
                {"headers": {"a": 5}},
            )
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_by_its_line(
    data: bytes, result: int | str, tmp_path: Path
) -> None:
    found = parsed(data, tmp_path)
    assert found == result or (isinstance(result, str) and str(found).startswith(result))


@given(data=st.binary(max_size=300), is_headed=st.booleans())
def test_any_file_is_read_or_refused(
    data: bytes, is_headed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert parsed((HEAD if is_headed else b"") + data, folder) is not None
