"""Makes a capture of one NIM: the checks of ``doctor --probe``, then the fixed list of calls."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from .._version import __version__
from ..doctor import connection, probes, service
from ..doctor.check import run_checks
from ..doctor.context import CheckContext
from ..doctor.results import CheckSkippedError
from ..nim import errors
from ..nim.dialect import Dialect
from ..nim.model_facts.model_ids import Kind
from ..nim.transport.http_client import OBSERVER
from .calls import Call, embedding_calls, llm_calls, rerank_calls, routes
from .capture_file import CaptureWriter
from .recorder import Recorder
from .redactor import Redactor

CHECKS = (*connection.CHECKS, *service.CHECKS, *probes.CHECKS)
_RANKING = "/v1/ranking"
_MOST_FAILURES = 3
"""Calls in a row without a response: the NIM is gone."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CaptureResult:
    """The outcome of a capture.

    Attributes:
        end: ``complete``, or what came in between.
        calls: Number of requests in the file.
        size: Bytes before compression.
        dialect: What the NIM was found to be.
    """

    end: str
    calls: int
    size: int
    dialect: Dialect


def planned_calls(dialect: Dialect, models: Sequence[tuple[Kind, str, int | None]]) -> list[Call]:
    """Return the fixed list of calls for a NIM.

    Args:
        dialect: What it is.
        models: Kind, id and context length of a model of each kind.
    """
    ids = [name for _, name, _ in models]
    calls = list(routes(ids[0] if ids else None))
    for kind, name, context in models:
        if kind is Kind.LLM:
            calls += llm_calls(name, dialect, context)
        elif kind is Kind.EMBEDDING:
            calls += embedding_calls(name, dialect)
        else:
            calls += rerank_calls(name, _RANKING)
    return calls


async def plan(context: CheckContext) -> list[Call]:
    """Ask a NIM what it is and which models it has; return the calls that a capture would make.

    The checks of ``doctor --probe`` come on top: see ``CHECKS``.

    Raises:
        NIMError: It does not list its models.
    """
    context.finding = await context.endpoint.finding()
    context.models = await context.endpoint.catalogue.models()
    chosen = []
    for kind in Kind:
        try:
            name = context.choose_model(kind)
        except CheckSkippedError:
            continue
        if kind is Kind.RERANK and name not in {entry.id for entry in context.models}:
            continue  # served elsewhere
        lengths = {entry.id: entry.context_length for entry in context.models}
        chosen.append((kind, name, lengths.get(name)))
    return planned_calls(context.finding.dialect, chosen)


async def capture(
    context: CheckContext,
    calls: Sequence[Call],
    path: Path,
    *,
    seconds: float,
    names: Sequence[str] = (),
    progress: Progress = lambda text: None,
) -> CaptureResult:
    """Call a NIM and write what comes back.

    A file is usable however this ends: each line is written when its response has come.

    Args:
        context: The NIM; made anew for this, so that no connection is there yet.
        calls: See ``plan``.
        path: Of the file.
        seconds: Time limit of each call.
        names: Further texts to redact.
        progress: Called with what is being done.

    Raises:
        OSError: The file cannot be written.
    """
    redactor = Redactor(secrets=context.secrets, hosts=_hosts(context), names=names)
    with CaptureWriter(path) as writer:
        writer.header(
            written_by=f"llama-stack-provider-nvidia {__version__}",
            date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        recorder = Recorder(writer, redactor, context.endpoint.url.removesuffix("/v1"))
        end = "interrupted"
        token = OBSERVER.set(recorder)
        try:
            end = await _run(context, calls, recorder, seconds, progress)
        finally:
            OBSERVER.reset(token)
            recorder.finish_all("interrupted")
            finding = context.finding
            found: dict[str, Any] = {}
            if finding is not None:
                found = {"dialect": str(finding.dialect), "release": finding.release}
            writer.end(end, **redactor.data(found))
    dialect = finding.dialect if finding is not None else Dialect.GENERIC
    return CaptureResult(end, writer.calls, writer.size, dialect)


async def _run(
    context: CheckContext,
    calls: Sequence[Call],
    recorder: Recorder,
    seconds: float,
    progress: Progress,
) -> str:
    """Make all calls; return how it ended."""

    def started(check: Any) -> None:
        progress(f"doctor: {check.name}")
        recorder.label = {"call": f"doctor: {check.name}"}

    try:
        async for _ in run_checks(context, CHECKS, seconds=seconds, started=started):
            recorder.finish_all("no response, or not read to its end")
    finally:
        await context.endpoint.aclose()
    # Of its own time limit, which covers the whole response.
    context.request_timeout = seconds
    failures = 0
    for call in calls:
        if recorder.is_full:
            return "full"
        if failures >= _MOST_FAILURES:
            return "no response"
        progress(call.name)
        failures = 0 if await _send(context, call, recorder, seconds) else failures + 1
    return "complete"


async def _send(context: CheckContext, call: Call, recorder: Recorder, seconds: float) -> bool:
    """Send a call; return whether a response came to its end."""
    recorder.label = {"call": call.name}
    if call.feature is not None:
        recorder.label |= {"feature": call.feature, "value": call.value}
    root = context.endpoint.url.removesuffix("/v1")
    try:
        async with asyncio.timeout(seconds):
            await context.request(f"{root}{call.path}", body=call.body)
    except TimeoutError:
        problem = f"timeout: no end of the response within {seconds:g} s"
    except httpx.TimeoutException as error:
        problem = f"timeout: {type(error).__name__} after {seconds:g} s"
    except (httpx.HTTPError, httpx.StreamError, errors.NIMError) as error:
        problem = f"{type(error).__name__}: {error}"
    else:
        recorder.finish_all("closed before its end")
        return True
    recorder.finish_all(problem)
    return False


def _hosts(context: CheckContext) -> set[str]:
    """Return the names of hosts that belong to the user."""
    found = {context.host, socket.gethostname(), socket.getfqdn()}
    proxy = context.network.proxy
    for address in proxy.by_pattern().values() if proxy else ():
        if address:
            found.add(httpx.URL(address).host)
    return found - {"localhost"}
