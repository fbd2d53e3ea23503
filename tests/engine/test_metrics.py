"""The engine's metrics are those of the emulator, and have what the rules of deploy/ read."""

import re
from pathlib import Path

import httpx

from nim_emulator import EmulatorServer

from .conftest import TESTED, Engine

RULES = Path(__file__).parents[2] / "deploy" / "monitoring" / "rules.yaml"
KINDS = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
SAMPLES = re.compile(r"^([\w:]+)\{([^}]*)\}", re.MULTILINE)


def metrics(url: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The kinds of metrics, and the labels of their samples, after one chat."""
    body = {
        "model": TESTED.served,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 4,
    }
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        http.post("/v1/chat/completions", json=body).raise_for_status()
        text = http.get("/metrics").raise_for_status().text
    labels: dict[str, set[str]] = {}
    for name, found in SAMPLES.findall(text):
        labels.setdefault(name, set()).update(re.findall(r"(\w+)=", found))
    return dict(KINDS.findall(text)), labels


def test_the_emulator_has_the_engine_s_metrics(engine: Engine) -> None:
    kinds, labels = metrics(engine.url)
    with EmulatorServer(TESTED.dialect.replace("nim2-vllm", "vllm"), [TESTED.served]) as nim:
        emulated_kinds, emulated_labels = metrics(nim.url)
    assert len(emulated_kinds) >= 5
    assert emulated_kinds == {name: kinds.get(name) for name in emulated_kinds}
    assert emulated_labels == {name: labels.get(name) for name in emulated_labels}


def test_the_engine_serves_what_the_rules_read(engine: Engine) -> None:
    kinds, _ = metrics(engine.url)
    read = set(re.findall(rf"{TESTED.name}:\w+", RULES.read_text()))
    # Dynamo's front end is not read: its workers serve the metrics of their engine.
    assert read or TESTED.name == "dynamo"
    assert read <= set(kinds)
