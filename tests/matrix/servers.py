"""Servers of the installed release, each with providers and models of a test's own."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.stack_server import ROOT, StackServer

# Several releases draw each traceback with its source lines, and answer nobody for 5 to 20 s.
QUIET = {
    "LLAMA_STACK_LOGGING": "all=critical",
    "LLAMA_STACK_LOG_FORMAT": "json",
    "OGX_LOGGING": "all=critical",
    "OGX_LOG_FORMAT": "json",
}


def model(provider: str, name: str, kind: str = "llm", **metadata: Any) -> dict[str, Any]:
    """An entry of ``models:`` that every release knows as ``<provider>/<NIM's id>``."""
    return {
        "model_id": f"{provider}/{name}",
        "provider_id": provider,
        "provider_model_id": name,
        "model_type": kind,
        "metadata": metadata,
    }


def stack_server(
    folder: Path,
    providers: Mapping[str, Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]] = (),
    *,
    keeps_chats: bool = True,
    more: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> StackServer:
    """Make a server from the project's run.yaml.

    Args:
        folder: For the configuration and the log.
        providers: The ``config:`` of each inference provider, by its id.
        models: Entries as ``model`` makes them.
        keeps_chats: Releases that need not keep OpenAI-style chats do so, too.
        more: APIs beside inference: their providers, by the API's name.
        settings: Keys to add under ``server:``.
        env: Variables of the server.
        python: The Python beside which the server is installed.
    """
    config = yaml.safe_load((ROOT / "run.yaml").read_text())
    (entry,) = config["providers"]["inference"]
    config["providers"] = {
        "inference": [
            {**entry, "provider_id": name, "config": dict(settings)}
            for name, settings in providers.items()
        ],
        **(more or {}),
    }
    config["apis"] = list(config["providers"])
    config["models"] = config["registered_resources"]["models"] = [dict(one) for one in models]
    config["server"].update(settings or {})
    if not keeps_chats:
        del config["inference_store"]
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    variables = {**QUIET, **(env or {})}
    return StackServer(path, env=variables, python=python, log_path=folder / "log")
