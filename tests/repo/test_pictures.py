"""The pictures of README.md show what the commands print."""

import os
import re
from pathlib import Path

import pytest

from scripts import pictures
from scripts.demo_openai import STEPS


def words(svg: str) -> list[str]:
    """The words of a picture without times and rates."""
    return re.sub(r"\d+(\.\d+)? (ms|s)\b|\d+ tokens/s", "", " ".join(pictures.text_of(svg))).split()


def test_doctor_shows_what_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "ROUNDS", 1)
    kept = (pictures.FOLDER / "doctor.svg").read_text()
    assert words(pictures.doctor(os.environ)) == words(kept)
    assert "all well" in " ".join(words(kept))


def test_demo_shows_every_request() -> None:
    shown = " ".join(pictures.text_of((pictures.FOLDER / "demo.svg").read_text()))
    for name, _ in STEPS:
        assert re.search(rf"ok +{re.escape(name)} ", shown)
    assert f"All {len(STEPS)} requests were answered" in re.sub(" +", " ", shown)


@pytest.mark.parametrize("name", ["doctor", "demo"])
def test_a_picture_fetches_nothing(name: str) -> None:
    found = re.findall(r"https?://[\w.]+", (pictures.FOLDER / f"{name}.svg").read_text())
    assert set(found) <= {"http://www.w3.org", "http://127.0.0.1"}


def test_of_some_runs_the_quickest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = iter(["a 90 ms\nb 0.30 s", "a 80 ms\nb 0.20 s", "a 1.5 s\nb 10 ms"])
    monkeypatch.setattr(pictures, "printed", lambda command, environ: next(outputs))
    assert pictures.quickest(["x"], {}) == "a 80 ms\nb 0.20 s"


def test_a_spinner_is_left_out(tmp_path: Path) -> None:
    svg = pictures.picture("make x", "\u280b Starting\n\x1b[32mok\x1b[0m    done\n")
    assert pictures.text_of(svg)[-2:] == ["ok", "done"]
    assert "Starting" not in svg
