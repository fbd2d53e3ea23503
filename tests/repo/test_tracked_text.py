"""Published text names no place on the machine it was written on, and no package index."""

import re
import subprocess
from pathlib import Path

import pytest

# Written in pieces, so that this file passes its own test.
HOSTS = ("pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js.org")
MACHINE_PATH = re.compile(r"(?<![\w.~*])/(?:root|work|Users/\w+|home/\w+)/[\w.]")


def published(root: Path) -> list[Path]:
    """The files that are tracked or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := root / name).is_file()]


def complaints(text: str) -> list[str]:
    return [host for host in HOSTS if host in text] + MACHINE_PATH.findall(text)


@pytest.mark.parametrize(
    ("text", "complained"),
    [
        ("see " + "https://pypi" + ".org/project/x", True),
        ("cd /" + "root/project", True),
        ("'/" + "home/someone/x'", True),
        ("the folder ~/work/x and docs/work/y", False),
        ("https://example.com/root/x", False),
        ("a NIM keeps its models in /opt/nim/.cache", False),
    ],
)
def test_what_counts_as_a_place(text: str, complained: bool) -> None:
    assert bool(complaints(text)) is complained


def test_no_published_file_names_a_machine_s_place_or_an_index(root: Path) -> None:
    found = {
        str(path.relative_to(root)): named
        for path in published(root)
        if (named := complaints(path.read_text("utf-8", "ignore")))
    }
    assert found == {}
