"""What a model writes into its text that is not the answer's text: thinking, and tool calls."""

import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeVar

from ..requests.profiles import Profile
from .reasoning import ReasoningSplitter, reasoning_of, splitter_for
from .texttools import TextToolCalls
from .wire import ChatChoice, ChatChunk, ChatDelta, FunctionDelta, ToolCallDelta

Chunk = TypeVar("Chunk")

Call = tuple[int, str, str, str]
"""Index, id, name and arguments of a tool call found in the text."""


def wire_call(call: Call) -> ToolCallDelta:
    """Make the struct of a call."""
    index, call_id, name, arguments = call
    function = FunctionDelta(name=name, arguments=arguments)
    return ToolCallDelta(index=index, id=call_id, function=function)


class _ChoiceShaper:
    """Sets apart the thinking and the tool calls in the text of one choice."""

    def __init__(self, splitter: ReasoningSplitter, calls: TextToolCalls | None) -> None:
        self.splitter = splitter
        self._calls = calls
        self.is_open = True

    def feed(self, written: Any) -> tuple[str, str]:
        thinking, text = self.splitter.feed(written.content, reasoning_of(written))
        return thinking, self._calls.feed(text) if self._calls else text

    def finish(self) -> tuple[str, str, list[Call]]:
        self.is_open = False
        thinking, text = self.splitter.close()
        if self._calls is None:
            return thinking, text, []
        shown = self._calls.feed(text)
        rest, found = self._calls.close()
        calls = [
            (n, f"call_{uuid.uuid4().hex}", name, arguments)
            for n, (name, arguments) in enumerate(found)
        ]
        return thinking, shown + rest, calls


class AnswerShaper:
    """Rewrites the chunks of one answer, or the whole of it, in place.

    It takes the structs of ``nim.answers.wire`` and the SDK's classes alike.
    """

    def __init__(
        self,
        body: Mapping[str, Any],
        profile: Profile,
        *,
        recover_calls: bool,
        make_call: Callable[[Call], Any] = wire_call,
    ) -> None:
        """Nothing has arrived yet.

        Args:
            body: The request as it was sent.
            profile: What the model can do.
            recover_calls: Look for tool calls in the text.
            make_call: Makes an element of ``tool_calls``.
        """
        self._body = body
        self._profile = profile
        self._style = profile.tool_calls_as_text if recover_calls and body.get("tools") else None
        self._make_call = make_call
        self._choices: dict[int, _ChoiceShaper] = {}

    @property
    def is_needed(self) -> bool:
        """Whether there may be anything to find."""
        return self._profile.inline_think or self._style is not None

    def shape(self, chunk: Any) -> Any:
        """Rewrite a chunk, or a whole answer, and give it back."""
        for choice in chunk.choices or ():
            index = choice.index or 0
            shaper = self._choices.get(index)
            if shaper is None:
                shaper = self._choices[index] = self._make()
            self._shape(choice, shaper)
        return chunk

    def _shape(self, choice: Any, shaper: _ChoiceShaper) -> None:
        message = getattr(choice, "message", None)
        written = message if message is not None else choice.delta
        if written is None:
            written = choice.delta = ChatDelta()
        thinking, text = shaper.feed(written)
        if message is not None or choice.finish_reason:
            if shaper.splitter.assumed and choice.finish_reason == "stop":
                choice.thinking_was_answer = True
            last_thinking, last_text, calls = shaper.finish()
            thinking += last_thinking
            text += last_text
            if calls:
                made = [self._make_call(call) for call in calls]
                written.tool_calls = [*(written.tool_calls or ()), *made]
                choice.finish_reason = "tool_calls"
        written.content = text or None
        if thinking or getattr(written, "reasoning_content", None):
            written.reasoning_content = thinking or None
        if getattr(written, "reasoning", None):
            written.reasoning = None

    def rest(self) -> list["Rest"]:
        """Give what was held back of choices that ended without a reason.

        Returns:
            For each such choice its index, thinking, text and tool calls.
        """
        found = []
        for index, shaper in self._choices.items():
            if shaper.is_open:
                thinking, text, calls = shaper.finish()
                if thinking or text or calls:
                    found.append((index, thinking, text, [self._make_call(c) for c in calls]))
        return found

    def _make(self) -> _ChoiceShaper:
        calls = None
        if self._style:
            offered = [tool["function"]["name"] for tool in self._body["tools"]]
            calls = TextToolCalls(offered, self._style)
        return _ChoiceShaper(splitter_for(self._profile, self._body), calls)


Rest = tuple[int, str, str, list[Any]]
"""Index, thinking, text and tool calls that were held back of a choice."""


def wire_chunk(_: ChatChunk | None, rest: Rest) -> ChatChunk:
    """Make the chunk of what was held back to the end of a stream."""
    index, thinking, text, calls = rest
    written = ChatDelta(
        content=text or None, reasoning_content=thinking or None, tool_calls=calls or None
    )
    return ChatChunk(choices=[ChatChoice(index=index, delta=written)])


async def shaped(
    chunks: AsyncGenerator[Chunk, None],
    shaper: AnswerShaper,
    make_chunk: Callable[[Chunk | None, Rest], Chunk],
) -> AsyncGenerator[Chunk, None]:
    """Rewrite a stream as it arrives.

    Args:
        chunks: The stream.
        shaper: Made for this answer.
        make_chunk: Makes a chunk like the last one of what was held back.
    """
    last = None
    try:
        async for chunk in chunks:
            last = chunk
            yield shaper.shape(chunk)
        for rest in shaper.rest():
            yield make_chunk(last, rest)
    finally:
        await chunks.aclose()
