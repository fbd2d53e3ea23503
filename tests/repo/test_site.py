"""The documentation site builds without a warning, and is whole without a network."""

import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from scripts import site
from scripts.stack_server import ROOT

from .docs_tools import docs_tools as docs_tools

EXACT = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9A-Za-z.]*")


@pytest.fixture(scope="module")
def built(docs_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = site.build_command(docs_tools / "python", target)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return target


class Loaded(HTMLParser):
    """The addresses that a browser fetches by itself to show a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe"):
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.found.append(given.get("href") or "")


def test_every_page_of_the_sources_is_built(built: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in built.glob("*.html")} >= {
        *pages,
        "index",
        "contributing",
        "changelog",
    }
    assert "llama-stack-provider-nvidia" in (built / "index.html").read_text()
    assert (built / "search" / "search_index.json").stat().st_size > 10_000


def test_nothing_is_fetched_from_elsewhere(built: Path) -> None:
    for page in built.glob("*.html"):
        foreign = [url for url in Loaded(page.read_text()).found if url.startswith(("http", "//"))]
        assert foreign == [], page.name


def test_links_between_pages_lead_somewhere(built: Path) -> None:
    index = (built / "index.html").read_text()
    assert 'href="nim.html"' in index
    assert 'href="docs/' not in index


def test_a_link_to_nowhere_fails_the_build(docs_tools: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[there](nowhere.md)\n")
    config = yaml.safe_load(re.sub(r"!ENV \[.*\]", '""', (ROOT / "mkdocs.yml").read_text()))
    config |= {"docs_dir": "docs", "site_dir": "site", "nav": [{"Home": "index.md"}], "hooks": []}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    command = site.build_command(docs_tools / "python", tmp_path / "site")
    command[command.index(str(ROOT / "mkdocs.yml"))] = str(tmp_path / "mkdocs.yml")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr


def test_the_pins_are_exact_and_hold_the_extra() -> None:
    lines = [line for line in site.PINS.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not EXACT.fullmatch(line)] == []
    pinned = {line.split("==")[0] for line in lines}
    assert {re.split(r"[^\w-]", name)[0] for name in site.requirements()} <= pinned
    assert "uv" in pinned


def forms() -> Iterator[Path]:
    for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        if path.name != "config.yml":
            yield path


@pytest.mark.parametrize("path", [*forms()], ids=lambda path: path.stem)
def test_issue_forms_are_such(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids)) > 0
    assert all(field["type"] in ("textarea", "input", "dropdown") for field in fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_a_bug_report_asks_what_the_nim_is() -> None:
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text()
    assert "llama-stack-nvidia doctor --json" in form
