"""Open the built site in a browser; `scripts.site_pictures` runs this with playwright."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "var" / "site"
TARGET = ROOT / "var" / "site-pictures"
SCHEMES = ("light", "dark")
# Width, height, and whether it is a phone.
SCREENS = {"desktop": (1280, 900, False), "phone": (390, 844, True)}
# No phone has room for more than 40 letters without a space, which may break.
FAULTS = r"""
() => {
  const faults = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > root.clientWidth + 1) {
    const wide = [...document.querySelectorAll('article *')]
      .filter(one => one.getBoundingClientRect().right > root.clientWidth + 1)
      .map(one => one.tagName + ' ' + one.textContent.trim().slice(0, 40));
    faults.push('scrolls sideways: ' + (wide[0] || root.scrollWidth));
  }
  for (const image of document.images)
    if (!image.naturalWidth) faults.push('not shown: ' + image.getAttribute('src'));
  const texts = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (node.parentElement.closest('pre, script, style')) continue;
    const names = node.parentElement.closest('code.name') ? /\S{2,32}/g : /(?<!\w)\w{4,32}(?!\w)/g;
    for (const word of node.data.matchAll(names)) {
      const around = node.data.slice(0, word.index).match(/\S*$/)[0] + word[0];
      if (around.length > 40) continue;
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].filter(one => one.width)
        .map(one => Math.round(one.top)));
      if (lines.size > 1) faults.push('broken in the middle: ' + word[0]);
    }
  }
  return [...new Set(faults)];
}
"""


class _Handler(SimpleHTTPRequestHandler):
    """Files of the site, without a line on the terminal for each."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the site; yields its address."""
    handler = partial(_Handler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def faults_of(page: Any, url: str, scheme: str) -> list[str]:
    """Open a page and return what is wrong with it."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.goto(url, wait_until="load")
    shown = page.evaluate("document.body.dataset.mdColorScheme")
    if shown != {"light": "default", "dark": "slate"}[scheme]:
        said.append(f"is shown in the scheme {shown}")
    return said + list(page.evaluate(FAULTS))


def main(chromium: str, pictured: list[str]) -> int:
    """Look at every page; returns 1 if something is wrong."""
    TARGET.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[str]] = {}
    paths = sorted(path for path in SITE.glob("*.html") if path.stem != "404")
    with served() as url, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for screen, (width, height, phone) in SCREENS.items():
            for scheme in SCHEMES:
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    device_scale_factor=2 if phone else 1,
                    is_mobile=phone,
                    color_scheme=scheme,
                )
                for path in paths:
                    page = context.new_page()
                    for fault in faults_of(page, f"{url}/{path.name}", scheme):
                        found.setdefault(f"{path.name}: {fault}", []).append(f"{screen} {scheme}")
                    if path.stem in pictured:
                        name = f"{path.stem}-{screen}-{scheme}.png"
                        page.screenshot(path=TARGET / name, full_page=not phone)
                    page.close()
                context.close()
        browser.close()
    for fault, where in found.items():
        print(f"{fault} ({', '.join(where)})")
    print(f"{len(paths)} pages, {len(found)} faults; pictures in {TARGET.relative_to(ROOT)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
