"""What of an answer is thinking: the one place that knows how it is marked.

Servers that set thinking apart send it as ``reasoning_content`` (NIM 1.x, SGLang, Dynamo, most
hosted models) or ``reasoning`` (vLLM). Others leave it in the content, as ``<think>...</think>``.
"""

from collections.abc import Mapping
from typing import Any, Literal

from ..requests.profiles import Profile
from ..requests.thinking import is_thinking

_OPEN = "<think>"
_CLOSE = "</think>"
_SPACE = " \t\r\n"

Piece = tuple[str, str]
"""Thinking and content; of a piece in its order one of them is empty."""

Kind = Literal["reasoning", "content"]

Mode = Literal["drop", "inline", "text"]
"""What becomes of thinking where the protocol has no place for it."""

# What has the answer begin as the caller wants it: then there is no thinking in the content.
_CONSTRAINTS = (
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "regex",
    "ebnf",
)


def reasoning_of(written: Any) -> str | None:
    """Read the thinking of a delta or message, whatever its server calls it.

    Args:
        written: Of ``nim.answers.wire`` or of the SDK.
    """
    for name in ("reasoning_content", "reasoning"):
        text = getattr(written, name, None)
        if text and isinstance(text, str):
            return text
    return None


class ReasoningSplitter:
    """Tells thinking from content, in a stream or in a whole answer: one feed, then close.

    Text is held back only while it may be the beginning of a tag. White space between thinking
    and content belongs to neither and is dropped. A closing tag without an opening one stays
    text, unless the template opened the block: then everything before it is thinking, also if
    it never comes because the answer ended first (``finish_reason`` is ``length``, or the model
    called a tool).

    Attributes:
        thinking: The text so far ends in a block of thinking that is not closed.
        assumed: That block has shown no tag: it is thinking only because of what the template
            is known to do. An answer that stopped of its own accord in such a block was none.
    """

    def __init__(self, inline: bool, *, opens_in_prompt: bool = False) -> None:
        """Nothing has arrived yet.

        Args:
            inline: Look for tags; otherwise all content is content.
            opens_in_prompt: The chat template wrote the opening tag. A server that repeats it
                is understood as well.
        """
        self.thinking = self.assumed = inline and opens_in_prompt
        self._inline = inline
        self._at_edge = self.thinking
        self._held = ""

    def feed(self, content: str | None, reasoning: str | None = None) -> Piece:
        """Take what has arrived, and give its thinking and its content."""
        return _joined(self.split(content, reasoning))

    def close(self) -> Piece:
        """End the answer: give what was held back."""
        return _joined(self._release())

    def split(self, content: str | None, reasoning: str | None = None) -> list[Piece]:
        """Do as ``feed``, but keep the order of several blocks."""
        pieces: list[Piece] = []
        if reasoning:
            # This server sets thinking apart: what looks like a tag from now on is none.
            pieces += self._release()
            pieces.append((reasoning, ""))
            self.thinking = self.assumed = self._inline = False
            self._at_edge = True
        if content:
            self._held += content
            while (found := self._next()) is not None:
                pieces.append(found)
        return [piece for piece in pieces if any(piece)]

    def _next(self) -> Piece | None:
        """Take the next piece from the text at hand; None if there is none, or it has to wait."""
        at_start = self._at_edge
        if at_start:
            self._held = self._held.lstrip(_SPACE)
        if not self._held:
            return None
        if self.assumed and at_start:
            if self._held.startswith(_OPEN):
                self._held = self._held.removeprefix(_OPEN)
                self.assumed = False
                return "", ""
            if _OPEN.startswith(self._held):
                return None
        self._at_edge = False
        if not self._inline:
            return self._taken(len(self._held))
        tag = _CLOSE if self.thinking else _OPEN
        at = self._held.find(tag)
        if at < 0:
            length = len(self._held) - _beginning_of(tag, self._held)
            return self._taken(length) if length else None
        piece = self._taken(at)
        self._held = self._held.removeprefix(tag)
        self.thinking, self.assumed, self._at_edge = not self.thinking, False, True
        return piece

    def _taken(self, length: int) -> Piece:
        text, self._held = self._held[:length], self._held[length:]
        return (text, "") if self.thinking else ("", text)

    def _release(self) -> list[Piece]:
        return [self._taken(len(self._held))] if self._held else []


def splitter_for(profile: Profile, body: Mapping[str, Any]) -> ReasoningSplitter:
    """Make the splitter for the answer to one request.

    A template's open block is counted on only where the request has the model think, and does
    not force the form of the answer: a constraint holds from the first token on.

    Args:
        profile: What the model can do.
        body: The request as it was sent.
    """
    opens = profile.opens_in_prompt and is_thinking(body, profile) and not _is_constrained(body)
    return ReasoningSplitter(profile.inline_think, opens_in_prompt=bool(opens))


def _is_constrained(body: Mapping[str, Any]) -> bool:
    kind = (body.get("response_format") or {}).get("type", "text")
    extended = [*body, *(body.get("nvext") or ())]
    forced = body.get("tool_choice") not in (None, "auto", "none")
    return kind != "text" or forced or any(name in extended for name in _CONSTRAINTS)


class NativeText:
    """Writes thinking into an answer whose protocol has a place for text alone.

    * ``drop``: thinking is left out.
    * ``inline``: it stands between ``<think>`` and ``</think>``, tags on lines of their own,
      and a blank line follows.
    * ``text``: it stands there as text, and a blank line parts it from the rest.

    The same pieces give the same text, however they are cut.
    """

    def __init__(self, mode: Mode) -> None:
        """Nothing has been written yet."""
        self._mode = mode
        self._last: Kind | None = None
        self._newlines = 0
        self._dropped: list[str] = []

    def feed(self, reasoning: str, content: str) -> str:
        """Write thinking and then content, each possibly empty.

        Args:
            reasoning: As ``ReasoningSplitter`` gives it; for several blocks piece by piece.
            content: What comes after it.
        """
        if self._mode == "drop":
            if content:
                self._dropped.clear()
            elif reasoning and self._last is None:
                self._dropped.append(reasoning)
            self._last = "content" if content else self._last
            return content
        return self._write("reasoning", reasoning) + self._write("content", content)

    def close(self, *, was_answer: bool = False) -> str:
        """End the answer: close a block that the answer ended in.

        Args:
            was_answer: What passed for thinking was the answer, and is not to be dropped: the
                splitter had only ``assumed`` so, and the model stopped of its own accord.
        """
        if was_answer and self._mode == "drop":
            return "".join(self._dropped)
        ends_inside = self._mode == "inline" and self._last == "reasoning"
        return self._between("content") if ends_inside else ""

    def _write(self, kind: Kind, text: str) -> str:
        if not text:
            return ""
        written = (self._between(kind) if kind != self._last else "") + text
        ending = len(written) - len(written.rstrip("\n"))
        self._newlines = ending + (self._newlines if ending == len(written) else 0)
        self._last = kind
        return written

    def _between(self, kind: Kind) -> str:
        """Part what was written last from what comes."""
        if self._mode == "inline":
            if kind == "reasoning":
                return f"{_OPEN}\n"
            return ("" if self._newlines else "\n") + f"{_CLOSE}\n\n" if self._last else ""
        return "\n" * max(0, 2 - self._newlines) if self._last else ""


def _joined(pieces: list[Piece]) -> Piece:
    return "".join(thought for thought, _ in pieces), "".join(text for _, text in pieces)


def _beginning_of(tag: str, text: str) -> int:
    """Count the characters at the end of a text that may go on to be a tag."""
    longest = min(len(tag) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(tag[:n])), 0)
