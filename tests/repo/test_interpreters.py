"""Which release and which Python are chosen."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts import interpreters, venvs
from scripts.interpreters import Interpreter, NoInterpreterError, Version


def at(version: str) -> Interpreter:
    major, minor = version.split(".")
    return Interpreter(f"python{version}", Version(int(major), int(minor)))


@pytest.mark.parametrize(
    ("python", "stack"),
    [
        ((3, 9), "0.2.12"),
        ((3, 11), "0.2.12"),
        ((3, 12), "0.7.3"),
        ((3, 13), "0.7.3"),
        ((3, 14), "0.7.3"),
    ],
)
def test_the_release_follows_from_the_python(python: tuple[int, int], stack: str) -> None:
    assert interpreters.default_stack(Version(*python)) == stack


@pytest.mark.parametrize(
    ("stack", "minimum"),
    [
        ("0.2.9", "3.11"),
        ("0.2.12", "3.11"),
        ("0.2.13", "3.12"),
        ("0.2.24", "3.12"),
        ("1.0", "3.12"),
    ],
)
def test_the_oldest_python_of_a_release(stack: str, minimum: str) -> None:
    assert str(interpreters.minimum_python(stack)) == minimum


@pytest.mark.parametrize(
    ("stack", "current", "here", "chosen"),
    [
        # The running Python serves when it is among the tested ones.
        ("0.2.12", "3.11", [], "3.11"),
        ("0.2.12", "3.13", ["3.11"], "3.13"),
        ("0.2.24", "3.12", [], "3.12"),
        # Otherwise the best one found does, a tested one before a newer one.
        ("0.2.24", "3.11", ["3.12", "3.13"], "3.12"),
        ("0.2.24", "3.11", ["3.13"], "3.13"),
        ("0.2.12", "3.10", ["3.11", "3.12"], "3.11"),
        ("0.2.24", "3.14", ["3.13"], "3.13"),
        # A newer Python than any tested is better than none.
        ("0.2.24", "3.14", [], "3.14"),
        ("0.2.24", "3.11", ["3.14"], "3.14"),
    ],
)
def test_the_python_for_a_release(stack: str, current: str, here: list[str], chosen: str) -> None:
    def paths(versions: Sequence[Version]) -> list[str]:
        return [f"python{v}" for v in versions if str(v) in here]

    def run(path: str) -> Version:
        return at(path.removeprefix("python")).version

    assert interpreters.find(stack, at(current), paths, run) == at(chosen)


def test_a_python_that_does_not_run_is_passed_over() -> None:
    runs = {"shim": None, "liar": Version(3, 11), "real": Version(3, 12)}
    found = interpreters.find("0.2.24", at("3.11"), lambda versions: list(runs), runs.__getitem__)
    assert found == Interpreter("real", Version(3, 12))


def test_without_a_suitable_python_the_error_says_which_and_how() -> None:
    with pytest.raises(NoInterpreterError) as caught:
        interpreters.find("0.2.24", at("3.11"), lambda versions: [], lambda path: None)
    text = str(caught.value)
    assert "Llama Stack 0.2.24 needs Python 3.12 or later and this is Python 3.11." in text
    assert "pyenv install 3.12" in text
    assert "make PYTHON=" in text


def test_probing(tmp_path: Path) -> None:
    broken = tmp_path / "python3.12"
    broken.write_text("#!/bin/sh\necho 'no version is set' >&2\nexit 127\n")
    broken.chmod(0o755)
    chatty = tmp_path / "python3.13"
    chatty.write_text("#!/bin/sh\necho hello\n")
    chatty.chmod(0o755)
    assert interpreters.probe(sys.executable) == sys.version_info[:2]
    assert interpreters.probe(str(broken)) is None
    assert interpreters.probe(str(chatty)) is None
    assert interpreters.probe(str(tmp_path / "missing")) is None


def test_path_comes_before_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = tmp_path / "bin" / "python3.12"
    kept = tmp_path / "pyenv" / "versions" / "3.12.1" / "bin" / "python3.12"
    for file in (on_path, kept):
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    wanted = [Version(3, 12), Version(3, 13)]
    found = interpreters.candidates(wanted, str(tmp_path / "pyenv"))
    assert list(found) == [str(on_path), str(kept)]
    assert list(interpreters.candidates(wanted, None)) == [str(on_path)]


def test_pyenv_s_folder_may_be_named() -> None:
    assert interpreters.pyenv_root({"PYENV_ROOT": "there"}) == "there"


def test_the_variables_name_release_and_python() -> None:
    here = Version(*sys.version_info[:2])
    stack, python = interpreters.choose({"PYTHON": sys.executable})
    assert (stack, python) == (
        interpreters.default_stack(here),
        Interpreter(sys.executable, here),
    )
    assert interpreters.choose({"STACK": "0.2.12"})[0] == "0.2.12"


def test_the_default_is_the_newest_release_that_any_python_here_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = Interpreter("python3.12", Version(3, 12))
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    monkeypatch.setattr(interpreters, "candidates", lambda versions, root: [newer.path])
    monkeypatch.setattr(interpreters, "probe", lambda path: newer.version)
    notes: list[str] = []
    assert interpreters.choose({}, notes.append) == ("0.7.3", newer)
    assert notes == []


@pytest.mark.parametrize("variables", [{}, {"PYTHON": "mine"}])
def test_one_line_says_what_a_newer_python_gives(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    monkeypatch.setattr(interpreters, "candidates", lambda versions, root: [])
    monkeypatch.setattr(interpreters, "probe", lambda path: Version(3, 11))
    notes: list[str] = []
    stack, python = interpreters.choose(variables, notes.append)
    assert (stack, python.version) == ("0.2.12", (3, 11))
    (note,) = notes
    assert note.count("\n") == 1
    assert "With Python 3.12 or later it would be 0.7.3" in note
    notes.clear()
    interpreters.choose({**variables, "STACK": "0.2.12"}, notes.append)
    assert notes == []


def test_the_newest_release_has_pins() -> None:
    """And no later one under the same name has any."""
    named = [stack for stack in venvs.pinned() if not stack.startswith("ogx-")]
    assert named[-1] == interpreters.NEWEST_STACK


def test_a_named_python_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "probe", lambda path: Version(3, 11))
    with pytest.raises(NoInterpreterError, match=r"needs Python 3\.12 .* PYTHON=mine is 3\.11"):
        interpreters.choose({"PYTHON": "mine", "STACK": "0.2.24"})
