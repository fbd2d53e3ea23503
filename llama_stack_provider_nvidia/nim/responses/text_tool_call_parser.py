"""Parse tool calls that a model wrote into its text, where a NIM has no tool-call parser.

Two styles are known:

* ``llama``: ``{"name": "f", "parameters": {"a": 1}}``, ``<function=f>{"a": 1}</function>``,
  ``[f(a=1), g(b="x")]`` and ``brave_search.call(query="x")``, each with or without a
  ``<|python_tag|>`` before it; code behind that tag where ``code_interpreter`` was offered.
* ``nemotron``: ``<TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL>``.

What has no tag of its own counts at the beginning of a line only, so that a sentence which
quotes a call stays a sentence. A call counts if its tool was offered; all else stays text.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from .text_tool_call_formats import CODE_TOOL, Call, Kind, calls_in, code_call

Style = Literal["llama", "nemotron"]

HOLD_LIMIT = 64 * 1024
"""Characters of the longest call; a longer one is text."""

_MAX_DEPTH = 64
_MAX_SPACE = 64
_PYTHON_TAG = "<|python_tag|>"

_NAME = re.compile(r"[\w.:/-]+")
_SPACE = re.compile(rf"\s{{0,{_MAX_SPACE}}}")
_TAG_OR_LINE = re.compile(r"[<\n]")
_BRACKETS = {quotes: re.compile(rf"[{quotes}\[\](){{}}]") for quotes in ('"', "\"'")}
_IN_QUOTES = {quote: re.compile(rf"[\\{quote}]") for quote in "\"'"}
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class _Form:
    """One way to write calls.

    Attributes:
        head: How it begins: each element is one of several strings, or None for white space.
        body: Which element of the head ends with the bracket that opens the body.
        kind: How the body is read.
        close: Tag behind the body, which some models leave out.
        tagged: A tag comes first, so that it counts anywhere.
    """

    head: tuple[tuple[str, ...] | None, ...]
    body: int
    kind: Kind
    close: str = ""
    tagged: bool = False


def _forms(offered: Collection[str], style: Style) -> Iterator[_Form]:
    if style == "nemotron":
        yield _Form((("<TOOLCALL>",), None, ("[", "{")), 2, "json", "</TOOLCALL>", tagged=True)
        return
    names = tuple(f'"{name}"' for name in offered)
    by_name = (None, ('"name"',), None, (":",), None, names)
    by_other = (None, ('"type"', '"function"', '"parameters"', '"arguments"', '"id"'))
    untagged = [
        *(_Form((("{",), *keys), 0, "json") for keys in (by_name, by_other)),
        *(_Form((("[",), None, ("{",), *keys), 0, "json") for keys in (by_name, by_other)),
        _Form((("[",), None, tuple(f"{name}(" for name in offered)), 0, "python"),
        _Form((tuple(f"{name}.call(" for name in offered),), 0, "dotted"),
    ]
    head: tuple[tuple[str, ...] | None, ...]
    head = (("<function=",), tuple(f"{name}>" for name in offered), None, ("{",))
    function = _Form(head, 3, "function", "</function>", tagged=True)
    yield from untagged
    yield function
    for form in (*untagged, function):
        head = ((_PYTHON_TAG,), None, *form.head)
        yield _Form(head, form.body + 2, form.kind, form.close, tagged=True)


def _matched(text: str, at: int, head: tuple[tuple[str, ...] | None, ...]) -> list[int] | bool:
    """Compare a text with a head.

    Returns:
        Where each element ends; False if it is no such head; True if it may become one.
    """
    ends = []
    for element in head:
        if element is None:
            found = _SPACE.match(text, at)
            at = found.end() if found else at
        elif alternative := next((a for a in element if text.startswith(a, at)), ""):
            at += len(alternative)
        else:
            rest = text[at : at + max(map(len, element))]
            return any(a.startswith(rest) for a in element)
        ends.append(at)
    return ends


class _Candidate:
    """The text that began as a call does and is not complete yet."""

    def __init__(self, form: _Form | None, name: str, start: int, body: int) -> None:
        """Initialize with a complete head.

        Args:
            form: How it is written; None for code, which goes on to the end of the text.
            name: The tool named by the tag, empty if none is.
            start: Where the call itself begins, behind a tag of Python; counted from the
                candidate's first character.
            body: Where the bracket is that opens the body.
        """
        self._form = form
        self._name = name
        self._start = start
        self._body = body
        self._at = body
        self._open: list[str] = []
        self._quote = ""
        self._result: tuple[int, list[Call]] | None = None

    def read(
        self, text: str, first: int, offered: Collection[str], *, final: bool
    ) -> tuple[int, list[Call]] | None:
        """Look whether it is complete.

        Args:
            text: The text as far as it has arrived.
            first: Where the candidate begins in it.
            offered: Names of the tools in the request.
            final: No more text will come.

        Returns:
            Where it ends and its calls, none if it turned out to be text; None if that is open.
        """
        limit = first + HOLD_LIMIT
        if self._form is None:
            if len(text) > limit:
                return limit, []
            return (len(text), code_call(text[first + self._start :])) if final else None
        if self._result is None:
            self._result = self._scan(self._form, text, first, offered)
        if self._result is None:
            return (min(len(text), limit), []) if final or len(text) >= limit else None
        length, calls = self._result
        if calls and self._form.close:
            ends = _matched(text, first + length, (None, (self._form.close,)))
            if isinstance(ends, list):
                return ends[-1], calls
            if ends and not final:
                return None
        return first + length, calls

    def _scan(
        self, form: _Form, text: str, first: int, offered: Collection[str]
    ) -> tuple[int, list[Call]] | None:
        """Find the bracket that closes the body, from where the last scan ended."""
        brackets = _BRACKETS['"' if form.kind == "json" else "\"'"]
        limit = min(len(text), first + HOLD_LIMIT)
        while True:
            marks = _IN_QUOTES[self._quote] if self._quote else brackets
            found = marks.search(text, first + self._at, limit)
            if found is None:
                # An escape at the end has already gone beyond it.
                self._at = max(self._at, limit - first)
                return None
            mark, self._at = found[0], found.end() - first
            if mark == "\\":
                self._at += 1
            elif mark in _IN_QUOTES:
                self._quote = "" if self._quote else mark
            elif mark not in _PAIRS:
                self._open.append(mark)
                if len(self._open) > _MAX_DEPTH:
                    return self._at, []
            elif self._open.pop() != _PAIRS[mark]:
                return self._at, []
            elif not self._open:
                whole = text[first + self._start : first + self._at]
                body = text[first + self._body : first + self._at]
                return self._at, calls_in(
                    form.kind, whole, body, offered, name=self._name, bare=not form.tagged
                )


class TextToolCalls:
    """Finds tool calls in a text as it arrives.

    What cannot be the beginning of a call comes out of ``feed`` at once; what can be is held
    until that is decided, at most ``HOLD_LIMIT`` characters. How the text was cut makes no
    difference to what comes out in all.
    """

    def __init__(self, offered: Collection[str], style: Style) -> None:
        """Initialize for one text.

        Args:
            offered: Names of the tools in the request.
            style: How this model's family writes calls.
        """
        self._offered = frozenset(name for name in offered if _NAME.fullmatch(name))
        forms = tuple(_forms(self._offered, style)) if self._offered else ()
        self._forms = {True: forms, False: tuple(form for form in forms if form.tagged)}
        self._starts = {
            where: {start[0] for form in of_place for start in form.head[0] or ()}
            for where, of_place in self._forms.items()
        }
        self._has_code = style == "llama" and CODE_TOOL in self._offered
        self._held = ""
        self._line_start = True
        # White space at the very beginning, and separators behind a call: a call that follows
        # takes them with it.
        self._gap: str | None = ""
        self._candidate: _Candidate | None = None
        self._calls: list[Call] = []

    def feed(self, text: str) -> str:
        """Take a piece of the text.

        Returns:
            What may be shown now; may be empty.
        """
        return self._advance(text, final=False)

    def close(self) -> tuple[str, list[Call]]:
        """End the text.

        Returns:
            What is still to be shown, and all calls in their order.
        """
        shown = self._advance("", final=True)
        if self._gap and not self._calls:
            shown += self._gap
        self._gap = ""
        return shown, list(self._calls)

    def _advance(self, text: str, *, final: bool) -> str:
        self._held += text
        shown: list[str] = []
        at = 0
        while at < len(self._held):
            if self._candidate is None:
                found = self._look(at, final=final)
                if found is None:
                    break
                if isinstance(found, _Candidate):
                    self._candidate = found
                    continue
                end = found
                self._show(self._held[at:end], shown)
            else:
                result = self._candidate.read(self._held, at, self._offered, final=final)
                if result is None:
                    break
                self._candidate = None
                end, calls = result
                if calls:
                    self._calls += calls
                    self._gap, self._line_start = "", True
                else:
                    self._show(self._held[at:end], shown)
            at = end
        self._held = self._held[at:]
        return "".join(shown)

    def _look(self, at: int, *, final: bool) -> _Candidate | int | None:
        """Look whether a call begins here.

        Returns:
            What may become a call; or up to where the text is just text; None if more of it is
            needed to tell.
        """
        undecided = False
        may_begin = self._held[at] in self._starts[self._line_start]
        for form in self._forms[self._line_start] if may_begin else ():
            ends = _matched(self._held, at, form.head)
            if isinstance(ends, list):
                start = ends[1] if form.head[0] == (_PYTHON_TAG,) else at
                body = ends[form.body] - 1
                name = self._held[start:body].strip().removeprefix("<function=").removesuffix(">")
                return _Candidate(form, name, start - at, body - at)
            undecided = undecided or ends
        if undecided and not final:
            return None
        if self._has_code and self._held.startswith(_PYTHON_TAG, at):
            return _Candidate(None, "", len(_PYTHON_TAG), 0)
        if self._line_start or self._held[at] == "\n":
            return at + 1
        mark = _TAG_OR_LINE.search(self._held, at + 1)
        return mark.start() if mark else len(self._held)

    def _show(self, text: str, shown: list[str]) -> None:
        """Let text through; what a call that follows may take with it waits in the gap."""
        if self._gap is not None:
            fits = text.isspace() or (bool(self._calls) and text in ";,")
            if fits and len(text) == 1 and len(self._gap) < _MAX_SPACE:
                self._gap += text
                return
            text, self._gap = self._gap + text, None
        shown.append(text)
        _, newline, line = text.rpartition("\n")
        self._line_start = not line.strip() and bool(newline or self._line_start)
