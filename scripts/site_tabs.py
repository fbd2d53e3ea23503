"""Tabs of the documentation site, for text that a forge shows one below the other.

A set begins with the line `<!-- tab: NAME -->`, has that line before each further tab, and ends
with `<!-- end of tabs -->`.
"""

from __future__ import annotations

import re

END = "<!-- end of tabs -->"
_SET = re.compile(rf"^<!-- tab: .*?^{END}$", re.MULTILINE | re.DOTALL)
_TAB = re.compile(r"^<!-- tab: (.+) -->\n", re.MULTILINE)


class TabError(ValueError):
    """A set of tabs does not end, or ends without having begun."""


def tabbed(text: str) -> str:
    """Turn the marked parts of a page into tabs of pymdownx.

    Raises:
        TabError: A mark has no counterpart.
    """
    made = _SET.sub(lambda found: _set(found[0]), text)
    if END in made or _TAB.search(made):
        raise TabError("tabs begin with `<!-- tab: NAME -->` and end with `<!-- end of tabs -->`")
    return made


def untabbed(text: str) -> str:
    """Return a page without the marks, for readers of Markdown."""
    return re.sub(rf"^(?:<!-- tab: .+ -->|{END})\n\n?", "", text, flags=re.MULTILINE)


def _set(text: str) -> str:
    _, *parts = _TAB.split(text.removesuffix(END))
    return "\n\n".join(
        f'=== "{name}"\n\n{_indented(content)}'
        for name, content in zip(parts[::2], parts[1::2], strict=True)
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.strip("\n").splitlines())
