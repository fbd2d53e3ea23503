"""The readme and the URLs of the packages, as an index shows them."""

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scripts import dist, package_readme, pip_settings, venvs

FORGE = "https://example.com/own/project"


@pytest.mark.parametrize(
    ("text", "folder", "shown"),
    [
        ("[a](docs/x.md#y)", "", f"[a]({FORGE}/blob/v1/docs/x.md#y)"),
        ("![a](docs/x.svg)", "", f"![a]({FORGE}/raw/v1/docs/x.svg)"),
        ("[a](../LICENSE)", "nim_emulator", f"[a]({FORGE}/blob/v1/LICENSE)"),
        ("[a](docs/x.md)", "nim_emulator", f"[a]({FORGE}/blob/v1/nim_emulator/docs/x.md)"),
        ("[a](https://example.com/b) [c](#d)", "", "[a](https://example.com/b) [c](#d)"),
        ('<source srcset="docs/x.svg">', "", f'<source srcset="{FORGE}/raw/v1/docs/x.svg">'),
        ('<a href="docs/x.md">', "", f'<a href="{FORGE}/blob/v1/docs/x.md">'),
        ('<img src="https://example.com/b.svg">', "", '<img src="https://example.com/b.svg">'),
    ],
)
def test_links_become_absolute(text: str, folder: str, shown: str) -> None:
    assert package_readme.absolute(text, FORGE, "v1", folder) == shown


def test_without_an_address_only_the_words_of_a_link_are_left() -> None:
    text = "[a](docs/x.md) ![b](c.svg) [d](https://example.com)"
    assert package_readme.absolute(text, "", "v1") == "a *b* [d](https://example.com)"
    assert package_readme.project_urls("") == ""


@pytest.mark.parametrize(
    ("given", "address"),
    [("", ""), (f"{FORGE}/", FORGE), (f"{FORGE}.git", FORGE)],
)
def test_the_address_is_taken_from_the_environment(given: str, address: str) -> None:
    assert dist.forge_address({"PROJECT_URL": given}) == address


def test_an_address_without_https_is_refused() -> None:
    with pytest.raises(dist.DistError, match="https://"):
        dist.forge_address({"PROJECT_URL": "git@example.com:own/project"})


class Addresses(HTMLParser):
    """The links and pictures of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            if name in ("src", "srcset"):
                self.pictures.append(value or "")


@pytest.mark.parametrize(
    "distribution", [dist.PROVIDER, dist.EMULATOR], ids=lambda distribution: distribution.name
)
def test_the_readme_renders_as_an_index_renders_it(
    distribution: dist.Distribution, tmp_path: Path
) -> None:
    settings = venvs.pip_config(Path(sys.executable), os.environ)
    environ = {**os.environ, **pip_settings.uv_environment(settings, os.environ)}
    flags = pip_settings.uv_flags(settings)
    uv = [sys.executable, "-m", "uv"]
    built = dist.build(uv, distribution, tmp_path, flags, environ | {"PROJECT_URL": FORGE})
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(wheel.read(name).decode())
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert urls["Homepage"] == FORGE
    assert all(address.startswith(FORGE) for address in urls.values())
    page = tmp_path / "README.md"
    page.write_text(str(metadata.get_payload()))
    render = "import sys, readme_renderer.markdown as m; print(m.render(sys.stdin.read()) or '')"
    tool = [*uv, "tool", "run", *flags, "--constraints", str(dist.PINS)]
    done = subprocess.run(
        [*tool, "--from", "readme-renderer[md]", "python", "-W", "error", "-c", render],
        env=environ,
        input=page.read_text(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = Addresses(done.stdout)
    assert found.links
    foreign = [link for link in found.links if not link.startswith(("https://", "#", "mailto:"))]
    assert foreign == []
    assert all(picture.startswith(f"{FORGE}/raw/v") for picture in found.pictures)
    assert found.pictures or "![" not in (distribution.source / "README.md").read_text()
    own = [link for link in found.links + found.pictures if link.startswith(f"{FORGE}/")]
    for link in own:
        path = link.removeprefix(f"{FORGE}/").split("/", 2)[2].partition("#")[0]
        assert (venvs.ROOT / path).exists(), link
