"""Checks of one subject against emulated NIMs; run in the subject's environment.

    python -m benchmarks.peer_checks litellm < nims.json     prints the outcomes as JSON

The emulators are controlled over HTTP, with the standard library alone.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.peer_subjects import SUBJECTS, Subject

LLMS = ("nim1", "nim1-1.15", "nim2", "nim2-sglang", "dynamo")
TITLES = {
    "nim1": "NIM 1.8",
    "nim1-1.15": "NIM 1.15",
    "nim2": "NIM 2 vLLM",
    "nim2-sglang": "NIM 2 SGLang",
    "dynamo": "Dynamo",
}
REASONS = "nvidia/llama-3.1-nemotron-nano-8b-v1"
EMBEDS = "nvidia/nv-embedqa-e5-v5"
RANKS = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
COUNT = [{"role": "user", "content": "Please count to 20"}]
SCHEMA = {
    "type": "object",
    "properties": {"shade": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["shade", "number"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
# The setting is 2 s. Twice that and a retry or two are still the setting's work.
PATIENCE = 20


class Nim:
    """The script of an emulated NIM, and the requests that it has seen."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/emulator"

    def _ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self._url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def posts(self) -> list[dict[str, Any]]:
        """Return the requests for models, oldest first."""
        return [one for one in self._ask("requests") if one["method"] == "POST"]

    def forget(self) -> None:
        """Remove what is recorded."""
        self._ask("requests", "DELETE")

    def opened(self) -> int:
        """Return how many connections were opened since."""
        return int(self._ask("connections")["opened"])

    @contextmanager
    def fault(self, **fault: Any) -> Iterator[None]:
        """Damage the responses of a block."""
        self._ask("faults", "POST", [{"path": "/v1/chat/completions", **fault}])
        try:
            yield
        finally:
            self._ask("faults", "DELETE")


class Checks:
    """The checks of a subject."""

    def __init__(self, subject: Subject, nims: Mapping[str, str]) -> None:
        self.subject = subject
        self.nims = {name: Nim(url) for name, url in nims.items()}

    def _each(self, check: Callable[[str], bool]) -> str:
        passed = [nim for nim in LLMS if _passes(lambda nim=nim: check(nim))]
        if len(passed) == len(LLMS):
            return "yes"
        return f"only {', '.join(TITLES[nim] for nim in passed)}" if passed else "no"

    def schema(self) -> str:
        """Return the NIMs whose answer keeps to a JSON schema."""
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}

        def check(nim: str) -> bool:
            said = self.subject.chat(nim, COUNT, response_format=wanted)
            return set(json.loads(self.subject.text(said))) == {"shade", "number"}

        return self._each(check)

    def top_k(self) -> str:
        """Return the NIMs that get `top_k` where they read it."""

        def check(nim: str) -> bool:
            self.nims[nim].forget()
            self.subject.chat(nim, COUNT, top_k=7)
            (asked,) = self.nims[nim].posts()
            places = {"nim1": ["nvext"], "nim1-1.15": ["nvext", ""]}.get(nim, [""])
            body = asked["body"]
            found = [(body.get(place, {}) if place else body).get("top_k") for place in places]
            return 7 in found

        return self._each(check)

    def tools(self) -> str:
        """Return whether two streamed tool calls arrive whole."""
        asked = [{"role": "user", "content": "What is the weather in Paris and in Tokyo?"}]
        calls = self.subject.tool_calls("nim2", asked, [WEATHER])
        cities = [(name, json.loads(arguments)["city"]) for name, arguments in calls]
        return _yes(cities == [("get_weather", "Paris"), ("get_weather", "Tokyo")])

    def reasoning(self) -> str:
        """Return whether reasoning comes apart from the text."""
        asked = [
            {"role": "system", "content": "detailed thinking on"},
            {"role": "user", "content": "What is 17 times 3?"},
        ]
        answer = self.subject.chat("nim2", asked, model=REASONS)
        text = self.subject.text(answer)
        return _yes(bool(self.subject.reasoning(answer)) and bool(text) and "<think>" not in text)

    def cut(self) -> str:
        """Return whether a stream that ends too early is an error."""
        with self.nims["nim2"].fault(fault="cut", after=3, how="end"):
            return _yes(not _passes(lambda: bool(list(self.subject.stream("nim2", COUNT)))))

    def retry(self) -> str:
        """Return whether a call survives a NIM that is overloaded once."""
        with self.nims["nim2"].fault(fault="status", status=503):
            return _yes("20" in self.subject.text(self.subject.chat("nim2", COUNT)))

    def timeout(self) -> str:
        """Return whether a timeout of two seconds ends a call that is not answered."""
        with self.nims["slow"].fault(fault="no-answer", times=None):
            begin = time.monotonic()
            with suppress(Exception), _alarm(PATIENCE):
                self.subject.chat("slow", COUNT)
            # The alarm may come out as an error of the library.
            return _yes(time.monotonic() - begin < PATIENCE - 1)

    def connections(self) -> str:
        """Return how many connections ten more calls open."""
        nim = self.nims["nim2"]
        nim.forget()
        for _ in range(10):
            self.subject.chat("nim2", COUNT)
        return str(nim.opened() - 1)  # less the one that asks

    def embeddings(self) -> str:
        """Return whether a NIM is told which text is a query and which a passage."""
        nim = self.nims["retriever"]
        nim.forget()
        for kind in ("query", "passage"):
            self.subject.embed("retriever", EMBEDS, "Hello", kind)
        return _yes([one["body"].get("input_type") for one in nim.posts()] == ["query", "passage"])

    def rerank(self) -> str:
        """Return whether the best of two passages is found by one's own reranking NIM."""
        passages = ["Venus has none.", "Mars has two moons."]
        best = self.subject.rerank("retriever", RANKS, "How many moons has Mars?", passages)
        return _yes(best == 1)

    def refusal(self) -> str:
        """Return whether the NIM's own words reach the caller."""
        fault = {"status": 422, "body": "nested", "message": "Nothing of this colour here"}
        with self.nims["nim2"].fault(fault="status", **fault):
            try:
                self.subject.chat("nim2", COUNT)
            except Exception as error:
                return _yes(fault["message"] in str(error))
        return "no"


CHECKS = {
    "schema": "JSON schema, kept by the answer on every NIM",
    "top_k": "`top_k`, where every NIM reads it",
    "tools": "two tool calls in one stream",
    "reasoning": "reasoning apart from the text",
    "cut": "a stream that ends too early is an error",
    "retry": "a NIM that is overloaded once, survived without a setting",
    "timeout": "a timeout of 2 s ends a call that is not answered",
    "connections": "new connections to the NIM by 10 more calls",
    "embeddings": "queries and passages told apart in embeddings",
    "rerank": "rerank with your own NIM",
    "refusal": "the NIM's own words in its refusal",
}


def _passes(check: Callable[[], bool]) -> bool:
    with suppress(Exception):
        return check()
    return False


def _yes(passed: bool) -> str:
    return "yes" if passed else "no"


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeoutError("patience is at an end")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def main() -> int:
    """Run all checks of the subject that is named."""
    given = json.load(sys.stdin)
    subject = SUBJECTS[sys.argv[1]](given["url"], given["nims"])
    checks = Checks(subject, given["nims"])
    found = {}
    for name in CHECKS:
        try:
            found[name] = getattr(checks, name)()
        except Exception as error:
            print(f"{name}: {error!r}"[:600], file=sys.stderr)
            found[name] = "no"
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
