"""Redact API keys and other credentials from text that a NIM, a gateway or a library wrote.

Text is redacted before it is cut: a cut through a key would leave a part that is no longer known
as one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"
"""The text in place of a credential."""

KEY_PART = 8
"""A run of so many characters of a credential is redacted, in whatever case. Shorter runs occur in
plain text by chance."""

# What keys look like, for those that came from elsewhere: NVIDIA's, OpenAI's, any bearer token.
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:nvapi-|sk-|Bearer\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
# This much is shown, since it says what kind of key it was.
_PREFIX = re.compile(r"(?:nvapi-|sk-|Bearer\s+)+", re.IGNORECASE)
# Headers that prove who asks, a gateway's own among them.
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_SHORTEST_SECRET = 6
_SCHEMES = frozenset({"bearer", "digest", "negotiate", "apikey", "api-key"})

LOOKAHEAD = 16_384
"""How many characters are looked at beyond a cut: more than any key has."""

# Other than str.lower(), which changes the length of some texts.
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the credentials in a request's headers, without the names of their schemes."""
    found: dict[str, None] = {}
    for name, value in headers.items():
        if _SECRET_HEADER.search(name):
            for part in re.split(r"[\s;,]+", value):
                # Of a cookie the value alone: names of cookies are ordinary words.
                secret = part.partition("=")[2].strip("=") if "cookie" in name.lower() else part
                if len(secret) >= _SHORTEST_SECRET and secret.lower() not in _SCHEMES:
                    found[secret] = None
    return tuple(found)


def redact(text: str, secrets: Iterable[str] = (), *, limit: int | None = None) -> str:
    """Redact credentials from text, and cut what is left.

    Args:
        text: For people.
        secrets: Credentials that are known, see ``secrets_in``. Runs of ``KEY_PART`` characters of
            them are redacted too, in upper and lower case.
        limit: How many characters of the text count, at most; None for all.
    """
    if limit is not None:
        text = text[: limit + LOOKAHEAD]
    end = len(text) if limit is None else limit
    parts, place = [], 0
    for start, stop in credential_spans(text, secrets):
        if start >= end:
            break
        prefix = _PREFIX.match(text, start, stop)
        parts += [text[place : prefix.end() if prefix else start], HIDDEN]
        place = stop
    parts.append(text[place:end])
    return "".join(parts)


def credential_spans(text: str, secrets: Iterable[str] = ()) -> list[tuple[int, int]]:
    """Return where credentials stand in text, in order and without overlaps; see ``redact``."""
    found = _hidden(text, secrets)
    return _merged(found + [match.span() for match in _LOOKS_LIKE_A_KEY.finditer(text)])


def quotes(text: str, secrets: Iterable[str]) -> bool:
    """Return whether text holds a run of ``KEY_PART`` characters of a known credential."""
    return bool(_hidden(text, secrets))


def _hidden(text: str, secrets: Iterable[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    lowered = text.translate(_LOWER)
    for secret in secrets:
        known = secret.translate(_LOWER)
        size = min(KEY_PART, len(known))
        found += [
            (place, place + size)
            for place in range(len(lowered) - size + 1)
            if lowered[place : place + size] in known
        ]
    return found


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def redact_data(value: Any, secrets: Iterable[str]) -> Any:
    """Redact credentials from all texts in JSON data; the names of fields stay."""
    secrets = tuple(secrets)
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {name: redact_data(item, secrets) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_data(item, secrets) for item in value]
    return value


def printable(text: str) -> str:
    """Take out what a terminal or a log would act on."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))
