"""The output of the examples: the emulated NIM gives the same answer to the same question."""

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nim_emulator.record import fingerprint

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer

pytestmark = pytest.mark.server

Printed = Callable[[str], str]
Done = Callable[[str], subprocess.CompletedProcess[str]]
TO_TEN = "1 2 3 4 5 6 7 8 9 10"
RANKS = "rerank" in stack.KINDS


def test_chat(printed: Printed) -> None:
    first, streamed, pieces = printed("chat").splitlines()
    assert re.match(r"nvidia/meta/llama-3.1-8b-instruct: .*\[stop\]$", first)
    assert 'You wrote: "What is NVIDIA NIM?"' in first
    assert streamed == f"In a stream: {TO_TEN} {' '.join(map(str, range(11, 21)))}"
    (number,) = re.findall(r"\d+", pieces)
    assert int(number) > 1


def test_extraction(printed: Printed) -> None:
    found = dict(line.split(maxsplit=1) for line in printed("extraction").splitlines())
    assert found.keys() == {"name", "age", "languages", "field"}
    assert found["age"] == "36"
    assert {"English", "French"} <= set(found["languages"].split(", "))
    assert found["field"] in {"mathematics", "physics", "poetry"}


def test_langchain(printed: Printed) -> None:
    lines = printed("langchain_chat").splitlines()
    assert re.match(r'Chat: .*"What is NVIDIA NIM\?".* \[[1-9]\d* tokens\]$', lines[0])
    assert lines[1] == f"Stream: {TO_TEN}"
    assert lines[3] == "  get_weather('Paris')"
    assert 'The tool answered: "21 degrees, clear sky"' in lines[4]
    assert re.match(r"Object: Place\(city='\w+', country='\w+'\)$", lines[5])


def test_openai_sdk(printed: Printed) -> None:
    lines = printed("openai_sdk").splitlines()
    assert "nvidia/nvidia/nv-embedqa-e5-v5" in lines[0]
    assert re.search(r"[1-9]\d* tokens\]$", lines[1])
    assert lines[2] == f"Stream:     {TO_TEN} [10 tokens]"
    assert lines[3:5] == [
        f'Tool call:  get_weather({{"city": "{city}"}})' for city in ("Paris", "Tokyo")
    ]
    assert lines[5] == "Embeddings: 2 vectors of {1024} numbers"


def test_rag(printed: Printed) -> None:
    found, _, ranked = printed("rag").partition("Ranked:\n")
    scores = [float(line.split()[0]) for line in found.splitlines()[1:]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert "Mars has two moons" in found.splitlines()[1]
    best, answer = ranked.splitlines()
    assert ("Mars has two moons" in best) == RANKS
    assert ("offers no model that ranks" in best) != RANKS
    assert 'You wrote: "Mars has two moons' in answer


def test_the_rerank_model_is_asked_where_there_is_a_route(
    printed: Printed, nim: EmulatorServer
) -> None:
    printed("rag")
    assert any(one.path == "/v1/rerank" for one in nim.requests) == RANKS


def test_reasoning(printed: Printed) -> None:
    reasoning, content, blank, *streamed = printed("reasoning").splitlines()
    assert reasoning.startswith("Reasoning: The user wants an answer about: What is 17 times 3?")
    assert 'You wrote: "What is 17 times 3?"' in content
    assert "The user wants" not in content
    assert blank == ""
    assert streamed == [
        reasoning.replace("Reasoning:", "Streamed reasoning:"),
        content.replace("Content:  ", "Streamed content:"),
    ]


def test_tenants(printed: Printed, nim: EmulatorServer) -> None:
    text = printed("tenants")
    assert [line[:9] for line in text.splitlines()] == ["tenant 1:"] * 2 + ["tenant 2:"] * 2
    assert "nvapi" not in text
    asked = [(one.body["messages"][0]["content"], one.key) for one in chats(nim)]
    assert Counter(pair for pair in asked if pair[0].startswith("Tenant")) == {
        ("Tenant 1 says hello.", shown("nvapi-of-the-first")): 2,
        ("Tenant 2 says hello.", shown("nvapi-of-the-second")): 2,
    }
    # curl.sh, too, has a key of its own.
    others = {key for said, key in asked if not said.startswith("Tenant")}
    assert others - {shown("nvapi-of-this-tenant")} == {None}


def chats(nim: EmulatorServer) -> list[Any]:
    return [one for one in nim.requests if one.path == "/v1/chat/completions"]


def shown(key: str) -> str:
    """How the emulator shows a key."""
    return fingerprint(f"Bearer {key}").rpartition(" ")[2]


def test_tools_and_an_agent(printed: Printed) -> None:
    hand, agent = printed("tools_agent").split("By an agent:\n")
    assert hand.splitlines()[:3] == ["By hand:", "  get_weather('Paris')", "  get_weather('Oslo')"]
    assert "21 degrees" in hand
    assert "4 degrees, snow" in hand
    called, answer = agent.splitlines()
    assert called == "  get_weather('Oslo')"
    assert "4 degrees, snow" in answer
    assert "21 degrees" not in answer


def test_vision(printed: Printed, nim: EmulatorServer) -> None:
    assert re.match(r"flag\.png, \d+ bytes: .* I see 1 image: image/png\.", printed("vision"))
    (asked,) = [one for one in chats(nim) if "vision" in one.body["model"]]
    assert asked.body["messages"][0]["content"][1]["type"] == "image_url"


def test_a_server_without_agents_is_told_of(printed: Printed) -> None:
    assert printed("no agents").endswith("By an agent:\n  This server has no agents.\n")


def test_a_model_that_is_not_offered_is_told_in_a_sentence(done: Done) -> None:
    ended = done("unknown model")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The server does not offer no/such-model; it has nvidia/meta/")


def test_the_notebook(printed: Printed, tour: Path) -> None:
    printed("tour")
    cells = nbformat.read(tour, as_version=4).cells
    shown = [outputs(cell) for cell in cells if cell.cell_type == "code"]
    names, _, chat, streamed, tools, person, nearest = shown
    assert "nvidia/nvidia/nv-embedqa-e5-v5" in names
    assert "What is NVIDIA NIM?" in chat
    assert streamed == TO_TEN
    assert tools.startswith('get_weather {"city": "Paris"}\n')
    assert "21 degrees in Paris" in tools
    assert re.fullmatch(r"Person\(name='\w+', age=36\)", person)
    assert nearest == "'Mars has two moons.'"


def outputs(cell: Any) -> str:
    """All that a cell of a notebook shows."""
    found = [one.get("text") or one["data"]["text/plain"] for one in cell.outputs]
    return "".join(found)
