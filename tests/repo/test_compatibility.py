"""docs/compatibility.md says what `make matrix` tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import interpreters, junit, matrix, releases, venvs
from scripts.interpreters import NoInterpreterError, Version

PAGE = (venvs.ROOT / "docs" / "compatibility.md").read_text()
CI_RUN = (venvs.ROOT / ".ci" / "run").read_text()


def rows() -> dict[str, list[str]]:
    """The cells of each release's row."""
    found = re.findall(r"^\| ((?:Llama Stack|OGX) [\d.]+) \|(.*)\|$", PAGE, re.MULTILINE)
    return {title: [cell.strip() for cell in cells.split("|")] for title, cells in found}


def test_the_table_names_exactly_the_releases_that_are_pinned() -> None:
    assert list(rows()) == [releases.parse(stack).title for stack in venvs.pinned()]


def test_the_table_names_the_pythons_that_are_tested() -> None:
    tested: dict[str, list[str]] = {}
    for run in matrix.runs():
        tested.setdefault(releases.parse(run.stack).title, []).append(str(run.python))
    assert {title: cells[0].split(", ") for title, cells in rows().items()} == tested


def test_the_pins_in_the_table_are_those_of_the_files() -> None:
    for stack in venvs.pinned():
        release = releases.parse(stack)
        pins = venvs.constraints_path(stack).read_text()
        for name, version in re.findall(r"`([a-z-]+)` (\d+\.\d+\.\d+)", rows()[release.title][4]):
            assert f"\n{name}=={version}\n" in pins, (stack, name)
        assert re.search(rf"^{release.project}=={re.escape(release.version)}$", pins, re.MULTILINE)


def test_the_native_api_went_with_0_3() -> None:
    native = [title for title, cells in rows().items() if cells[1] == "yes"]
    assert native == [title for title in rows() if title.startswith("Llama Stack 0.2.")]


@pytest.mark.parametrize(
    ("stack", "slug", "title"),
    [
        ("0.7.3", "llama-stack-0.7.3", "Llama Stack 0.7.3"),
        ("llama-stack-0.7.3", "llama-stack-0.7.3", "Llama Stack 0.7.3"),
        ("ogx-1.5.0", "ogx-1.5.0", "OGX 1.5.0"),
    ],
)
def test_the_names_of_a_release(stack: str, slug: str, title: str) -> None:
    release = releases.parse(stack)
    assert (release.slug, release.title) == (slug, title)
    assert releases.parse(release.stack) == release


def test_releases_are_chosen_by_name() -> None:
    assert {run.stack for run in matrix.runs(["0.7.3", "ogx-1.5.0"])} == {"0.7.3", "ogx-1.5.0"}
    assert "0.2.12" not in {run.stack for run in matrix.runs(without=["0.2.12"])}
    left = [str(run.python) for run in matrix.runs(without=["0.7.3"]) if run.stack == "0.7.3"]
    assert left == ["3.13"]
    with pytest.raises(venvs.EnvError, match=r"no pins for 9\.9; there are for 0\.2\.12, "):
        matrix.runs(["9.9"])


def test_each_release_runs_what_it_can_change() -> None:
    whole, other = matrix.Run("0.2.12", Version(3, 11)), matrix.Run("0.2.17", Version(3, 12))
    assert other.arguments[0] == "tests/matrix"
    assert whole.arguments[0] == "tests"
    assert "-k" not in whole.arguments
    assert all((venvs.ROOT / path).exists() for path in matrix.NOT_AGAIN)
    assert "test_error_table" in other.left_out
    assert "test_error_table" not in matrix.Run("0.7.3", Version(3, 12)).left_out
    other = matrix.Run("0.7.3", Version(3, 13))
    assert other.arguments[0] == "tests/matrix"
    assert "test_conformance" in other.left_out


def test_the_native_api_is_tested_whole() -> None:
    whole = [(run.stack, str(run.python)) for run in matrix.runs() if run.is_whole]
    assert whole == [("0.2.12", "3.11")]
    (covered,) = [run for run in matrix.runs() if run.coverage]
    assert covered.is_whole
    assert "--cov" in covered.arguments


def test_a_report_is_counted_and_tells_what_failed(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="9" failures="1" errors="1" skipped="1">'
        '<testcase classname="tests.test_a" name="test_good"/>'
        f'<testcase classname="tests.test_a" name="test_x"><failure>{"x" * 9_000}last</failure>'
        '</testcase><testcase classname="tests.test_b" name="test_y"><error message="m"/>'
        "</testcase></testsuite></testsuites>"
    )
    found = junit.read(report)
    assert (found.passed, found.failed) == (6, 2)
    long, short = found.reasons
    assert long.startswith("tests.test_a::test_x\n[...]x")
    assert long.endswith("xlast")
    assert len(long) < 3_000
    assert short == "tests.test_b::test_y\nm"


FAILS_ONCE = """
import pathlib

def test_good():
    pass

def test_once(tmp_path_factory):
    mark = pathlib.Path(__file__).with_suffix(".mark")
    tried = mark.exists()
    mark.touch()
    assert tried
"""


@pytest.mark.parametrize("spread", [(), ("-n", "2")], ids=["alone", "spread"])
def test_a_test_that_ci_ran_again_is_named(tmp_path: Path, spread: tuple[str, ...]) -> None:
    (tmp_path / "test_a.py").write_text(FAILS_ONCE)
    report = tmp_path / "report.xml"
    options = re.findall(r'^export PYTEST_ADDOPTS="(.+)"$', CI_RUN, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"--junit-xml={report}", *spread],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_ADDOPTS": options[0]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (junit.read(report).passed, junit.read(report).failed) == (2, 0)
    again = tuple(matrix.RERUN.findall(done.stdout))
    assert again == ("test_a.py::test_once",)
    outcome = matrix.Outcome(matrix.Run("0.7.3", Version(3, 12)), passed=2, reruns=again)
    assert outcome.good
    assert "run again: test_a.py::test_once" in matrix.table([outcome])


def test_a_release_without_a_result_has_failed() -> None:
    run = matrix.Run("0.7.3", Version(3, 12))
    good = matrix.Outcome(run, passed=3, seconds=1)
    bad = matrix.Outcome(run, passed=2, failed=1, reasons=("tests.test_a::test_x\nits text",))
    none = matrix.Outcome(run, problem="There is no Python 3.12 on this machine.")
    assert [outcome.good for outcome in (good, bad, none, matrix.Outcome(run))] == [
        True,
        False,
        False,
        False,
    ]
    lines = matrix.table([good, bad, none]).splitlines()
    assert lines[2].strip() == "tests.test_a::test_x"
    assert lines[-1] == "5 passed, 2 failed"
    assert "no Python 3.12" in none.line()


def test_a_missing_python_is_told_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoInterpreterError, match=r"no Python 3\.13.*pyenv install 3\.13"):
        interpreters.exactly(Version(3, 13), {"PYENV_ROOT": str(tmp_path)})


def test_an_environment_beside_the_first_one_for_another_python() -> None:
    assert venvs.venv_path("0.7.3", Version(3, 12)) == venvs.venv_path("0.7.3")
    assert venvs.venv_path("0.7.3", Version(3, 13)).name == "llama-stack-0.7.3-python3.13"
