"""The documentation site builds without a warning, and is whole without a network."""

import os
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

import nim_emulator
from llama_stack_provider_nvidia import convert
from llama_stack_provider_nvidia.nim.errors import NIMError
from scripts import site, site_pictures, site_tabs
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


def test_every_page_is_there_as_markdown_and_listed_for_programs(built: Path) -> None:
    text = (built / "llms.txt").read_text()
    assert text.startswith("# llama-stack-provider-nvidia\n\n> ")
    listed = re.findall(r"^- \[[^\]]+\]\(([\w.-]+\.md)\)(?:: .*[.:])?$", text, re.MULTILINE)
    assert len(listed) == text.count("\n- ")
    pages = {f"{path.stem}.md" for path in built.glob("*.html") if path.stem != "404"}
    assert set(listed) == {path.name for path in built.glob("*.md")} == pages
    for name in listed:
        page = (built / name).read_text()
        assert page.lstrip("<! -\n").startswith(("# ", "generated")) or "\n# " in page[:300], name
        for link in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page):
            assert (built / link).exists(), (name, link)


def test_nothing_is_fetched_from_elsewhere(built: Path) -> None:
    for page in built.glob("*.html"):
        foreign = [url for url in Loaded(page.read_text()).found if url.startswith(("http", "//"))]
        assert foreign == [], page.name


def test_the_reference_has_every_public_name(built: Path) -> None:
    page, text = (built / "api.html").read_text(), (built / "api.md").read_text()
    for module in (convert, nim_emulator):
        for name in module.__all__:
            assert f'id="{module.__name__}.{name}"' in page, name
            assert f"\n### `{name}`\n" in text, name
    for error in NIMError, *subclasses(NIMError):
        assert f'id="{error.__module__}.{error.__name__}"' in page
    assert "get_provider_spec" in page
    assert ":::" not in page + text


def subclasses(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        if one.__module__ == kind.__module__:
            yield one
            yield from subclasses(one)


TABS = """\
before

<!-- tab: one -->

```python
x = 1

y = 2
```

<!-- tab: two -->

words

<!-- end of tabs -->

after
"""


def test_marked_parts_become_tabs() -> None:
    assert site_tabs.tabbed(TABS) == (
        'before\n\n=== "one"\n\n    ```python\n    x = 1\n\n    y = 2\n    ```\n\n'
        '=== "two"\n\n    words\n\nafter\n'
    )
    assert "tab" not in site_tabs.untabbed(TABS)
    assert site_tabs.untabbed(TABS).count("\n\n") == TABS.count("\n\n") - 3


@pytest.mark.parametrize(
    "text", ["<!-- tab: one -->\n\nwords\n", "words\n\n<!-- end of tabs -->\n"]
)
def test_tabs_that_do_not_begin_or_end_fail_the_build(text: str) -> None:
    with pytest.raises(site_tabs.TabError):
        site_tabs.tabbed(text)


@pytest.mark.parametrize(
    "name", ["index", "quickstart", "tools", "structured-output", "vision", "reasoning"]
)
def test_pages_with_both_apis_have_tabs_with_openai_s_first(built: Path, name: str) -> None:
    page = (built / f"{name}.html").read_text()
    labels = re.findall(r'<label for="__tabbed_1_\d">(?:<[^>]*>)?([^<]+)<', page)
    assert labels[0] in ("OpenAI-style", "openai SDK")
    assert labels[-1] == "native, 0.2.x"


def test_without_a_browser_it_is_said_how_to_install_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert site_pictures.main([]) == 1
    assert "apt-get install" in capsys.readouterr().err


def test_a_name_is_marked_for_the_style_sheet(built: Path) -> None:
    assert '<code class="name">nim2-vllm</code>' in (built / "nim.html").read_text()
    long = "<code>llama_stack_provider_nvidia.<wbr>convert</code>"
    assert long in (built / "api.html").read_text()
    assert "code.name" in (built / "stylesheets" / "tables.css").read_text()


def test_links_between_pages_lead_somewhere(built: Path) -> None:
    index = (built / "index.html").read_text()
    assert 'href="nim.html"' in index
    assert 'href="docs/' not in index


def test_edit_links_lead_to_the_sources(docs_tools: Path, tmp_path: Path) -> None:
    command = site.build_command(docs_tools / "python", tmp_path)
    repository = {"DOCS_REPO_URL": "https://example.com/own", "DOCS_EDIT_URI": "edit/main/docs/"}
    subprocess.run(
        command, capture_output=True, check=True, timeout=120, env=os.environ | repository
    )
    for page, source in (
        ("tools.html", "docs/tools.md"),
        ("index.html", "README.md"),
        ("emulator.html", "nim_emulator/docs/reference.md"),
    ):
        text = (tmp_path / page).read_text()
        assert f'href="https://example.com/own/edit/main/{source}"' in text, page


def test_without_a_repository_there_are_no_edit_links(built: Path) -> None:
    assert all("/edit/" not in page.read_text() for page in built.glob("*.html"))


def test_tables_have_their_own_style(built: Path) -> None:
    assert 'href="stylesheets/tables.css"' in (built / "errors.html").read_text()
    assert "word-break: normal" in (built / "stylesheets" / "tables.css").read_text()


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
