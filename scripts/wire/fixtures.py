"""Recorded answers of real engines: how they are asked for, written, read and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from llama_stack_provider_nvidia.capture.answers import Answer, shorten_texts
from llama_stack_provider_nvidia.capture.differences import differences
from scripts.wire.answers import request
from scripts.wire.calls import calls

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "engines"
SECONDS = 120.0

Difference = tuple[str, str]
"""Name of a request, and the aspect in which two answers differ."""


class Fixture(NamedTuple):
    """The answers of one engine.

    Attributes:
        engine: Its name, such as ``vllm``.
        version: Its version.
        recorded: The day.
        requests: The request by name, in short.
        answers: The answer by name of the request.
    """

    engine: str
    version: str
    recorded: str
    requests: dict[str, Any]
    answers: dict[str, Answer]


def fixture_of(engine: str) -> Path:
    """Return the file of an engine."""
    (path,) = FIXTURES.glob(f"{engine}-*.json")
    return path


def load(path: Path) -> Fixture:
    """Read a fixture."""
    data = json.loads(path.read_text(encoding="utf-8"))
    answers = data.pop("answers")
    return Fixture(
        **data,
        requests={item["name"]: item["request"] for item in answers},
        answers={
            item["name"]: Answer(item["status"], item["media"], item["body"]) for item in answers
        },
    )


def write(fixture: Fixture) -> Path:
    """Write a fixture, one answer a line, so that differences can be read."""
    lines = [
        {"name": name, "request": fixture.requests[name], **answer._asdict()}
        for name, answer in fixture.answers.items()
    ]
    head = {name: getattr(fixture, name) for name in ("engine", "version", "recorded")}
    rows = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    text = f'{json.dumps(head)[:-1]}, "answers": [\n{rows}\n]}}\n'
    path = FIXTURES / f"{fixture.engine}-{fixture.version}.json"
    path.write_text(text, encoding="utf-8")
    return path


def requests() -> dict[str, Any]:
    """Return the fixed requests in short, by name."""
    return {call.name: shorten_texts(call.body) for call in calls()}


def ask(url: str, names: set[str] | None = None, *, model: str | None = None) -> dict[str, Answer]:
    """Return the normalized answers of a server, by name of the request.

    Args:
        url: Its address, without ``/v1``.
        names: The requests to make; all by default.
        model: The model to ask for; the first that is listed by default.
    """
    # A connection for each: some servers close theirs after an error.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False, limits=limits) as client:
        listed = client.get("/v1/models").raise_for_status().json()["data"]
        asked: str = model or listed[0]["id"]
        return {
            call.name: request(client, call, asked)
            for call in calls()
            if names is None or call.name in names
        }


def compare(
    path: Path, url: str, names: set[str] | None = None, *, model: str | None = None
) -> dict[Difference, str]:
    """Return how a server's answers differ from a fixture's; arguments as those of ``ask``."""
    answers = load(path).answers
    seen = ask(url, set(answers) if names is None else names, model=model)
    found: dict[Difference, list[str]] = {}
    for name, answer in seen.items():
        for difference in differences(answers[name], answer):
            found.setdefault((name, difference.aspect), []).append(str(difference))
    return {key: "; ".join(texts) for key, texts in found.items()}
