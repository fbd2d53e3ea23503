"""The page of peers, and what writes its table."""

import re

import pytest

from benchmarks import peer_checks, peers
from scripts import venvs
from scripts.stack_server import ROOT

PAGE = (ROOT / "docs" / "peers.md").read_text()


SERVERS = {"Llama Stack": "llama-stack-", "OGX": "ogx-"}


def measured(server: str) -> list[list[str]]:
    text = PAGE.split(peers.BEGIN.format(server=server))[1].split(peers.END)[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:1] == "|"]
    return [rows[0], *rows[2:]]


@pytest.mark.parametrize("server", SERVERS)
def test_a_table_has_a_row_for_each_check_and_a_column_for_each_subject(server: str) -> None:
    head, *rows = measured(server)
    ours, builtin, *others = head
    assert ours.startswith(f"this provider, {server} ")
    release = SERVERS[server] + ours.rpartition(" ")[2]
    assert (ROOT / "constraints" / f"{release}.txt").exists()
    assert builtin == ours.replace("this provider", "built-in")
    pins = peers.PINS.read_text()
    assert others == [
        venvs.pin(pins, name).replace("==", " ") for name in ("litellm", peers.PEERS["langchain"])
    ]
    assert [row[0] for row in rows] == list(peer_checks.CHECKS.values())
    assert all(len(row) == 5 for row in rows)


@pytest.mark.parametrize("server", SERVERS)
def test_this_provider_passes_every_check(server: str) -> None:
    _, *rows = measured(server)
    assert {row[1] for row in rows} == {"yes", "0"}


@pytest.mark.parametrize("server", SERVERS)
def test_an_outcome_is_yes_no_a_number_or_the_nims_that_work(server: str) -> None:
    nims = "|".join(map(re.escape, peer_checks.TITLES.values()))
    form = re.compile(rf"yes|no|\d+|only (?:{nims})(?:, (?:{nims}))*")
    _, *rows = measured(server)
    assert [cell for row in rows for cell in row[1:] if not form.fullmatch(cell)] == []


@pytest.mark.parametrize("ours", [True, False])
def test_only_this_provider_has_a_module(ours: bool) -> None:
    nims = {"nim1": "http://127.0.0.1:1", "slow": "http://127.0.0.1:2"}
    entries = peers.run_yaml(nims, ours)["providers"]["inference"]
    assert [entry["provider_id"] for entry in entries] == ["nim1", "slow"]
    assert all(("module" in entry) is ours for entry in entries)
    assert [entry["config"].get("timeout") for entry in entries] == [None, 2]


def test_the_table_is_written_from_the_outcomes() -> None:
    found = {name: dict.fromkeys(peer_checks.CHECKS, name) for name in ("a", "b")}
    lines = peers.table(found).splitlines()
    assert lines[:2] == ["|  | a | b |", "| --- | --- | --- |"]
    assert all(line.endswith("| a | b |") for line in lines[2:])
    assert len(lines) == 2 + len(peer_checks.CHECKS)


def test_a_table_takes_its_server_s_place() -> None:
    one, two = (peers.BEGIN.format(server=name) for name in SERVERS)
    page = f"a\n{one}\nold\n{peers.END}b\n{two}\nold\n{peers.END}c\n"
    made = peers.placed(page, "OGX", "| new |\n")
    assert made == f"a\n{one}\nold\n{peers.END}b\n{two}\n| new |\n\n{peers.END}c\n"
    with pytest.raises(ValueError, match="no line '<!-- measured: LiteLLM -->'"):
        peers.placed(page, "LiteLLM", "")


def test_the_pins_are_exact() -> None:
    lines = [line for line in peers.PINS.read_text().splitlines() if line[:1] != "#"]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line)] == []
