"""Move an answer out of the field for reasoning, where reasoning is off.

Reasoning parsers that expect an opening tag take the whole answer for reasoning when the model
was told not to reason (vLLM issue 40424, TensorRT-LLM issue 14502, with Nemotron 3).
"""

from typing import Any

from .content_parser import Remainder, ToolCallMaker
from .normalize import reasoning_of


class MisplacedAnswer:
    """Makes the content of a choice of its reasoning, where that is all there is.

    A stage of ``nim.completions``. Reasoning of a stream waits until it is known: content or a tool
    call after it shows that it is reasoning, the end of the choice that it is the answer. It takes
    the structs of ``nim.responses.structs`` and the SDK's classes alike, and changes them in place.
    """

    def __init__(self, maker: ToolCallMaker) -> None:
        """Begin a response.

        Args:
            maker: The codec of the response.
        """
        self._maker = maker
        self._held: dict[int, str] = {}
        self._shown: set[int] = set()
        self._last: Any = None

    def feed(self, chunk: Any) -> list[Any]:
        """Take a chunk of a stream, or a whole response."""
        self._last = chunk
        for choice in chunk.choices or ():
            message = getattr(choice, "message", None)
            written = message if message is not None else choice.delta
            index = choice.index or 0
            if written is not None and index not in self._shown:
                self._move(written, index, message is not None or bool(choice.finish_reason))
        return [chunk]

    def close(self) -> list[Any]:
        """Return a chunk for each choice that ended without a reason while text was held back."""
        return [
            self._maker.make_chunk(self._last, Remainder(index, "", text, []))
            for index, text in self._held.items()
            if text
        ]

    def _move(self, written: Any, index: int, is_end: bool) -> None:
        reasoning = self._held.pop(index, "") + (reasoning_of(written) or "")
        if not reasoning:
            if written.content:
                self._shown.add(index)
            return
        if getattr(written, "reasoning", None):
            written.reasoning = None
        if written.content or written.tool_calls:
            self._shown.add(index)
            written.reasoning_content = reasoning
            return
        written.reasoning_content = None
        if is_end:
            written.content = reasoning
        else:
            self._held[index] = reasoning
