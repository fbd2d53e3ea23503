"""Compares what a NIM answered with the answers of an emulated one, and with the field table."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from ..nim.dialect import Dialect
from ..nim.discovery.dialect_rules import (
    HEALTH,
    MODELS,
    OPENAPI,
    VERSION,
    ProbeResponse,
    detect,
)
from ..nim.model_facts.model_ids import Kind, ModelEntry, parse_models
from .answers import Answer, read_answer
from .capture_reader import RecordedCall, RecordedCapture
from .differences import Difference, differences
from .field_check import check_features

SECONDS = 60.0
"""Time limit of a call to the emulated NIM."""
_CHECKS = "doctor: "
"""Calls of the checks; what they try, the fixed list tries as well."""
_LIMITS = frozenset({"stop", "length"})
_PROBES = (MODELS, VERSION, HEALTH, OPENAPI)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One difference.

    Attributes:
        beside: What it differs from: ``emulator`` or ``field table``.
        call: Name of the call.
        field: What differs.
        expected: By the emulator or the table; None where there should be nothing.
        seen: Of the NIM; None where there is nothing.
    """

    beside: str
    call: str
    field: str
    expected: str | None
    seen: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Subject:
    """The NIM that a capture is of.

    Attributes:
        dialect: The kind of NIM.
        release: Its release, if it says so.
        models: The models that it lists.
    """

    dialect: Dialect
    release: str | None
    models: list[ModelEntry]

    @property
    def emulated(self) -> str:
        """The emulator's name of its generation."""
        major, _, minor = (self.release or "").partition(".")
        match self.dialect:
            case Dialect.NIM1:
                number = minor.partition(".")[0]
                is_late = number.isdigit() and int(number) >= 15
                return "nim1-1.15" if is_late else "nim1"
            case Dialect.NIM2_VLLM:
                return "nim2" if self.release else "vllm"
            case Dialect.GENERIC if self.release:
                return "retriever1" if major == "1" else "retriever"
        return str(self.dialect)

    @property
    def context_length(self) -> int | None:
        """The context of the first chat model that says it, else of any."""
        chat_first = sorted(self.models, key=lambda entry: entry.kind is not Kind.LLM)
        return next((entry.context_length for entry in chat_first if entry.context_length), None)


def subject_of(capture: RecordedCapture, dialect: Dialect | None = None) -> Subject:
    """Return what a capture is of.

    Args:
        capture: The capture.
        dialect: Of the NIM; None for what the capture says, or what its answers show.
    """
    found = {
        call.path: ProbeResponse(call.status or 0, _parsed(call.content))
        for call in capture.calls
        if call.method == "GET" and call.path in _PROBES
    }
    # What was not asked counts as absent.
    finding = detect({path: found.get(path, ProbeResponse(404)) for path in _PROBES})
    assert not isinstance(finding, str)
    if dialect is None:
        named = [known for known in Dialect if known == capture.dialect]
        dialect = named[0] if named else finding.dialect
    release = capture.release or finding.release
    listed = found.get(MODELS)
    return Subject(dialect, release, parse_models(listed.body if listed else None))


def compare_with_table(capture: RecordedCapture, dialect: Dialect) -> list[Row]:
    """Return where the answers differ from the field table."""
    return [Row("field table", *found) for found in check_features(capture.calls, dialect)]


def compare_with_emulator(
    capture: RecordedCapture,
    subject: Subject,
    url: str,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Make the recorded requests again, and return where the recorded answers differ.

    Args:
        capture: The capture.
        subject: What it is of.
        url: Address of the emulated NIM, which serves the same models.
        progress: Called with the name of each call.

    Raises:
        httpx.HTTPError: The emulated NIM does not answer.
    """
    names = sorted((entry.id for entry in subject.models), key=len, reverse=True)
    # The hosted catalogue wants some key. A connection for each call, as some end with an error.
    client = httpx.Client(
        base_url=url,
        headers={"authorization": "Bearer none"},
        timeout=SECONDS,
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),
    )
    rows = []
    with client:
        for call in _distinct(capture.calls):
            progress(call.call)
            expected = _ask(client, call, names)
            rows += [
                Row("emulator", call.call, one.field or one.aspect, one.expected, one.seen)
                for one in _differences(call, expected, names)
            ]
    return rows


def _distinct(calls: Iterable[RecordedCall]) -> list[RecordedCall]:
    """Return the calls of the fixed list, each once."""
    found: dict[tuple[str, str, str], RecordedCall] = {}
    for call in calls:
        if not call.call.startswith(_CHECKS):
            found.setdefault((call.method, call.path, json.dumps(call.request)), call)
    return list(found.values())


def _ask(client: httpx.Client, call: RecordedCall, names: Sequence[str]) -> Answer:
    if isinstance(call.request, str):
        content: bytes | None = call.request.encode()
    else:
        content = None if call.request is None else json.dumps(call.request).encode()
    headers = {} if content is None else {"content-type": "application/json"}
    response = client.request(call.method, call.path, content=content, headers=headers)
    media = response.headers.get("content-type", "")
    return read_answer(response.status_code, media, response.content, names)


def _differences(call: RecordedCall, expected: Answer, names: Sequence[str]) -> list[Difference]:
    if call.status is None:
        return [Difference("response", "response", str(expected.status), call.error or "none")]
    seen = read_answer(call.status, call.headers.get("content-type", ""), call.content, names)
    if call.error:
        return [Difference("response", "response", "complete", call.error)]
    if not call.is_whole or call.path == OPENAPI:
        # The body is not here; or it describes more than what is compared.
        seen = seen._replace(body=None)
        expected = expected._replace(body=None)
    if _may_choose_tools(call) and _calls_tools(seen) != _calls_tools(expected):
        return []
    return [one for one in differences(expected, seen) if not _is_of_the_model(one)]


def _is_of_the_model(one: Difference) -> bool:
    """Return whether it shows that a text was longer or shorter, and nothing else."""
    return one.field.endswith("finish_reason") and {one.expected, one.seen} == _LIMITS


def _may_choose_tools(call: RecordedCall) -> bool:
    """Return whether the model decides whether to call a tool."""
    request = call.request
    return (
        isinstance(request, dict)
        and bool(request.get("tools"))
        and request.get("tool_choice", "auto") == "auto"
    )


def _calls_tools(answer: Answer) -> bool:
    return '"tool_calls": [{' in json.dumps(answer.body)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
