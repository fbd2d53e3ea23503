"""Secrets do not get into a capture, and their replacements are as long."""

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.capture.redactor import Redactor

KEY = "nvapi-Abcd1234efgh5678ijkl"
REDACTOR = Redactor(secrets=[KEY], hosts=["nim.acme.example", "vllm"], names=["Acme Corp", "Größe"])


def redacted(body: str, cuts: tuple[int, ...] = ()) -> str | None:
    data = body.encode()
    places = [0, *cuts, len(data)]
    chunks = [data[one:other] for one, other in itertools.pairwise(places)]
    made = REDACTOR.chunks(chunks)
    if made is None:
        return None
    assert [len(part) for part in made] == [len(part) for part in chunks]
    return b"".join(made).decode()


@pytest.mark.parametrize(
    ("text", "private"),
    [
        (f"bad key {KEY}", KEY[6:]),
        (f"BAD KEY {KEY.upper()}", KEY[6:].upper()),
        ("Bearer sk-other1234567", "other1234567"),
        ("at https://nim.acme.example:8000/v1", "acme"),
        ("no route to NIM.ACME.EXAMPLE", "ACME"),
        ("at http://vllm:8000/v1", "//vllm"),
        ("connect to vllm:8000", "vllm:8000"),
        ("http://user:word@other.example/x", "word@other"),
        ("by 10.20.30.40 port 80", "10.20.30.40"),
        ("model of Acme Corp", "Acme"),
        ("die Größe", "Größe"),
        ("/{}/jdoe/model".format("home"), "jdoe"),
        ('{"organization": "acme", "team_id":"blue"}', "acme"),
        ('{"team_id":"blue"}', "blue"),
        ("chatcmpl-d3a34eb8-f674-49a0-b6a9-3b6679a87084", "d3a34eb8"),
        ("a824469fabb548619be90d95e7874f25", "a824469f"),
    ],
)
def test_what_is_private_is_not_written(text: str, private: str) -> None:
    made = redacted(text)
    assert made is not None
    assert private in text
    assert private not in made
    assert len(REDACTOR.text(text)) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"owned_by":"vllm","release":"2.1.5","id":"meta/llama-3.1-8b-instruct"}',
        "see https://docs.nvidia.com/nim/x and https://errors.pydantic.dev/2.9/v/missing",
        '{"created":1795885080,"object":"chat.completion"}',
    ],
)
def test_what_is_public_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_key_that_is_split_over_two_chunks_is_not_written() -> None:
    text = f'data: {{"error": "{KEY}"}}\n\n'
    for cut in range(1, len(text)):
        made = redacted(text, (cut,))
        assert made is not None
        assert KEY[6:14] not in made


@pytest.mark.parametrize("escape", [lambda c: f"\\u{ord(c):04x}", lambda c: f"%{ord(c):02x}"])
def test_a_key_that_is_escaped_is_not_written(escape: object) -> None:
    text = json.dumps({"error": "KEY"}).replace("KEY", "".join(map(escape, KEY)))  # type: ignore[arg-type]
    made = redacted(text)
    assert made is not None
    assert escape(KEY[8]) + escape(KEY[9]) not in made  # type: ignore[operator]


@pytest.mark.parametrize("size", range(1, 8))
def test_a_body_that_quotes_the_key_in_small_parts_is_withheld(size: int) -> None:
    parts = [KEY[n : n + size] for n in range(0, len(KEY), size)]
    events = [f'data: {{"choices":[{{"delta":{{"content":"{part}"}}}}]}}\n\n' for part in parts]
    assert redacted("".join(events)) is None


def test_a_body_with_the_bytes_of_the_key_is_withheld() -> None:
    tokens = [{"token": "x", "bytes": list(KEY[n : n + 4].encode())} for n in range(0, 24, 4)]
    assert redacted(json.dumps({"content": tokens})) is None


def test_one_id_has_one_number() -> None:
    one, other = "d3a34eb8-f674-49a0-b6a9-3b6679a87084", "a824469fabb548619be90d95e7874f25"
    texts = [REDACTOR.text(text) for text in (f"x-{one}", f"y-{one}", other)]
    assert texts[0][2:] == texts[1][2:]
    assert texts[0][2:] != texts[2]


@pytest.mark.parametrize(
    "name", ["set-cookie", "x-api-key", "openai-organization", "nv-org-id", "x-auth-token"]
)
def test_headers_that_say_who_asks_are_not_written(name: str) -> None:
    assert REDACTOR.header(name, "whatever") == "********"


def test_basic_credentials_are_not_written() -> None:
    word = base64.b64encode(b"user:password").decode()
    assert word[:10] not in Redactor(secrets=[word]).text(f"sent Basic {word}")


@given(st.text(), st.integers(0, 1000), st.text(max_size=20))
def test_a_key_in_any_text_is_redacted(text: str, place: int, after: str) -> None:
    place = min(place, len(text))
    quoted = text[:place] + KEY + after
    made = redacted(quoted) if quoted.isascii() else REDACTOR.text(quoted)
    assert made is None or KEY[6:14] not in made
