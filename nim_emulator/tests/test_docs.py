"""The reference describes the emulator as it is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from nim_emulator import DIALECTS, EmulatorServer, Fault, RecordedRequest, Reply, tables
from nim_emulator.cli import command_line
from nim_emulator.faults import fault_table

PAGE = (Path(__file__).parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_data() -> None:
    for table in (
        tables.dialect_table(),
        tables.model_table("hosted"),
        tables.special_table("hosted"),
        fault_table(),
        tables.embedder_table(),
        tables.reranker_table(),
    ):
        assert table in PAGE


def test_the_routes_are_those_of_the_data() -> None:
    section = PAGE.split("Routes beside inference")[1].split("\n## ")[0]
    for line in section.splitlines():
        if not line.startswith("| `"):
            continue
        first, second = line.strip("| ").split(" | ")
        for name in re.findall(r"`([^`]+)`", first):
            dialect = DIALECTS[name]
            routes = set(dialect.routes)
            if dialect.poll_path is not None:
                routes.add(f"{dialect.poll_path}{{id}}")
            named = set(re.findall(r"`(/[^`]+)`", second))
            assert named == routes, name


def test_the_paths_of_services_are_those_of_the_data() -> None:
    section = PAGE.split("| Dialect | Embeddings | Ranking |")[1].split("\n\n")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    told = {}
    for row in rows:
        names, paths = row.strip("| ").split(" | ", 1)
        for name in re.findall(r"`([^`]+)`", names):
            told[name] = set(re.findall(r"`(/[^`]+)`", paths))
    assert told == {name: set(item.services) for name, item in DIALECTS.items() if item.services}


def test_the_fields_of_records_and_replies() -> None:
    for field in fields(RecordedRequest):
        assert f"`{field.name}`" in PAGE
    for name in (*Reply.model_fields, *Fault.model_fields):
        assert f"`{name}`" in PAGE


def test_the_options() -> None:
    help_ = (
        CliRunner().invoke(command_line("nim-emulator"), ["--help"], env={"COLUMNS": "400"}).output
    )
    for option in set(re.findall(r"`(--[a-z-]+)", PAGE)):
        assert option in help_


def test_the_python_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(program, "reference.md", "exec"), {})
    age, status, message, wait, *requests = capsys.readouterr().out.splitlines()
    assert (age, status, wait) == ('{"age": 42}', "503", "2")
    assert "Extra inputs are not permitted" in message
    assert requests == [
        "POST /v1/chat/completions 200 None",
        "POST /v1/chat/completions 503 None",
        "POST /v1/chat/completions 400 None",
        "POST /v1/chat/completions 429 status",
    ]


def test_the_script_of_the_page_is_valid(http: httpx.Client) -> None:
    (script,) = re.findall(r"-d '(.*)'", PAGE)
    with EmulatorServer() as nim:
        headers = {"content-type": "application/json"}
        answer = http.post(f"{nim.url}/emulator/script", content=script, headers=headers)
        assert answer.json() == {"waiting": 1}


def test_the_faults_of_the_page_are_valid(http: httpx.Client) -> None:
    (faults,) = re.findall(r"--data '(.*)'", PAGE)
    with EmulatorServer() as nim:
        answer = http.post(f"{nim.url}/emulator/faults", content=faults)
        assert answer.json() == {"waiting": 2}
