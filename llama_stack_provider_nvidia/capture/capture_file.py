"""Writes a capture: JSON lines, a header, a line for each call, and an end."""

import base64
import gzip
import json
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

FORMAT = "nim-capture"
VERSION = 1
MAX_BODY_BYTES = 1024 * 1024
"""Of one response; what comes after is left out, and the line says so."""
MAX_FILE_BYTES = 4 * 1024 * 1024
"""Of all lines before compression. What does not fit is not written."""


def as_text(data: bytes) -> str | dict[str, str]:
    """Return bytes as JSON: a text, or base64 for what is no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


class CaptureWriter:
    """Writes a capture line by line, so that a file is usable whenever it ends.

    A name that ends in ``.gz`` is compressed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OSError: It cannot be written.
        """
        self._raw = path.open("wb")
        self._file: BinaryIO | gzip.GzipFile = self._raw
        if path.suffix == ".gz":
            self._file = gzip.GzipFile(fileobj=self._raw, mode="wb")
        self.size = 0
        self.calls = 0

    def header(self, **fields: Any) -> None:
        """Write the first line."""
        self._write({"format": FORMAT, "version": VERSION, **fields})

    def call(self, line: dict[str, Any]) -> bool:
        """Write a call; return whether the file had room for it."""
        if not self._write(line):
            return False
        self.calls += 1
        return True

    def end(self, reason: str, **fields: Any) -> None:
        """Write the last line, which always has room.

        Args:
            reason: ``complete``, or what came in between.
            fields: What else is known by then.
        """
        self._write({"end": reason, "calls": self.calls, **fields}, limit=None)

    def _write(self, line: dict[str, Any], *, limit: int | None = MAX_FILE_BYTES) -> bool:
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if limit is not None and self.size + len(data) > limit:
            return False
        self._file.write(data)
        self._file.flush()
        self.size += len(data)
        return True

    def __enter__(self) -> "CaptureWriter":
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()
