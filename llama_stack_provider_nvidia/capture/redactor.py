"""Redacts credentials, hosts, ids and names of organisations from what is captured.

All that is put in their place is as long as what it replaces, so that the borders of the chunks
of a stream stay where they were. A body that quotes a credential in parts is withheld.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..nim.errors.redact import credential_spans, quotes

_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_URL_HOST = re.compile(r"(?<=://)[^\s/\"'<>\\?#]+")
# Hosts that documents and errors of the engines name; none of them is the user's.
_PUBLIC_HOST = re.compile(
    r"(?:[\w-]+\.)*(?:nvidia\.com|pydantic\.dev|vllm\.ai|json-schema\.org|huggingface\.co|"
    r"openai\.com|w3\.org|github\.com|swagger\.io|apache\.org)"
)
_HOME = re.compile(r"(?<=/home/|/root/|Users/)[^/\s\"'\\]+")
_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24,64})"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_PRIVATE_NAME = r"(?:org(?:anization|anisation)?|team|tenant|account|project)(?:[_-]?(?:id|name))?"
_PRIVATE_FIELD = re.compile(rf'"{_PRIVATE_NAME}"\s*:\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PRIVATE_HEADER = re.compile(
    rf"(?:^|-){_PRIVATE_NAME}$|auth|key|token|secret|cookie|password", re.IGNORECASE
)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)|%([0-9a-fA-F]{2})", re.DOTALL)
_TEXT = re.compile(r'(?:"([^"\\]*)"\s*:\s*)?"((?:[^"\\]|\\.)*)"')
_NUMBERS = re.compile(r"\[\s*\d{1,3}(?:\s*,\s*\d{1,3})*\s*\]")


class Redactor:
    """Redacts texts of one NIM; one id is replaced by the same number wherever it stands."""

    def __init__(
        self, *, secrets: Iterable[str] = (), hosts: Iterable[str] = (), names: Iterable[str] = ()
    ) -> None:
        """Initialize with what is known to be private.

        Args:
            secrets: Credentials that requests carry.
            hosts: Names of hosts. One without a dot is replaced only where it stands as a host.
            names: Further texts, such as the name of the user's organisation.
        """
        self._secrets = tuple(secrets)
        # Bodies are read with a character for each byte.
        given = [form for name in names if name for form in (name, name.encode().decode("latin-1"))]
        words = [re.escape(name) for name in dict.fromkeys(given)]
        for host in filter(None, hosts):
            whole = re.escape(host)
            words.append(whole if "." in host else rf"(?<=//){whole}\b|\b{whole}(?=:\d)")
        self._words = re.compile("|".join(words), re.IGNORECASE) if words else None
        self._ids: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Redact text; the result is as long."""
        text = self._mask_credentials(text)
        if self._words is not None:
            text = self._words.sub(_crossed_out, text)
        text = _URL_HOST.sub(_host, text)
        text = _ADDRESS.sub(lambda match: re.sub(r"\d", "0", match[0]), text)
        text = _HOME.sub(_crossed_out, text)
        text = _PRIVATE_FIELD.sub(_crossed_out_value, text)
        return _ID.sub(self._numbered, text)

    def data(self, value: Any) -> Any:
        """Redact all texts in JSON data, the names of fields among them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): self.data(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        return value

    def header(self, name: str, value: str) -> str:
        """Redact the value of a header."""
        return "*" * len(value) if _PRIVATE_HEADER.search(name) else self.text(value)

    def chunks(self, chunks: list[bytes]) -> list[bytes] | None:
        """Redact a body that came in chunks; None if it quotes a credential in parts."""
        whole = b"".join(chunks)
        # A character for each byte: the borders of chunks may lie within one of the text's.
        redacted = self.text(whole.decode("latin-1"))
        if any(quotes(view, self._secrets) for view in _views(redacted)):
            return None
        data = redacted.encode("latin-1")
        parts, place = [], 0
        for chunk in chunks:
            parts.append(data[place : place + len(chunk)])
            place += len(chunk)
        return parts

    def _mask_credentials(self, text: str) -> str:
        unescaped, places = _unescape(text)
        spans = credential_spans(text, self._secrets) + [
            (places[start], places[stop])
            for start, stop in credential_spans(unescaped, self._secrets)
        ]
        for start, stop in spans:
            text = f"{text[:start]}{'*' * (stop - start)}{text[stop:]}"
        return text

    def _numbered(self, match: re.Match[str]) -> str:
        found = match[0]
        if found not in self._ids:
            digits = iter(str(len(self._ids) + 1).zfill(sum(one != "-" for one in found)))
            self._ids[found] = "".join("-" if one == "-" else next(digits) for one in found)
        return self._ids[found]


def _crossed_out(match: re.Match[str]) -> str:
    return re.sub(r"[^.:\[\]-]", "x", match[0])


def _crossed_out_value(match: re.Match[str]) -> str:
    start, stop = match.start(1) - match.start(), match.end(1) - match.start()
    return f"{match[0][:start]}{'x' * (stop - start)}{match[0][stop:]}"


def _host(match: re.Match[str]) -> str:
    name = match[0].rpartition("@")[2].partition(":")[0].lower()
    is_public = "@" not in match[0] and _PUBLIC_HOST.fullmatch(name) is not None
    return match[0] if is_public or set(name) <= set("x.-*0") else _crossed_out(match)


def _unescape(text: str) -> tuple[str, list[int]]:
    """Resolve JSON's and URLs' escapes; return the text and where each character began."""
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[end : match.start()])
        places += range(end, match.start())
        code = match[1] or match[3]
        parts.append(chr(int(code, 16)) if code else match[2])
        places.append(match.start())
        end = match.end()
    parts.append(text[end:])
    places += range(end, len(text) + 1)
    return "".join(parts), places


def _views(text: str) -> Iterator[str]:
    """Yield the texts of a body in which a credential would be found that is quoted in parts."""
    by_name: dict[str, list[str]] = {}
    for match in _TEXT.finditer(text):
        by_name.setdefault(match[1] or "", []).append(match[2])
    for parts in by_name.values():
        yield _unescape("".join(parts))[0]
    yield re.sub(r"\s+", "", text)
    numbers: list[int] = []
    for match in _NUMBERS.finditer(text):
        numbers += json.loads(match[0])
    yield "".join(map(chr, numbers))
