"""MkDocs' hook: the pages that live in the repository's root, where a forge shows them.

README.md is the site's first page. Links are written for the repository; those that lead out of
`docs/` go to the forge that `repo_url` names; without one only their text is left.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# File in the root -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"\[([^\]\n]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def relink(text: str, folder: str, forge: str) -> str:
    """Rewrite a document's relative links for the site.

    Args:
        text: Markdown.
        folder: Where the document is, seen from the root: `""` or `docs`.
        forge: The address below which the forge shows files, with a trailing slash; "" for none.
    """

    def target(found: re.Match[str]) -> str:
        words, link = found.groups()
        path, hash_, anchor = link.partition("#")
        parts: list[str] = []
        for part in [*folder.split("/"), *path.split("/")]:
            if part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        name = "/".join(parts)
        if name in PAGES:
            name = PAGES[name]
        elif name.startswith("docs/"):
            name = name.removeprefix("docs/")
        else:
            return f"[{words}]({forge}{name})" if forge else words
        return f"[{words}]({name}{hash_}{anchor})"

    return _LINK.sub(target, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the root's pages to those of `docs/`."""
    for name, page in PAGES.items():
        source = ROOT / name
        if source.exists():
            text = source.read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Rewrite the links of a page."""
    of_root = page.file.src_uri in PAGES.values()
    forge = f"{config.repo_url.rstrip('/')}/blob/main/" if config.repo_url else ""
    return relink(markdown, "" if of_root else "docs", forge)
