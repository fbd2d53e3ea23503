"""Parts of a page that a script writes: they stand between two marks."""

from __future__ import annotations


def replaced(page: str, begin: str, end: str, text: str) -> str:
    """Return a page with another text between the marks.

    Raises:
        ValueError: The page has no such marks.
    """
    before, _, after = _parts(page, begin, end)
    return f"{before}{begin}{text}{end}{after}"


def between(page: str, begin: str, end: str) -> str:
    """Return the text between the marks of a page.

    Raises:
        ValueError: The page has no such marks.
    """
    return _parts(page, begin, end)[1]


def _parts(page: str, begin: str, end: str) -> tuple[str, str, str]:
    before, found, rest = page.partition(begin)
    part, ended, after = rest.partition(end)
    if not ended:
        missing = end if found else begin
        raise ValueError(f"the page has no marks for it: no line {missing.strip()!r}")
    return before, part, after
