"""A conversation with a model, printed as it streams."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ..doctor.probes import tokens_per_second
from ..nim.responses.struct_codec import CHAT
from ..nim.responses.structs import ChatChunk, ChatDelta, Usage
from ..nim.routing import Target


class Conversation:
    """The messages so far, and the model that answers them.

    Attributes:
        model: The NIM's id of the model.
        system: The system message, None if there is none.
        messages: The messages, as in OpenAI's API.
    """

    def __init__(
        self, target: Target, *, system: str | None, stats: bool, fields: Mapping[str, Any]
    ) -> None:
        """Start without messages.

        Args:
            target: The NIM and the model.
            system: The system message, if any.
            stats: Print tokens and speed after each answer.
            fields: Further fields of each request.
        """
        self.use(target)
        self.system = system
        self._stats = stats
        self._fields = dict(fields)
        self._console = Console(highlight=False, soft_wrap=True)
        self._in_reasoning = False
        self._answer: list[str] = []
        self.clear()

    def use(self, target: Target) -> None:
        """Let another model answer from now on."""
        self.model = target.model
        self._endpoint = target.endpoint

    def clear(self) -> None:
        """Forget all messages but the system message."""
        self.messages: list[dict[str, str]] = []
        if self.system is not None:
            self.set_system(self.system)

    def set_system(self, text: str) -> None:
        """Set the system message; the other messages stay."""
        self.system = text
        others = [one for one in self.messages if one["role"] != "system"]
        self.messages = [{"role": "system", "content": text}, *others]

    async def send(self, text: str) -> None:
        """Send a message, and print the answer while it streams.

        Raises:
            NIMError: There is no answer, or only a part; the message is then forgotten.
        """
        self._answer, self._in_reasoning = [], False
        self.messages.append({"role": "user", "content": text})
        body = {
            **self._fields,
            "model": self.model,
            "messages": self.messages,
            "stream": True,
        }
        if self._stats:
            body["stream_options"] = {"include_usage": True}
        timing = _Timing()
        try:
            chunks = await self._endpoint.stream(body, CHAT, key=None, merge=False)
            async for chunk in chunks:
                timing.count(chunk)
                for choice in chunk.choices or ():
                    self._print(choice.delta or ChatDelta())
                timing.end_printing()
        except Exception:
            self.messages.pop()
            self._end_line()
            raise
        self._remember()
        if self._stats:
            typer.echo(timing.summary(), err=True)

    def interrupt(self) -> None:
        """Keep what has come of an answer that the user stopped."""
        self._remember()
        typer.echo("(stopped)", err=True)

    def _print(self, delta: ChatDelta) -> None:
        reasoning = delta.reasoning_content or delta.reasoning
        if reasoning and self._console.is_terminal:
            self._in_reasoning = True
            self._console.print(Text(reasoning, style="dim"), end="")
        if delta.content:
            if self._in_reasoning:
                self._console.print()
                self._in_reasoning = False
            self._answer.append(delta.content)
            self._console.print(Text(delta.content), end="")

    def _remember(self) -> None:
        answer = "".join(self._answer)
        if answer:
            self.messages.append({"role": "assistant", "content": answer})
        else:  # some models refuse two messages of one role in a row
            self.messages.pop()
        self._end_line()

    def _end_line(self) -> None:
        if self._answer or self._in_reasoning:
            self._console.print()


class _Timing:
    """Times of an answer's tokens."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._first: float | None = None
        self._last = self._arrived = self._begun
        self._printing = self._waited = 0.0
        self._chunks = 0
        self._tokens: int | None = None

    def count(self, chunk: ChatChunk) -> None:
        """Count a chunk that has just come."""
        self._arrived = time.perf_counter()
        if isinstance(chunk.usage, Usage) and chunk.usage.completion_tokens:
            self._tokens = chunk.usage.completion_tokens
        deltas = [choice.delta for choice in chunk.choices or () if choice.delta]
        if any(one.content or one.reasoning_content or one.reasoning for one in deltas):
            self._last = self._arrived
            self._first = self._first or self._last
            self._waited = self._last - self._first - self._printing
            self._chunks += 1

    def end_printing(self) -> None:
        """Note that a chunk has been printed, which is no time that the NIM took."""
        if self._chunks:
            self._printing += time.perf_counter() - self._arrived

    def summary(self) -> str:
        """Return the number of tokens, their rate and the time to the first."""
        if self._first is None:
            return "no tokens"
        count = self._tokens or self._chunks
        rate = tokens_per_second(count, self._last - self._first)
        is_burst = rate is None or tokens_per_second(count, self._waited) is None
        speed = "" if is_burst else f", {rate:.0f} tokens/s"
        first = (self._first - self._begun) * 1000
        return f"{count} tokens{speed}, the first after {first:.0f} ms"
