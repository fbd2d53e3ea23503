"""A caller who leaves: the engine must stop, whatever stands in between."""

import time
from collections.abc import Callable

import pytest

from scripts.engine.kinds import Activity, Kind
from scripts.engine.running import Engine

from .callers import Caller
from .requests import COUNT

feature = pytest.mark.feature
MOST = 1500  # tokens, for which some seconds pass
# They look once a second whether the caller is still there.
MORE = {"llamacpp": 1900, "sglang": 1900}
LEAVES = 0.3  # seconds: once the engine has begun, and before a fast one is done


@pytest.fixture
def activity(engine: Engine, kind: Kind) -> Callable[[], Activity]:
    return lambda: kind.activity(engine)


@pytest.fixture
def most(kind: Kind) -> int:
    return MORE.get(kind.name, MOST)


def wait_until_idle(activity: Callable[[], Activity]) -> Activity:
    """Wait until nothing runs; engines count what was generated a little later."""
    deadline = time.monotonic() + 240
    seen, before = activity(), None
    while seen.running or seen != before:
        assert time.monotonic() < deadline, "the engine goes on"
        time.sleep(1)
        seen, before = activity(), seen
    return seen


@feature("leave_stream")
def test_leaving_a_stream_stops_the_engine(
    caller: Caller, activity: Callable[[], Activity], most: int
) -> None:
    before = wait_until_idle(activity).generated
    with caller.open_stream(COUNT, max_tokens=most) as stream:
        # The start, and the first text: the next may hold all that a fast engine writes.
        for _ in range(2):
            next(stream)
    time.sleep(0.5)
    generated = wait_until_idle(activity).generated - before
    assert 0 < generated < most / 2, f"{generated} tokens were generated"


@feature("leave_whole")
def test_leaving_a_whole_answer_stops_the_engine(
    caller: Caller, activity: Callable[[], Activity], most: int
) -> None:
    before = wait_until_idle(activity).generated
    caller.leave(COUNT, LEAVES, max_tokens=most)
    time.sleep(0.5)
    generated = wait_until_idle(activity).generated - before
    assert generated < most / 2, f"{generated} tokens were generated"
