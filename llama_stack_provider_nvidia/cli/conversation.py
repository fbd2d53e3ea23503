"""A conversation with one model, shown as it is said."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ..nim.answers.wire import ChatChunk, ChatDelta, Usage
from ..nim.targets import Target


class Conversation:
    """What was said so far, and the way to say more.

    Attributes:
        model: The NIM's id of the model.
        messages: What was said, as OpenAI's API has it.
    """

    def __init__(
        self, target: Target, *, system: str | None, stats: bool, fields: Mapping[str, Any]
    ) -> None:
        """Nothing is sent yet.

        Args:
            target: The NIM and the model.
            system: The system message, if there is one.
            stats: Print tokens and speed after each answer.
            fields: Further fields of each request.
        """
        self.model = target.model
        self._endpoint = target.endpoint
        self._system = system
        self._stats = stats
        self._fields = dict(fields)
        self._console = Console(highlight=False, soft_wrap=True)
        self._thinks = False
        self._said: list[str] = []
        self.clear()

    def clear(self) -> None:
        """Forget what was said, apart from the system message."""
        self.messages: list[dict[str, str]] = []
        if self._system is not None:
            self.messages.append({"role": "system", "content": self._system})

    async def say(self, text: str) -> None:
        """Send a message, and print the answer while it comes.

        Raises:
            NIMError: There was no answer, or not all of it; the message is then forgotten.
        """
        self._said, self._thinks = [], False
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
            chunks, _ = await self._endpoint.stream(body, ChatChunk, key=None, joins=False)
            async for chunk in chunks:
                timing.count(chunk)
                for choice in chunk.choices or ():
                    self._show(choice.delta or ChatDelta())
        except Exception:
            self.messages.pop()
            self._end_line()
            raise
        self._end()
        if self._stats:
            typer.echo(timing.summary(), err=True)

    def stopped(self) -> None:
        """Keep what was said of an answer that was stopped."""
        self._end()
        typer.echo("(stopped)", err=True)

    def _show(self, delta: ChatDelta) -> None:
        thought = delta.reasoning_content or delta.reasoning
        if thought and self._console.is_terminal:
            self._thinks = True
            self._console.print(Text(thought, style="dim"), end="")
        if delta.content:
            if self._thinks:
                self._console.print()
                self._thinks = False
            self._said.append(delta.content)
            self._console.print(Text(delta.content), end="")

    def _end(self) -> None:
        said = "".join(self._said)
        if said:
            self.messages.append({"role": "assistant", "content": said})
        else:  # the next message would follow one of the same role, which some models refuse
            self.messages.pop()
        self._end_line()

    def _end_line(self) -> None:
        if self._said or self._thinks:
            self._console.print()


class _Timing:
    """When the tokens of an answer came."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._first: float | None = None
        self._last = self._begun
        self._pieces = 0
        self._tokens: int | None = None

    def count(self, chunk: ChatChunk) -> None:
        """Take note of a chunk."""
        if isinstance(chunk.usage, Usage) and chunk.usage.completion_tokens:
            self._tokens = chunk.usage.completion_tokens
        deltas = [choice.delta for choice in chunk.choices or () if choice.delta]
        if any(one.content or one.reasoning_content or one.reasoning for one in deltas):
            self._last = time.perf_counter()
            self._first = self._first or self._last
            self._pieces += 1

    def summary(self) -> str:
        """Tell how many tokens came how fast."""
        if self._first is None:
            return "no tokens"
        count = self._tokens or self._pieces
        taken = self._last - self._first
        speed = f", {(count - 1) / taken:.0f} tokens/s" if taken > 0 and count > 1 else ""
        first = (self._first - self._begun) * 1000
        return f"{count} tokens{speed}, the first after {first:.0f} ms"
