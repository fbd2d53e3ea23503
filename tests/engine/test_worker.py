"""A worker that is killed in the middle of a stream, and comes back. Runs last.

What generates is killed once, with a stream open on every route: with Dynamo the worker behind its
front end, else the engine itself. Dynamo's front end first answers 503, and later 404 with an empty
body.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.config import NVIDIAConfig
from scripts.engine.kinds import Kind
from scripts.engine.running import Engine, models

from .callers import Caller, CallError
from .requests import COUNT, HELLO
from .routes import routes
from .test_errors import check

pytestmark = pytest.mark.kills
feature = pytest.mark.feature


@dataclass
class Seen:
    """The errors that the callers of each route saw: None where there was none.

    Attributes:
        front: A front end still answered.
        without: At once after the worker was gone.
        empty: When the front end answered 404 with an empty body.
    """

    front: bool = False
    streams: dict[str, CallError | None] = field(default_factory=dict)
    without: dict[str, CallError | None] = field(default_factory=dict)
    empty: dict[str, CallError | None] = field(default_factory=dict)
    health: str = ""
    after: dict[str, CallError | None] = field(default_factory=dict)


def outcome(call: Callable[[], Any]) -> CallError | None:
    try:
        call()
    except CallError as error:
        return error
    return None


async def health(engine: Engine) -> str:
    adapter = await get_adapter_impl(NVIDIAConfig(url=engine.url), {})
    try:
        return str((await adapter.health())["status"])
    finally:
        await adapter.shutdown()


def begun(caller: Caller) -> tuple[contextlib.ExitStack, Iterator[Any]]:
    """Open a long stream and read its first piece; closing the stack closes it."""
    opened = contextlib.ExitStack()
    stream = opened.enter_context(caller.open_stream(COUNT, max_tokens=1800))
    next(stream)
    return opened, stream


def wait_for_an_empty_404(engine: Engine, name: str) -> None:
    deadline = time.monotonic() + 60
    body = {"model": name, "messages": HELLO, "max_tokens": 2}
    with httpx.Client(trust_env=False, timeout=30) as client:
        while True:
            answer = client.post(f"{engine.url}/v1/chat/completions", json=body)
            if (answer.status_code, answer.content) == (404, b""):
                return
            assert time.monotonic() < deadline, f"{answer.status_code} {answer.text}"
            time.sleep(0.25)


@pytest.fixture(scope="module")
def seen(engine: Engine, kind: Kind, caller_of: Callable[[str], Caller]) -> Seen:
    found = Seen()
    callers = {route: caller_of(route) for route in routes()}
    with contextlib.ExitStack() as stack:
        # All at once: a fast engine may have ended the first stream before the last has begun.
        with ThreadPoolExecutor(len(callers)) as pool:
            opened = dict(zip(callers, pool.map(begun, callers.values()), strict=True))
        streams = {route: stream for route, (_, stream) in opened.items()}
        for closing, _ in opened.values():
            stack.push(closing)
        engine.kill_worker()
        for route, stream in streams.items():
            found.streams[route] = outcome(lambda stream=stream: list(stream))
    engine.wait(lambda listed: not listed)
    found.front = models(engine.url) is not None
    for route, caller in callers.items():
        found.without[route] = outcome(lambda caller=caller: caller.chat(HELLO, max_tokens=4))
    if found.front:
        wait_for_an_empty_404(engine, kind.served)
        for route, caller in callers.items():
            found.empty[route] = outcome(lambda caller=caller: caller.chat(HELLO, max_tokens=4))
    found.health = asyncio.run(health(engine))
    engine.start()
    for route, caller in callers.items():
        found.after[route] = outcome(lambda caller=caller: caller.chat(HELLO, max_tokens=4))
    return found


@feature("killed")
def test_killed_in_a_stream_is_an_error(seen: Seen, route: str) -> None:
    assert seen.streams[route] is not None


@feature("gone")
def test_no_worker_is_an_error(seen: Seen, kind: Kind, route: str) -> None:
    assert seen.health != "OK"
    assert seen.front == (kind.dialect == "dynamo")
    code = "no_worker" if seen.front else "connection_failed"
    for errors in (seen.without, seen.empty) if seen.front else (seen.without,):
        error = errors[route]
        assert error is not None
        check(error, route, code)
        if seen.front and "code no_worker" in str(error):
            assert "No worker serves the model" in str(error)


@feature("back")
def test_it_answers_again_without_a_restart(seen: Seen, route: str) -> None:
    assert seen.after[route] is None
