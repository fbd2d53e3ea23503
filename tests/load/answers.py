"""The answers that clients of a server under load read: OpenAI-style, or the native API's."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

ENDS = ("stop", "end_of_turn")


@dataclass
class Answer:
    """One answer as a client sees it.

    Attributes:
        status: HTTP status; 0 if there was no answer.
        text: The text of it.
        finish: Its finish reason, None without one.
        problem: What an error said, empty without one.
        began: When it was asked for (monotonic).
        ended: When the last byte was there.
        events: Events of a stream.
    """

    status: int = 0
    text: str = ""
    finish: str | None = None
    problem: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    events: int = 0

    @property
    def looks_complete(self) -> bool:
        """Whether a client would take it for a whole answer: some servers send no `[DONE]`."""
        return self.status == 200 and self.finish is not None and not self.problem


class Client:
    """Asks a server for chats.

    Args:
        http: The connections.
        path: Of the route.
        native: It is the native API's.
        model: As the server knows it.
    """

    def __init__(self, http: httpx.AsyncClient, path: str, model: str, *, native: bool) -> None:
        self.http = http
        self.path = path
        self.model = model
        self.native = native

    def body(self, prompt: str, *, stream: bool, **more: Any) -> dict[str, Any]:
        """The request of a chat."""
        name = "model_id" if self.native else "model"
        messages = [{"role": "user", "content": prompt}]
        return {name: self.model, "messages": messages, "stream": stream, **more}

    async def ask(self, prompt: str, *, stream: bool, **more: Any) -> Answer:
        """Ask and read to the end; what the HTTP library raises is the answer's problem."""
        answer = Answer()
        raw: list[bytes] = []
        body = self.body(prompt, stream=stream, **more)
        try:
            async with self.http.stream("POST", self.path, json=body) as response:
                answer.status = response.status_code
                async for piece in response.aiter_raw():
                    raw.append(piece)  # noqa: PERF401 (what came before an error counts)
        except httpx.HTTPError as error:
            answer.problem = repr(error)
        answer.ended = time.monotonic()
        text = b"".join(raw).decode()
        if stream and answer.status == 200:
            self._read_stream(answer, text)
        else:
            self._read_whole(answer, text)
        return answer

    def _read_whole(self, answer: Answer, text: str) -> None:
        if answer.status != 200:
            answer.problem = answer.problem or text or "no word"
        elif not answer.problem:
            value = json.loads(text)
            if self.native:
                message = value["completion_message"]
                answer.text, answer.finish = message["content"], message["stop_reason"]
            else:
                choice = next(one for one in value["choices"] if one["index"] == 0)
                answer.text = choice["message"].get("content") or ""
                answer.finish = choice["finish_reason"]

    def _read_stream(self, answer: Answer, text: str) -> None:
        for event in events(text):
            answer.events += 1
            if event == "[DONE]":
                continue
            value = json.loads(event)
            if "error" in value:
                answer.problem = answer.problem or json.dumps(value["error"])
            elif self.native:
                said = value["event"]
                answer.text += said["delta"].get("text", "")
                if said["event_type"] == "complete":
                    answer.finish = said["stop_reason"]
            else:
                for choice in value["choices"]:
                    if choice["index"]:
                        continue
                    answer.text += choice["delta"].get("content") or ""
                    answer.finish = choice["finish_reason"] or answer.finish


def events(text: str) -> Iterator[str]:
    """The data of each event; a piece at the end without a blank line after it is none."""
    for block in text.replace("\r\n", "\n").split("\n\n")[:-1]:
        lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
        if lines:
            yield "\n".join(lines)


@dataclass
class Tally:
    """Tokens of a stream that are not as they were sent.

    Attributes:
        lost: Those that did not arrive.
        doubled: Those that arrived more than once.
        mixed: Those that nobody sent to this client.
        moved: The right ones came in another order.
    """

    lost: int = 0
    doubled: int = 0
    mixed: int = 0
    moved: int = 0

    def add(self, other: Tally) -> None:
        """Count another stream as well."""
        for name in ("lost", "doubled", "mixed", "moved"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def compare(text: str, expected: list[str]) -> Tally:
    """Compare a text with the tokens that were sent; each is a word of its own."""
    found = Counter(text.split())
    sent = Counter(word.strip() for word in expected)
    made = Tally(
        lost=sum((sent - found).values()),
        doubled=sum(count for word, count in (found - sent).items() if word in sent),
        mixed=sum(count for word, count in (found - sent).items() if word not in sent),
    )
    made.moved = int(made == Tally() and text != "".join(expected))
    return made
