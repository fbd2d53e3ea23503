"""The engine still answers as its fixture says, which the emulator is compared with."""

from __future__ import annotations

from scripts.engine.kinds import Kind
from scripts.engine.running import Engine
from scripts.wire.fixtures import compare, fixture_of

SAMPLED = {
    "sglang": {
        (f"{api} n 2{form}", aspect)
        for api in ("chat", "completion")
        for form, aspect in (("", "body"), (" stream", "events"))
    }
}
"""Aspects that may differ from run to run: the engine's sampling does not follow the seed."""


TRIES = 3
"""How often streams are asked for: on a busy machine, pieces of one may come together."""


def test_the_fixture_has_what_it_answers(engine: Engine, kind: Kind, served: str) -> None:
    sampled = SAMPLED.get(kind.name, set())
    for _ in range(TRIES):
        seen = compare(fixture_of(kind.name), engine.url, model=served)
        found = {key: text for key, text in seen.items() if key not in sampled}
        if not found or any(aspect != "events" for _, aspect in found):
            break
    assert not found
