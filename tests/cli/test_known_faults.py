"""Faults that real engines were found to have: doctor finds them, or a caller cannot meet them."""

import json
import re
from typing import Any

import pytest

from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT

from .conftest import LLM, Run
from .test_doctor import report, statuses

PAGE = (ROOT / "docs" / "command-line.md").read_text()


def test_the_page_has_a_row_for_each_fault() -> None:
    table = PAGE.partition("### Faults of engines and servers")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .+ \| (.+) \|$", table, re.MULTILINE)[1:]
    assert len(rows) == 9
    found = {name for row in rows for name in re.findall(r"^`([a-z ]+)` (?:fails|warns)", row)}
    # test_a_server_that_draws_tracebacks_is_warned_of has the other one.
    assert found == {"readiness", "server log"}
    assert all(row.startswith(("handled: ", "`")) for row in rows)


@pytest.mark.parametrize("probe", [[], ["--probe"]], ids=["", "probe"])
def test_a_front_end_without_workers(probe: list[str], run: Run) -> None:
    with EmulatorServer("dynamo", []) as nim:
        checks = report(run("doctor", nim.url, "--json", *probe), 1)
    assert checks["readiness"]["status"] == "failed"
    assert "lists no model" in checks["readiness"]["detail"]
    assert "worker" in checks["readiness"]["remedy"]
    assert {status for name, status in statuses(checks).items() if name != "readiness"} == {
        *("ok", "skipped", "not run")
    }


@pytest.mark.parametrize(
    ("dialect", "context"), [("dynamo", 2048), ("nim2-sglang", 2048), ("vllm", 2048)]
)
def test_the_context_length_is_read_and_every_probe_passes(
    dialect: str, context: int, run: Run
) -> None:
    with EmulatorServer(dialect, [LLM], context=context) as nim:
        checks = report(run("doctor", nim.url, "--json", "--probe"))
        listed: list[Any] = json.loads(run("models", nim.url, "--json").stdout)
    (model,) = checks["models"]["data"]["models"]
    assert model["context_length"] == context
    assert [one["context_length"] for one in listed] == [context]


def test_tools_that_time_out_do_not_blame_the_tool_parser(run: Run) -> None:
    with EmulatorServer() as nim:
        nim.faults(["no-answer:match=get_weather"])
        checks = report(run("doctor", nim.url, "--json", "--probe", "--timeout", "6"), 1)
    assert checks["chat"]["status"] == "ok"
    assert checks["tools"]["status"] == "failed"
    assert "parser" not in checks["tools"]["remedy"]
    assert "timeout" in checks["tools"]["remedy"]
