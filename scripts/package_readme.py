"""Readme and project URLs of the packages, as an index shows them.

An index shows README.md alone, away from the repository. Standard library only.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

# [words](target) and ![words](target), and the addresses of HTML's pictures.
_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")
_ATTRIBUTE = re.compile(r'\b(src|srcset|href)="(?!https?://|#|mailto:)([^"\s]+)"')


def absolute(text: str, forge: str, ref: str, folder: str = "") -> str:
    """Return a document with absolute links; without a forge, with the words of the links alone.

    Args:
        text: Markdown.
        forge: The repository's address, such as `https://github.com/owner/name`; "" if unknown.
        ref: The tag whose files are linked.
        folder: Where the document is, seen from the repository's root.
    """

    def address(kind: str, target: str) -> str:
        path, hash_, anchor = target.partition("#")
        name = posixpath.normpath(posixpath.join(folder, path))
        return f"{forge}/{kind}/{ref}/{name}{hash_}{anchor}"

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if not forge:
            return f"*{words}*" if picture else words
        return f"{picture}[{words}]({address('raw' if picture else 'blob', target)})"

    def attribute(found: re.Match[str]) -> str:
        name, target = found.groups()
        kind = "blob" if name == "href" else "raw"
        return f'{name}="{address(kind, target)}"' if forge else ""

    return _ATTRIBUTE.sub(attribute, _LINK.sub(link, text))


def project_urls(forge: str) -> str:
    """Return the `[project.urls]` table of a pyproject.toml; nothing without a forge."""
    if not forge:
        return ""
    rows = {
        "Homepage": forge,
        "Documentation": f"{forge}/tree/main/docs",
        "Changelog": f"{forge}/blob/main/CHANGELOG.md",
        "Issues": f"{forge}/issues",
    }
    lines = [f'{name} = "{address}"' for name, address in rows.items()]
    return "\n".join(["", "[project.urls]", *lines, ""])


def prepare(source: Path, forge: str, version: str, folder: str = "") -> None:
    """Give the README.md and the pyproject.toml of a copy of the sources what an index needs."""
    readme, project = source / "README.md", source / "pyproject.toml"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(absolute(text, forge, f"v{version}", folder), encoding="utf-8")
    with project.open("a", encoding="utf-8") as file:
        file.write(project_urls(forge))
