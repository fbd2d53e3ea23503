"""Comparison with other clients of NIM: writes the measured table of docs/peers.md.

    python -m benchmarks.peers     in the environment of a release, such as that of 0.7.3

Each subject meets the same emulated NIMs: a server of the release with this provider and with the
built-in one, litellm and langchain-nvidia-ai-endpoints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from benchmarks.peer_checks import CHECKS, EMBEDS, LLMS, RANKS, REASONS
from benchmarks.peer_subjects import MODEL
from nim_emulator import EmulatorServer
from scripts import layer, marked, venvs
from scripts.stack_server import ROOT, StackServer

PINS = ROOT / "constraints" / "peers.txt"
PAGE = ROOT / "docs" / "peers.md"
# The page has a table for each server, between these marks.
BEGIN, END = "<!-- measured: {server} -->\n", "<!-- end of what is measured -->\n"
PEERS = {"litellm": "litellm", "langchain": "langchain-nvidia-ai-endpoints"}


def run_yaml(nims: dict[str, str], ours: bool) -> dict[str, Any]:
    """The examples' run.yaml with an entry for each NIM, with this provider or the built-in."""
    made: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "agents.yaml").read_text("utf-8"))
    entries = []
    for name, url in nims.items():
        config: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": "none"}
        if name == "slow":
            config["timeout"] = 2
        if name == "retriever":
            # The only setting by which the built-in could find the route.
            config["rerank_model_to_url"] = {RANKS: f"{url}/v1/ranking"}
        entry = {"provider_id": name, "provider_type": "remote::nvidia", "config": config}
        if ours:
            entry["module"] = "llama_stack_provider_nvidia"
            config.pop("rerank_model_to_url", None)
        entries.append(entry)
    made["providers"]["inference"] = entries
    return made


def ask(python: str | Path, subject: str, given: dict[str, Any]) -> dict[str, str]:
    """Return the outcomes of a subject's checks."""
    done = subprocess.run(
        [str(python), "-m", "benchmarks.peer_checks", subject],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": str(ROOT),
            # What litellm would download and do without.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "HF_HUB_OFFLINE": "1",
        },
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=900,
    )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(peers: Path) -> dict[str, dict[str, str]]:
    """Return the outcomes of all subjects, by their names for the table."""
    found: dict[str, dict[str, str]] = {}
    _, title = installed_server()
    with ExitStack() as stack:
        nims = {
            dialect: stack.enter_context(EmulatorServer(dialect, models=[MODEL, REASONS])).url
            for dialect in LLMS
        }
        nims["slow"] = stack.enter_context(EmulatorServer("nim2", models=[MODEL])).url
        retriever = EmulatorServer("retriever", models=[EMBEDS, RANKS])
        nims["retriever"] = stack.enter_context(retriever).url
        for name, ours in (("this provider", True), ("built-in", False)):
            with tempfile.TemporaryDirectory() as folder:
                config = Path(folder, "run.yaml")
                config.write_text(yaml.safe_dump(run_yaml(nims, ours)), encoding="utf-8")
                with StackServer(config, log_path=Path(folder, "log")) as server:
                    given = {"url": server.url, "nims": nims}
                    found[f"{name}, {title}"] = ask(sys.executable, "server", given)
        for subject, package in PEERS.items():
            version = _pinned(package)
            found[f"{package} {version}"] = ask(peers, subject, {"url": "", "nims": nims})
    return found


def table(found: dict[str, dict[str, str]]) -> str:
    """Return the outcomes as a table of Markdown."""
    rows = [["", *found], ["---"] * (len(found) + 1)]
    rows += [[words, *(one[name] for one in found.values())] for name, words in CHECKS.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def installed_server() -> tuple[str, str]:
    """Return the name of the installed server, and the name with its release."""
    return next(
        (name, f"{name} {metadata.version(package)}")
        for name, package in (("OGX", "ogx"), ("Llama Stack", "llama-stack"))
        if _installed(package)
    )


def placed(page: str, name: str, made: str) -> str:
    """Return the page with another table of a server.

    Raises:
        ValueError: The page has no place for this server.
    """
    return marked.replaced(page, BEGIN.format(server=name), END, f"\n{made}\n")


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _pinned(package: str) -> str:
    return venvs.pin(PINS.read_text(encoding="utf-8"), package).partition("==")[2]


def main() -> int:
    """Measure, and put the table into the page."""
    release = Path(sys.executable)
    peers = layer.beside("litellm and LangChain", "peers", PINS, release, dict(os.environ))
    made = table(measure(peers))
    print(made)
    name, _ = installed_server()
    PAGE.write_text(placed(PAGE.read_text(encoding="utf-8"), name, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
