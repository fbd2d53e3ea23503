"""README.md describes the emulator as it is, and its commands and example run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from nim_emulator import DIALECTS, FAULTS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Five commands")[1].split("\n## ")[0]
(COMMANDS,) = re.findall(r"^```bash\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
KEY = {"authorization": "Bearer nvapi-test"}


def test_there_are_five_commands() -> None:
    assert len(COMMANDS.splitlines()) == 5


@pytest.mark.parametrize("line", COMMANDS.splitlines())
def test_each_command_runs(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    command = [str(Path(sys.executable).with_name(program)), *arguments, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with httpx.Client(trust_env=False, headers=KEY) as http:
            while (answer := http.get(f"{url}/models")).status_code == 429:
                pass
        assert answer.json()["data"]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_example_passes(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    path = tmp_path / "test_example.py"
    path.write_text(program, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_it_lists_the_dialects() -> None:
    section = README.split("## Dialects")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if "| `" in line]
    listed = {tuple(re.findall(r"`([^`]+)`", names)): summary for names, summary in rows[1:]}
    assert listed == {(item.name, *item.aliases): item.summary for item in DIALECTS.values()}


def test_it_lists_the_faults_by_kind() -> None:
    section = README.split("## Faults")[1].split("\n## ")[0]
    listed = {}
    for line in section.splitlines():
        if line.startswith("| ") and "`" in line:
            kind, names = line.strip("| ").split(" | ")
            listed |= dict.fromkeys(re.findall(r"`([^`]+)`", names), kind)
    assert listed == {name: fault.kind for name, fault in FAULTS.items()}
