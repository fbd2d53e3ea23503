"""Description of servers that are no NIM, such as web sites and proxies."""

import html
import re

import httpx

from ..nim.texts import shorten

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
# Servers of NIMs themselves; their names say nothing.
_USUAL = ("uvicorn", "hypercorn")
_SHOWN = 80


def is_html(response: httpx.Response) -> bool:
    """Return whether a response is a web page."""
    if response.headers.get("content-type", "").lower().startswith("text/html"):
        return True
    return response.content[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def describe(response: httpx.Response) -> str:
    """Describe a response by status, Server header and page title."""
    text = f"HTTP {response.status_code}"
    server = _shortened(response.headers.get("server", ""))
    if server and not server.lower().startswith(_USUAL):
        text += f" from {server}"
    if title := title_of(response):
        text += f', page "{title}"'
    return text


def title_of(response: httpx.Response) -> str:
    """Return the title of a web page, empty if there is none."""
    if not is_html(response):
        return ""
    found = _TITLE.search(response.content[:65536].decode("utf-8", "replace"))
    return _shortened(html.unescape(found[1])) if found else ""


def _shortened(text: str) -> str:
    printable = "".join(one for one in " ".join(text.split()) if one.isprintable())
    return shorten(printable, _SHOWN)
