"""MkDocs hook that adds the pages outside `docs/` to the site.

README.md is the site's first page. Marked parts of a page are tabs. Each page is there as Markdown
as well, and llms.txt lists them, for programs that read documentation. Links are written for the
repository; those that lead out of `docs/` go to the forge that `repo_url` names; without one only
their text is left.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

from scripts import site_api, site_tabs

ROOT = Path(__file__).resolve().parent.parent
# File of the repository -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "nim_emulator/docs/reference.md": "emulator.md",
}
# What the current build has read: the Markdown of each page, and the navigation.
_MARKDOWN: dict[str, str] = {}
_NAV: list[Any] = []
# A name in the text: code without a space. A phone's line has room for 32 letters.
_NAME = re.compile(r"<code>([^<\s]{1,32})</code>")
_LONG_NAME = re.compile(r"(?<=<code>)[^<\s]{33,}(?=</code>)")
_LINK = re.compile(r"\[([^\]\n]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def relink(text: str, folder: str, forge: str) -> str:
    """Rewrite a document's relative links for the site.

    Args:
        text: Markdown.
        folder: Where the document is, seen from the root, such as `""` or `docs`.
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
    """Add the other pages to those of `docs/`."""
    for name, page in PAGES.items():
        source = ROOT / name
        if source.exists():
            text = source.read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Rewrite the links of a page and make its tabs."""
    sources = {target: name for name, target in PAGES.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if page.file.src_uri in sources:
        # `edit_uri` leads to docs/, where this file is not.
        editor = (config.edit_uri or "").removesuffix("docs/")
        page.edit_url = f"{config.repo_url.rstrip('/')}/{editor}{source}" if editor else None
    forge = f"{config.repo_url.rstrip('/')}/blob/main/" if config.repo_url else ""
    text = relink(markdown, str(Path(source).parent), forge)
    _MARKDOWN[page.file.src_uri] = site_api.expanded(site_tabs.untabbed(text))
    return site_tabs.tabbed(text)


def on_page_content(html: str, **_: Any) -> str:
    """Mark names, which the style sheet keeps on one line; longer ones break at their joints."""
    html = _NAME.sub(r'<code class="name">\1</code>', html)
    return _LONG_NAME.sub(lambda found: re.sub(r"([./:,=])(?=\w)", r"\1<wbr>", found[0]), html)


def on_nav(nav: Navigation, **_: Any) -> Navigation:
    """Remember the sections."""
    _NAV[:] = nav.items
    return nav


def on_post_build(config: MkDocsConfig) -> None:
    """Write each page's Markdown, and llms.txt."""
    site = Path(config.site_dir)
    for name, text in _MARKDOWN.items():
        (site / name).write_text(text, encoding="utf-8")
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    lines += ["## Start", "", *(_entry(item) for item in _NAV if isinstance(item, Page))]
    for section in (item for item in _NAV if isinstance(item, Section)):
        lines += ["", f"## {section.title}", ""]
        lines += [_entry(page) for page in section.children if isinstance(page, Page)]
    (site / "llms.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _entry(page: Page) -> str:
    """A page's line of llms.txt: its title, and the first sentence of its text."""
    text = _MARKDOWN[page.file.src_uri]
    paragraphs = (part for part in text.split("\n\n") if part[:1].isalpha())
    first = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(next(paragraphs, "").split()))
    sentence = re.split(r"(?<=[.:])\s", first)[0]
    return f"- [{page.title}]({page.file.src_uri})" + (f": {sentence}" if sentence else "")
