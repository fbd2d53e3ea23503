"""The ways to install: the commands of docs/install.md, each in a new environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import interpreters, venvs
from scripts.stack_server import ROOT

# pip takes its time on a busy machine.
pytestmark = pytest.mark.timeout(600)

PAGE = (ROOT / "docs" / "install.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "nim_emulator" / "README.md", *(ROOT / "docs").glob("*.md")]
PUBLISHED = "git+https://HOST/OWNER/REPOSITORY@COMMIT"


def blocks(markdown: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)


def section(name: str, page: str = PAGE) -> list[str]:
    return blocks(page.split(f"\n## {name}\n")[1].split("\n## ")[0])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the sources as they are, committed or not."""
    folder = tmp_path_factory.mktemp("clone") / "checkout"
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


def install(commands: str, checkout: Path, folder: Path) -> str:
    """Run the commands in a shell with a new environment; return the installed tool's version."""
    opening, *_ = blocks(PAGE)
    stack = interpreters.default_stack(interpreters.Version(*sys.version_info[:2]))
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.check_output(head, cwd=checkout, text=True).strip()
    source = f"git+file://{checkout}@{commit}"
    script = "\n".join(
        [
            f"cd {folder}",
            opening.replace("python3 ", f"{sys.executable} "),
            f"cd {checkout}",
            commands.replace(PUBLISHED, source),
            f"cd {folder}",
            *section("Afterwards"),
        ]
    )
    done = subprocess.run(
        ["bash", "-euc", script],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": os.environ["HOME"],
            # What is installed is what was tested; nothing of it is compiled before it is used.
            "PIP_CONSTRAINT": str(venvs.constraints_path(stack)),
            "PIP_NO_COMPILE": "1",
            "PIP_QUIET": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


VERSION = (ROOT / "llama_stack_provider_nvidia" / "_version.py").read_text().split('"')[-2]


def test_from_a_checkout(checkout: Path, tmp_path: Path) -> None:
    alone, with_server, _pinned = section("From a checkout")
    assert alone in README
    # The server is resolved and not installed: each of the project's own environments does that.
    server = with_server.replace("install", "install --dry-run").replace("./nim_emulator", "")
    commands = f"{alone}{server}pip install ./nim_emulator\nnim-emulator --version\n"
    assert install(commands, checkout, tmp_path) == VERSION


def test_from_a_wheel(checkout: Path, tmp_path: Path) -> None:
    build, wheel = section("From wheels")[0].splitlines()
    assert f"{build}\n{wheel}\n" in README
    # `make dist` makes its environment and tries each wheel: .ci/run does that.
    assert build == "make dist"
    build = "pip wheel --no-deps --wheel-dir dist ."
    assert install(f"{build}\n{wheel}", checkout, tmp_path) == VERSION


def test_from_wheels_without_a_network(checkout: Path, tmp_path: Path) -> None:
    collect, use = section("From wheels")[1].splitlines()
    use = f"env -u PIP_CONSTRAINT https_proxy=http://127.0.0.1:9 {use}"
    assert install(f"{collect}\n{use}", checkout, tmp_path) == VERSION


def test_from_git(checkout: Path, tmp_path: Path) -> None:
    (commands,) = section("From git")
    provider = commands.splitlines()[0]
    assert provider in README
    assert install(f"{commands}nim-emulator --version", checkout, tmp_path) == VERSION


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_index_is_named_as_what_comes_once_published(path: Path) -> None:
    text = path.read_text()
    for found in re.finditer(r"pip install '?(llama-stack-provider-nvidia|nim-emulator)", text):
        before = text[: found.start()].splitlines()[-5:]
        before.append(text[: found.end()].splitlines()[-1])
        assert re.search(r"[Oo]nce (\w+ )*published|--no-index", "\n".join(before)), found[0]


def test_the_extras_that_are_installed_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for extras in re.findall(r"(?:nvidia|\.)\[([\w,-]+)\]", "".join(blocks(PAGE))):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_the_files_of_pins_that_are_named_exist() -> None:
    named = re.findall(r"constraints/[\w.-]+\.txt", PAGE)
    assert named
    assert all((ROOT / name).exists() for name in named)
