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


TRIES = 20
"""How often a stream that differs is asked for again: a fast engine sends several tokens in one
piece now and then, about every tenth stream of four tokens."""


def test_the_fixture_has_what_it_answers(engine: Engine, kind: Kind, served: str) -> None:
    path = fixture_of(kind.name)
    sampled = SAMPLED.get(kind.name, set())
    names: set[str] | None = None
    for _ in range(TRIES):
        seen = compare(path, engine.url, names, model=served)
        found = {key: text for key, text in seen.items() if key not in sampled}
        names = {name for name, _ in found}
        if not found or any(aspect != "events" for _, aspect in found):
            break
    assert not found
