"""Holds the answers of a NIM to what the field table says of its dialect."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..nim.dialect import Dialect
from ..nim.requests.field_table import FIELD_TABLE, Feature, MapTo, Unsupported
from ..nim.texts import one_line
from .calls import COMPLETION
from .capture_reader import RecordedCall
from .field_values import FIELD_VALUES

_REFUSED = frozenset((400, 422))
_SHOWN = 200

Finding = tuple[str, str, str, str]
"""Name of the call, the field, what was expected, and what was seen."""


def check_features(calls: Iterable[RecordedCall], dialect: Dialect) -> Iterator[Finding]:
    """Yield where answers to good values contradict the field table.

    A field that the table sends is contradicted by a refusal, or by a constraint that a text does
    not obey. One that the provider refuses to send is contradicted by a text that obeys it.
    """
    features = {feature.field: feature for feature in FIELD_TABLE}
    for call in calls:
        feature = features.get(call.feature or "")
        if feature is not None and call.value == "good" and call.status is not None:
            yield from _check(call, feature, dialect)


def _check(call: RecordedCall, feature: Feature, dialect: Dialect) -> Iterator[Finding]:
    is_completion = call.path == COMPLETION
    if is_completion and feature.field == "response_format":
        return  # sent as the constraint ``json``
    mapping = feature.mapping_for(dialect, completion=is_completion)
    path = mapping.path if isinstance(mapping, MapTo) else feature.field
    if not has_field(call.request, path):
        return  # recorded for another dialect
    if isinstance(mapping, MapTo):
        if call.status in _REFUSED and not _may_refuse(feature, path, dialect):
            yield call.call, path, "taken", f"refused, {call.status}: {_short(call.content)}"
        elif _obeys(call, feature) is False:
            yield call.call, path, "obeyed", f"without effect: {_short(_text(call))}"
    elif isinstance(mapping, Unsupported) and _obeys(call, feature):
        yield call.call, path, "without effect, or refused", f"obeyed: {_short(_text(call))}"


def _may_refuse(feature: Feature, path: str, dialect: Dialect) -> bool:
    """Return whether a field is sent although it may be refused; the refusal is explained then."""
    if FIELD_VALUES[feature.field].depends_on or dialect in (Dialect.HOSTED, Dialect.GENERIC):
        return True
    # It takes what OpenAI has and ``nvext``; releases differ in what else.
    return dialect is Dialect.NIM1 and path == feature.field


def _obeys(call: RecordedCall, feature: Feature) -> bool | None:
    """Return whether a text obeys the good value; None where that cannot be told."""
    is_obeyed = FIELD_VALUES[feature.field].is_obeyed
    text = _text(call)
    if is_obeyed is None or text is None or call.status != 200 or not call.is_whole:
        return None
    return is_obeyed(text)


def _text(call: RecordedCall) -> str | None:
    """Return the text of a whole answer, None for one that was cut or has none."""
    try:
        (choice,) = json.loads(call.content)["choices"]
        if choice["finish_reason"] == "length":
            return None
        text = choice["text"] if call.path == COMPLETION else choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return text if isinstance(text, str) else None


def has_field(request: Any, path: str) -> bool:
    """Return whether a body has something at a dotted path."""
    top, _, inner = path.partition(".")
    if not isinstance(request, dict) or top not in request:
        return False
    return not inner or (isinstance(request[top], dict) and inner in request[top])


def _short(value: str | bytes | None) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
    return one_line(text, _SHOWN)
