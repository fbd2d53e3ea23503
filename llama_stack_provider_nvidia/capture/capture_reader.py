"""Reads a capture back, as far as a comparison needs it.

A capture may come from somebody else: its size is bounded, and a line that cannot be used is named.
"""

import base64
import binascii
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from .capture_file import FORMAT, VERSION

MAX_FILE_BYTES = 32 * 1024 * 1024
"""Of a file, after decompression."""

_Bytes = str | dict[str, str]
# Below the NIM's root: an address would be called.
_Path = Annotated[str, msgspec.Meta(pattern=r"^/(?!/)[\x21-\x7e]*$", max_length=4096)]


class CaptureError(ValueError):
    """A file that is no usable capture; the text names the line."""


class RecordedCall(msgspec.Struct):
    """One request and what came back; docs/capture.md describes the fields."""

    method: Literal["GET", "POST"]
    path: _Path
    call: str = ""
    feature: str | None = None
    value: str | None = None
    request: Any = None
    status: int | None = None
    headers: dict[str, str] = {}
    body: _Bytes = ""
    chunks: list[tuple[float, _Bytes]] | None = None
    cut: int | None = None
    withheld: str | None = None
    error: str | None = None

    @property
    def content(self) -> bytes:
        """The whole body."""
        parts = [self.body] if self.chunks is None else [part for _, part in self.chunks]
        return b"".join(map(_as_bytes, parts))

    @property
    def is_whole(self) -> bool:
        """True if the response came to its end, and all of it is here."""
        return self.status is not None and not (self.error or self.cut or self.withheld)


class _End(msgspec.Struct):
    end: str
    dialect: str | None = None
    release: str | None = None


@dataclass
class RecordedCapture:
    """The content of a file.

    Attributes:
        calls: The calls, in the order of their ends.
        end: How it ended; None if the file breaks off.
        dialect: What the NIM was taken for, if the file says so.
        release: Of the NIM, if the file says so.
    """

    calls: list[RecordedCall] = field(default_factory=list)
    end: str | None = None
    dialect: str | None = None
    release: str | None = None


def read_capture(path: Path) -> RecordedCapture:
    """Read a capture, compressed or not; one that breaks off in its last line is read up to there.

    Raises:
        OSError: The file cannot be read.
        CaptureError: It is no usable capture; the text names the line.
    """
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if data.startswith(b"\x1f\x8b"):
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, MAX_FILE_BYTES + 1)
        except zlib.error as error:
            raise CaptureError(f"it cannot be decompressed: {error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise CaptureError(f"it has more than {MAX_FILE_BYTES} bytes")
    lines = data.split(b"\n")
    _check_header(lines[0])
    found = RecordedCapture()
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            _add(found, line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break  # it was written when the program ended
            raise CaptureError(f"line {number}: {error}") from None
    return found


def _check_header(line: bytes) -> None:
    try:
        header = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CaptureError(f"line 1: not the header of a capture, with the format {FORMAT!r}")
    if header.get("version") != VERSION:
        said = header.get("version")
        raise CaptureError(f"line 1: it has version {said!r:.20}, and version {VERSION} is read")


def _add(found: RecordedCapture, line: bytes) -> None:
    """Add a line.

    Raises:
        ValueError: It is not valid.
    """
    if "end" in msgspec.json.decode(line, type=dict[str, msgspec.Raw]):
        end = msgspec.json.decode(line, type=_End)
        found.end, found.dialect, found.release = end.end, end.dialect, end.release
        return
    call = msgspec.json.decode(line, type=RecordedCall)
    call.headers = {name.lower(): value for name, value in call.headers.items()}
    # What could not be used would fail later.
    json.dumps(call.request)
    _ = call.content
    found.calls.append(call)


def _as_bytes(value: _Bytes) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (KeyError, binascii.Error):
        raise ValueError('a body is neither a text nor {"base64": "..."}') from None
