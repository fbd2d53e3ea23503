"""Answers of a NIM, normalized: what changes from run to run is gone."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..nim.texts import shorten

MODEL = "{model}"
"""Stands for the model's id."""
LIMIT = 300
"""Texts of requests and answers that are longer are shown in short."""

_IDS = re.compile(r"(?<![0-9a-zA-Z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}")
_LLAMA_ID = re.compile(r"^(chatcmpl-)[0-9A-Za-z]{32}$")
_CLOCK = re.compile(r"\[\d\d:\d\d:\d\d\] ")
_FILES = re.compile(r'File "[^"]*"|/\S+/site-packages/|ENV/\S+')
_VOLATILE = frozenset({"created", "logprob", "start", "end"})

Json = Any


class Answer(NamedTuple):
    """The response to a request.

    Attributes:
        status: HTTP status.
        media: Media type, empty where none is said.
        body: Parsed JSON; the events of a stream, where ``[DONE]`` is a text; or a text.
    """

    status: int
    media: str
    body: Json


def read_answer(
    status: int, content_type: str, content: bytes, models: str | Sequence[str]
) -> Answer:
    """Return a normalized answer.

    Args:
        status: HTTP status.
        content_type: The header, empty where there is none.
        content: The body.
        models: The model's id, or ids that all stand for it.
    """
    names = (models,) if isinstance(models, str) else models
    media = content_type.partition(";")[0]
    text = content.decode("utf-8", "replace")
    if media == "text/event-stream":
        return Answer(status, media, [_event(block, names) for block in _blocks(text)])
    try:
        body = _normalize(json.loads(text), names)
    except (ValueError, RecursionError):
        body = _text(text, names)
    return Answer(status, media, body)


def shorten_texts(value: Json) -> Json:
    """Return a value whose long texts are cut."""
    if isinstance(value, dict):
        return {name: shorten_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shorten_texts(item) for item in value]
    return shorten(value, LIMIT) if isinstance(value, str) else value


def _blocks(text: str) -> list[str]:
    return [block for block in text.replace("\r\n", "\n").split("\n\n") if block]


def _event(block: str, models: Sequence[str]) -> Json:
    data = block.removeprefix("data:").strip()
    try:
        return _normalize(json.loads(data), models)
    except (ValueError, RecursionError):
        return _text(data, models)


def _normalize(value: Json, models: Sequence[str]) -> Json:
    """Return a value without what changes from run to run: ids, times, log probabilities."""
    if isinstance(value, dict):
        return {
            name: 0
            if name in _VOLATILE and isinstance(item, int | float)
            else _named(name, item, models)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_normalize(item, models) for item in value]
    return _text(value, models) if isinstance(value, str) else value


def _named(name: str, value: Json, models: Sequence[str]) -> Json:
    if name == "token_logprobs" and isinstance(value, list):
        return [None if item is None else 0 for item in value]
    if name == "top_logprobs" and isinstance(value, list):
        return [_alternatives(item, models) for item in value]
    return _normalize(value, models)


def _alternatives(value: Json, models: Sequence[str]) -> Json:
    """Return the alternatives of a token: those of completions are numbers by token."""
    if isinstance(value, dict) and "logprob" not in value:
        return dict.fromkeys(value, 0)
    return _normalize(value, models)


def _text(text: str, models: Sequence[str]) -> str:
    text = _LLAMA_ID.sub(r"\1<id>", text)
    text = _CLOCK.sub("", _FILES.sub("<file>", _IDS.sub("<id>", text)))
    for name in models:
        text = text.replace(name, MODEL)
    return shorten(text, LIMIT)
