"""Split reasoning from content, and write it into native text.

Some servers send reasoning in a field of its own; see ``normalize.reasoning_of``. Others leave it
in the content, as ``<think>...</think>``.
"""

from collections.abc import Mapping
from typing import Any, Literal

from ..model_facts.profile import Profile
from ..requests.thinking import is_reasoning_enabled

_OPEN = "<think>"
_CLOSE = "</think>"
_SPACE = " \t\r\n"

Piece = tuple[str, str]
"""Reasoning and content; of a piece in its order one of them is empty."""

Kind = Literal["reasoning", "content"]

Mode = Literal["drop", "inline", "text"]
"""The treatment of reasoning where the protocol has no place for it."""

# Fields that force how the content begins: then there is no reasoning in it.
_CONSTRAINTS = (
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "regex",
    "ebnf",
)


class ReasoningSplitter:
    """Splits reasoning from content, in a stream or in a whole response: one feed, then close.

    Text is held back only while it may be the beginning of a tag. White space between a tag and
    content belongs to neither and is dropped. A closing tag without an opening one stays
    text, unless the template opened the block: then everything before it is reasoning, also if
    it never comes because the answer ended first (``finish_reason`` is ``length``, or the model
    called a tool).

    Attributes:
        in_reasoning: The text so far ends in a block of reasoning that is not closed.
        assumed: That block has shown no tag: it is reasoning only because of what the template
            is known to do. An answer that stopped of its own accord in such a block was none.
    """

    def __init__(
        self,
        inline: bool,
        *,
        opens_in_prompt: bool = False,
        tags: tuple[str, str] = (_OPEN, _CLOSE),
    ) -> None:
        """Initialize for one response.

        Args:
            inline: Look for tags; otherwise all content is content.
            opens_in_prompt: The chat template wrote the opening tag. A server that repeats it
                is understood as well.
            tags: The opening and the closing tag of the model's family.
        """
        self._open, self._close = tags
        self.in_reasoning = self.assumed = inline and opens_in_prompt
        self._inline = inline
        self._at_edge = self.in_reasoning
        self._held = ""

    def feed(self, content: str | None, reasoning: str | None = None) -> Piece:
        """Take what has arrived, and return its reasoning and its content."""
        return _joined(self.split(content, reasoning))

    def close(self) -> Piece:
        """End the response: return what was held back."""
        return _joined(self._release())

    def split(self, content: str | None, reasoning: str | None = None) -> list[Piece]:
        """Do as ``feed``, but keep the order of several blocks."""
        pieces: list[Piece] = []
        if reasoning:
            # This server has a field for reasoning: what looks like a tag from now on is none.
            pieces += self._release()
            pieces.append((reasoning, ""))
            # And it has cut the content off where it begins: white space there belongs to it.
            self.in_reasoning = self.assumed = self._inline = self._at_edge = False
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
            if self._held.startswith(self._open):
                self._held = self._held.removeprefix(self._open)
                self.assumed = False
                return "", ""
            if self._open.startswith(self._held):
                return None
        self._at_edge = False
        if not self._inline:
            return self._taken(len(self._held))
        tag = self._close if self.in_reasoning else self._open
        at = self._held.find(tag)
        if at < 0:
            length = len(self._held) - _beginning_of(tag, self._held)
            return self._taken(length) if length else None
        piece = self._taken(at)
        self._held = self._held.removeprefix(tag)
        self.in_reasoning, self.assumed, self._at_edge = not self.in_reasoning, False, True
        return piece

    def _taken(self, length: int) -> Piece:
        text, self._held = self._held[:length], self._held[length:]
        return (text, "") if self.in_reasoning else ("", text)

    def _release(self) -> list[Piece]:
        return [self._taken(len(self._held))] if self._held else []


def splitter_for(profile: Profile, body: Mapping[str, Any]) -> ReasoningSplitter:
    """Return the splitter for the response to one request.

    A template's open block is counted on only where the request has the model think, and does
    not force the form of the answer: a constraint holds from the first token on.

    Args:
        profile: What the model can do.
        body: The request as it was sent.
    """
    reasons = is_reasoning_enabled(body, profile)
    opens = profile.opens_in_prompt and reasons and not _is_constrained(body)
    return ReasoningSplitter(
        profile.inline_reasoning, opens_in_prompt=bool(opens), tags=profile.reasoning_tags
    )


def _is_constrained(body: Mapping[str, Any]) -> bool:
    kind = (body.get("response_format") or {}).get("type", "text")
    extended = [*body, *(body.get("nvext") or ())]
    forced = body.get("tool_choice") not in (None, "auto", "none")
    return kind != "text" or forced or any(name in extended for name in _CONSTRAINTS)


class NativeText:
    """Writes reasoning into a response whose protocol has a place for text alone.

    * ``drop``: reasoning is left out.
    * ``inline``: it stands between ``<think>`` and ``</think>``, tags on lines of their own,
      and a blank line follows.
    * ``text``: it stands there as text, and a blank line parts it from the rest.

    The same pieces give the same text, however they are cut.
    """

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._last: Kind | None = None
        self._newlines = 0
        self._dropped: list[str] = []

    def feed(self, reasoning: str, content: str) -> str:
        """Write reasoning and then content, each possibly empty.

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
        """End the response, and close a block that it ended in.

        Args:
            was_answer: What passed for reasoning was the answer, and is not to be dropped: the
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
    return "".join(reasoning for reasoning, _ in pieces), "".join(text for _, text in pieces)


def _beginning_of(tag: str, text: str) -> int:
    """Count the characters at the end of a text that may go on to be a tag."""
    longest = min(len(tag) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(tag[:n])), 0)
