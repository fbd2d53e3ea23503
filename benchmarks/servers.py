"""Costs of real servers, with this provider or with the built-in one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks import cells, children, contestants, load, payloads, system
from benchmarks.cells import Job, Sample
from scripts import releases
from scripts.stack_server import ROOT, StackServer

# From these releases on: one name of models everywhere, routes without `/openai/v1`.
_PROVIDER_IN_ID = (0, 3)
_SHORT_ROUTES = (0, 3)
_BASE_URL = (0, 4)


def run_yaml(contestant: str, release: str, nim_url: str) -> dict[str, Any]:
    """The project's run.yaml for a contestant.

    Without the store of finished chats, where the release can do without it: it is the server's
    own work and, with 200 streams that end at once, can lock up its SQLite file.

    For the built-in without the lines that put this package in its place, and with its own names
    of the settings: up to 0.3 it appends ``/v1`` to the address itself.
    """
    made: dict[str, Any] = yaml.safe_load((ROOT / "run.yaml").read_text(encoding="utf-8"))
    provider = made["providers"]["inference"][0]
    provider["config"] = {"url": nim_url}
    if contestant == cells.BUILTIN:
        del made["external_providers_dir"], provider["module"]
        short = releases.parse(release).numbers >= _BASE_URL
        provider["config"] = {"base_url": f"{nim_url}/v1"} if short else {"url": nim_url}
        provider["config"]["api_key"] = "bench"
    embedder = {
        "model_id": payloads.EMBEDDER,
        "provider_id": "nvidia",
        "provider_model_id": payloads.EMBEDDER,
        "model_type": "embedding",
        "metadata": {"embedding_dimension": 2048},
    }
    made["models"] = [*made["models"], embedder]
    made["registered_resources"]["models"] = made["models"]
    made.pop("inference_store", None)
    return made


def native_body(job: Job) -> dict[str, Any]:
    """A job as a request of the native API."""
    prompt = payloads.prompt(job.kind, job.chunks, job.rate)
    body: dict[str, Any] = {
        "model_id": payloads.MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "stream": job.action == "stream",
    }
    if job.kind == "logprobs":
        body["logprobs"] = {"top_k": 3}
    if job.kind == "tools":
        words = {"param_type": "string", "description": "", "required": True}
        tool = {"tool_name": "remember", "description": "Remember words"}
        body["tools"] = [{**tool, "parameters": {"words": words}}]
    return body


def target(url: str, release: str, api: str) -> load.Target:
    """Where and how a release's server takes chats."""
    if api == "native":
        return load.Target(url, "/v1/inference/chat-completion", native_body)
    numbers = releases.parse(release).numbers
    route = "/v1/chat/completions" if numbers >= _SHORT_ROUTES else "/v1/openai/v1/chat/completions"
    prefix = "nvidia/" if numbers >= _PROVIDER_IN_ID else ""

    def body(job: Job) -> dict[str, Any]:
        made = contestants.body_of(job, stream=job.action == "stream")
        return {**made, "model": prefix + payloads.MODEL}

    return load.Target(url, route, body)


def direct(url: str) -> load.Target:
    """The NIM itself, without a server between."""
    return load.Target(
        url,
        "/v1/chat/completions",
        lambda job: contestants.body_of(job, stream=job.action == "stream"),
    )


class Served:
    """A server, or the NIM itself, as something that does jobs."""

    def __init__(self, where: load.Target, leader: int | None) -> None:
        self._where = where
        self._pids = system.group(leader) if leader else []

    def do(self, job: Job) -> Sample:
        """Do a job.

        Raises:
            ValueError: An answer was an error, or tokens are missing.
        """
        before = system.cpu_seconds(self._pids)
        took, caught = asyncio.run(load.run(self._where, job))
        cpu = system.cpu_seconds(self._pids) - before
        return load.as_sample(job, took, caught, cpu)


@contextlib.contextmanager
def served(
    contestant: str, release: str, api: str, python: Path, nim_url: str, folder: Path
) -> Iterator[Served]:
    """Run a release's server for as long as a ``with`` block lasts.

    Raises:
        ServerError: It did not come up.
    """
    path = folder / f"run-{release}-{contestant}.yaml"
    path.write_text(yaml.safe_dump(run_yaml(contestant, release, nim_url)), encoding="utf-8")
    log = folder / f"server-{release}-{contestant}.log"
    server = StackServer(path, env=children.environment(), python=python, log_path=log)
    with server:
        for pid in system.group(server.pid):
            system.pin(children.UNDER_TEST, pid)
        yield Served(target(server.url, release, api), server.pid)
