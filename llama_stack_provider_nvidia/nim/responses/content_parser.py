"""Split reasoning and tool calls out of message content."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..model_facts.profile import Profile
from .normalize import reasoning_of
from .reasoning_parser import ReasoningSplitter, splitter_for
from .structs import ChatChoice, ChatDelta
from .text_tool_call_parser import Style, TextToolCalls
from .tool_names import offered_names


@dataclass(frozen=True)
class FoundCall:
    """A tool call that was found in the text of a choice."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Remainder:
    """The text that was held back of a choice that ended without a finish reason."""

    index: int
    reasoning: str
    text: str
    calls: list[FoundCall]


class ToolCallMaker(Protocol):
    """Makes what a parser adds to a response, in the classes of its codec."""

    def make_call(self, call: FoundCall, *, streamed: bool) -> Any:
        """Make an element of ``tool_calls`` of a delta, or of a message."""

    def make_chunk(self, like: Any, remainder: Remainder) -> Any:
        """Return the chunk of what was held back to the end of a stream.

        Args:
            like: The stream's last chunk, None if there was none.
            remainder: Of one choice.
        """


class _ChoiceParser:
    """Splits the content of one choice."""

    def __init__(self, splitter: ReasoningSplitter, calls: TextToolCalls | None) -> None:
        self.splitter = splitter
        self._calls = calls
        self.is_open = True

    def feed(self, written: Any) -> tuple[str, str]:
        reasoning, text = self.splitter.feed(written.content, reasoning_of(written))
        return reasoning, self._calls.feed(text) if self._calls else text

    def close(self) -> tuple[str, str, list[FoundCall]]:
        self.is_open = False
        reasoning, text = self.splitter.close()
        if self._calls is None:
            return reasoning, text, []
        shown = self._calls.feed(text)
        rest, found = self._calls.close()
        calls = [
            FoundCall(n, f"call_{uuid.uuid4().hex}", name, arguments)
            for n, (name, arguments) in enumerate(found)
        ]
        return reasoning, shown + rest, calls


class ContentParser:
    """Splits the content of one response, chunk by chunk or whole; it changes them in place.

    It takes the structs of ``nim.responses.structs`` and the SDK's classes alike.
    """

    def __init__(
        self, body: Mapping[str, Any], profile: Profile, style: Style | None, maker: ToolCallMaker
    ) -> None:
        """Initialize for one response.

        Args:
            body: The request as it was sent.
            profile: What the model can do.
            style: How the model writes tool calls into its text; None to look for none.
            maker: The codec of the response.
        """
        self._body = body
        self._profile = profile
        self._offered = offered_names(body) if style and body.get("tools") else frozenset()
        self._style = style if self._offered else None
        self._maker = maker
        self._choices: dict[int, _ChoiceParser] = {}
        self._last: Any = None

    def feed(self, chunk: Any) -> list[Any]:
        """Take a chunk of a stream, or a whole response."""
        self._last = chunk
        for choice in chunk.choices or ():
            index = choice.index or 0
            parser = self._choices.get(index)
            if parser is None:
                parser = self._choices[index] = self._make()
            self._parse(choice, parser)
        return [chunk]

    def close(self) -> list[Any]:
        """Return a chunk for each choice that ended without a reason while text was held back."""
        chunks = []
        for index, parser in self._choices.items():
            if parser.is_open:
                reasoning, text, calls = parser.close()
                if reasoning or text or calls:
                    remainder = Remainder(index, reasoning, text, calls)
                    chunks.append(self._maker.make_chunk(self._last, remainder))
        return chunks

    def _parse(self, choice: Any, parser: _ChoiceParser) -> None:
        message = getattr(choice, "message", None)
        written = message if message is not None else choice.delta
        if written is None:
            written = choice.delta = ChatDelta()
        reasoning, text = parser.feed(written)
        if message is not None or choice.finish_reason:
            assumed = parser.splitter.assumed and choice.finish_reason == "stop"
            if assumed and isinstance(choice, ChatChoice):
                choice.reasoning_was_answer = True
            last_reasoning, last_text, calls = parser.close()
            reasoning += last_reasoning
            text += last_text
            if calls:
                streamed = message is None
                made = [self._maker.make_call(call, streamed=streamed) for call in calls]
                written.tool_calls = [*(written.tool_calls or ()), *made]
                choice.finish_reason = "tool_calls"
        written.content = text or None
        if reasoning or getattr(written, "reasoning_content", None):
            written.reasoning_content = reasoning or None
        if getattr(written, "reasoning", None):
            written.reasoning = None

    def _make(self) -> _ChoiceParser:
        calls = None
        if self._style:
            calls = TextToolCalls(self._offered, self._style)
        return _ChoiceParser(splitter_for(self._profile, self._body), calls)
