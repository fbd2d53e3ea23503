"""Reads a capture: what a real NIM answered, as JSON lines.

A capture comes from somebody else: sizes are bounded, and a line that cannot be used is named.
docs/capture.md of the provider describes the format.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator

FORMAT = "nim-capture"
VERSION = 1
MAX_FILE_BYTES = 32 * 1024 * 1024
"""Of a file, after decompression."""
MAX_CALLS = 10_000
MAX_SECONDS = 3600.0
_MOST_HEADERS = 200
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GZIP = b"\x1f\x8b"


class CaptureError(ValueError):
    """A file that is no usable capture; the text names the line."""


def _as_bytes(value: Any) -> bytes:
    """Return the bytes of a text, or of base64 in an object."""
    if isinstance(value, bytes):
        return value
    try:
        if isinstance(value, str):
            return value.encode("utf-8")
        if isinstance(value, dict) and value.keys() == {"base64"}:
            return base64.b64decode(value["base64"], validate=True)
    except (ValueError, TypeError, UnicodeEncodeError):
        pass
    raise ValueError('neither a text nor {"base64": "..."}')


_Bytes = Annotated[bytes, BeforeValidator(_as_bytes)]
_Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


class CapturedCall(BaseModel):
    """One request and what came back.

    Attributes:
        call: What the request was for.
        feature: The row of the provider's field table that it tried.
        value: ``good`` or ``bad``, of that row.
        method: HTTP method.
        path: Path below the NIM's root.
        request: The JSON body of the request, None without one.
        status: HTTP status, None if there was no response.
        headers: Headers of the response.
        body: Body of a response that is no stream.
        chunks: Of a stream: seconds since the request, and bytes.
        seconds: From the request to the end of the response.
        cut: Size of a body of which only the beginning was kept.
        withheld: Why the body is not here.
        error: What came in place of a response, or of its end.
        line: Number of the line in the file.
    """

    call: str = ""
    feature: str | None = None
    value: Literal["good", "bad"] | None = None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    path: Annotated[str, Field(pattern=r"^/[\x21-\x7e]*$", max_length=4096)]
    request: Any = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    headers: Annotated[dict[str, str], Field(max_length=_MOST_HEADERS)] = {}
    body: _Bytes = b""
    chunks: list[tuple[_Seconds, _Bytes]] | None = None
    seconds: _Seconds = 0.0
    cut: int | None = None
    withheld: str | None = None
    error: str | None = None
    line: int = 0

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name[:40]!r} is not a header's name")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"{name[:40]} has a value that cannot be sent")
        return headers

    @property
    def content(self) -> bytes:
        """The whole body."""
        return self.body if self.chunks is None else b"".join(part for _, part in self.chunks)

    @property
    def is_whole(self) -> bool:
        """True if the response came to its end, and all of it is here."""
        return self.status is not None and not (self.error or self.cut or self.withheld)


class Capture(BaseModel):
    """The content of a file.

    Attributes:
        header: The first line.
        calls: The calls, in the order of their ends.
        end: The last line; None if the file breaks off.
    """

    header: dict[str, Any]
    calls: list[CapturedCall]
    end: dict[str, Any] | None = None


def read_capture(path: str | Path) -> Capture:
    """Read a capture.

    Raises:
        OSError: The file cannot be read.
        CaptureError: It is no usable capture; the text names the line.
    """
    with Path(path).open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    return parse_capture(data)


def parse_capture(data: bytes) -> Capture:
    """Read the bytes of a capture, compressed or not.

    A file that breaks off in its last line is read up to there.

    Raises:
        CaptureError: It is no usable capture; the text names the line.
    """
    if data.startswith(_GZIP):
        data = _decompressed(data)
    if len(data) > MAX_FILE_BYTES:
        raise CaptureError(f"it has more than {MAX_FILE_BYTES} bytes")
    lines = list(_lines(data))
    if not lines or lines[0][1].get("format") != FORMAT:
        raise CaptureError(f"line 1: not the header of a capture, with the format {FORMAT!r}")
    if lines[0][1].get("version") != VERSION:
        raise CaptureError(
            f"line 1: it has version {lines[0][1].get('version')!r:.20}, and this emulator reads "
            f"version {VERSION}"
        )
    found = Capture(header=lines[0][1], calls=[])
    for number, fields in lines[1:]:
        if found.end is not None:
            raise CaptureError(f"line {number}: it comes after the end")
        if "end" in fields:
            found.end = fields
        elif len(found.calls) == MAX_CALLS:
            raise CaptureError(f"line {number}: there are more than {MAX_CALLS} calls")
        else:
            found.calls.append(_call(number, fields))
    return found


def _lines(data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line, parse_constant=_refuse)
            json.dumps(fields).encode("ascii")
        except (ValueError, RecursionError) as error:
            if number == len(lines) > 1:
                return  # it was written when the program ended
            problem = "too deep" if isinstance(error, RecursionError) else error
            raise CaptureError(f"line {number}: not JSON: {problem}") from None
        if not isinstance(fields, dict):
            raise CaptureError(f"line {number}: not a JSON object")
        yield number, fields


def _call(number: int, fields: dict[str, Any]) -> CapturedCall:
    try:
        return CapturedCall.model_validate({**fields, "line": number})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CaptureError(f"line {number}: {place}: {first['msg']}") from None


def _decompressed(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        return unpacking.decompress(data, MAX_FILE_BYTES + 1)
    except zlib.error as error:
        raise CaptureError(f"it cannot be decompressed: {error}") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
