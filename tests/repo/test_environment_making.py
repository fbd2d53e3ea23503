"""How an environment is made: once, in phases, by uv or else by pip."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts import venvs
from scripts.interpreters import Interpreter, Version
from scripts.phases import PhaseError, Phases, hint

PYTHON = Interpreter("python3", Version(3, 11))


class RecordedPhases(Phases):
    """Keeps the commands instead of running them; those with a failing word fail."""

    def __init__(self, log: Path, failing: str = "\0") -> None:
        super().__init__(log, out=lambda text: None)
        self.failing = failing
        self.commands: list[tuple[list[str], dict[str, str]]] = []

    def run(self, title: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.commands.append((list(command), dict(environ)))
        if self.failing in command:
            raise PhaseError(title)


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("# header\nhttpx==1.0\nuv==9.9\n")
    return path


@pytest.fixture(autouse=True)
def _no_pip_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"index-url": "https://m.example/simple"}
    monkeypatch.setattr(venvs, "pip_config", lambda python, environ: settings)


def test_uv_installs_at_the_pins(constraints: Path, tmp_path: Path) -> None:
    phases = RecordedPhases(tmp_path / "log")
    venvs.install(Path("venv/bin/python"), constraints, "llama-stack,dev", phases, {"A": "1"})
    (fetch, _), (install, environ) = phases.commands
    assert fetch[-1] == "uv==9.9"
    assert f"{venvs.ROOT}[llama-stack,dev]" in install
    assert str(venvs.ROOT / "nim_emulator") in install
    assert install[install.index("--constraints") + 1] == str(constraints)
    assert install[install.index("--build-constraints") + 1] == str(constraints)
    assert environ == {"A": "1", "UV_DEFAULT_INDEX": "https://m.example/simple"}


@pytest.mark.parametrize("failing", ["uv==9.9", "uv"])
def test_pip_installs_where_uv_cannot(constraints: Path, tmp_path: Path, failing: str) -> None:
    phases = RecordedPhases(tmp_path / "log", failing)
    venvs.install(Path("venv/bin/python"), constraints, "llama-stack,dev", phases, {})
    command, environ = phases.commands[-1]
    assert command[1:4] == ["-m", "pip", "install"]
    assert command[command.index("--constraint") + 1] == str(constraints)
    assert environ["PIP_CONSTRAINT"] == str(constraints)


def test_an_environment_is_made_once_and_anew_when_its_inputs_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def install(python: Path, constraints: Path, wanted: str, *_: object) -> None:
        assert wanted == "llama-stack,emulator,dev"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text("")
        made.append(python)

    monkeypatch.setattr(venvs, "ROOT", tmp_path)
    monkeypatch.setattr(venvs, "install", install)
    pins = tmp_path / "constraints" / "llama-stack-0.2.12.txt"
    pins.parent.mkdir()
    pins.write_text("uv==1\n")
    project = tmp_path / "pyproject.toml"
    project.write_text("[project]\n")
    emulator = tmp_path / "nim_emulator" / "pyproject.toml"
    emulator.parent.mkdir()
    emulator.write_text("[project]\n")
    (tmp_path / ".venvs" / "llama-stack-0.2.12").mkdir(parents=True)

    inside = venvs.make("0.2.12", PYTHON, {}, RecordedPhases)
    assert inside == venvs.venv_python(tmp_path / ".venvs" / "llama-stack-0.2.12")
    for change, count in [
        (lambda: None, 1),
        (lambda: pins.write_text("uv==2\n"), 2),
        (lambda: project.write_text("[project]\nname = 'x'\n"), 3),
        (lambda: emulator.write_text("[project]\nname = 'y'\n"), 4),
        (inside.unlink, 5),
        (lambda: None, 5),
    ]:
        change()
        venvs.make("0.2.12", PYTHON, {}, RecordedPhases)
        assert len(made) == count


def test_the_python_is_part_of_the_fingerprint() -> None:
    other = Interpreter("python3", Version(3, 12))
    assert venvs.fingerprint(PYTHON, b"a") == venvs.fingerprint(PYTHON, b"a")
    assert venvs.fingerprint(PYTHON, b"a") != venvs.fingerprint(other, b"a")
    assert venvs.fingerprint(PYTHON, b"a", b"b") != venvs.fingerprint(PYTHON, b"ab")


def test_a_release_without_pins_is_refused() -> None:
    with pytest.raises(
        venvs.EnvError, match=r"no pins for Llama Stack 9\.9; there are for 0\.2\.12"
    ):
        venvs.make("9.9", PYTHON, {})


def test_a_missing_pin_is_an_error() -> None:
    assert venvs.pin("a==1\nuv==2\n", "uv") == "uv==2"
    with pytest.raises(venvs.EnvError, match="pins no uv"):
        venvs.pin("uvicorn==2\nmy-uv==3\n", "uv")


def test_an_active_environment() -> None:
    before = {"PATH": "/usr/bin", "PYTHONHOME": "x", "PYTHONDONTWRITEBYTECODE": "1", "A": "1"}
    environ = venvs.activated(Path("v/bin/python"), before)
    assert environ == {"PATH": f"v/bin{os.pathsep}/usr/bin", "VIRTUAL_ENV": "v", "A": "1"}


def test_a_phase_is_one_line_with_its_seconds(tmp_path: Path) -> None:
    shown: list[str] = []
    phases = Phases(tmp_path / "deep" / "log", out=shown.append)
    phases.run("greeting", [sys.executable, "-c", "print('hello')"], os.environ)
    line = "".join(shown)
    assert line.startswith("  greeting ... ")
    assert line.endswith(" s\n")
    assert "hello" in (tmp_path / "deep" / "log").read_text()


def test_a_failed_phase_shows_the_end_of_its_own_output(tmp_path: Path) -> None:
    phases = Phases(tmp_path / "log", out=lambda text: None)
    phases.run("first", [sys.executable, "-c", "print('not mine')"], os.environ)
    code = "print('No module named ensurepip'); raise SystemExit(3)"
    with pytest.raises(PhaseError) as caught:
        phases.run("second", [sys.executable, "-c", code], os.environ)
    text = str(caught.value)
    assert "second: failed with status 3" in text
    assert "No module named ensurepip" in text
    assert "python3-venv" in text
    assert "not mine" not in text


def test_a_program_that_is_missing_fails_its_phase(tmp_path: Path) -> None:
    phases = Phases(tmp_path / "log", out=lambda text: None)
    with pytest.raises(PhaseError, match="no-such-program"):
        phases.run("starting", ["no-such-program"], os.environ)


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("ssl: CERTIFICATE_VERIFY_FAILED", "global.cert"),
        ("error sending request for url", "could not be reached"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for x==1", "the pins do not fit"),
        ("something else", None),
    ],
)
def test_hints(output: str, advice: str | None) -> None:
    found = hint(output)
    assert (advice in found) if found and advice else (found is advice)
