"""Validate NIM responses and normalize harmless deviations.

One set of rules for native and OpenAI-style responses, streamed and whole:

- A value of the wrong type in what carries the answer (choices, text, reasoning, tool calls, log
  probabilities, finish reason) is an error that names the field. The types are those of
  ``structs``. Numbers as text count as numbers.
- A choice without an index has the one of its place. One with an index that the request leaves
  no room for is an error.
- An answer in which nothing was said is an error; an empty text is something said.
- A finish reason is one of OpenAI's; see ``finish_reasons``. Of a stream that says that it is over
  it may be missing.
- A log probability that is no finite number is a very small one; see ``logprobs``.
- A tool call without an id gets one; one without a name is an error.
- Counts of tokens that cannot be read are left out, and so is a wrong value in a field that says
  nothing of the answer.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from .. import errors
from .structs import ChatChoice, CompletionChoice, Usage

Choice = ChatChoice | CompletionChoice

NO_RESPONSE = "The NIM's stream ended without a response."
CUT = "The NIM's stream ended in the middle of the response."

# Of a stream whose request asked for fewer.
_MOST_CHOICES = 128

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


class _ChatChoices(msgspec.Struct):
    choices: list[ChatChoice]


class _CompletionChoices(msgspec.Struct):
    choices: list[CompletionChoice]


def read_choices(choices: object, *, chat: bool) -> Sequence[Choice]:
    """Read the choices of a response that was decoded without their structs.

    Raises:
        ServerError: A value has a wrong type; the text says where.
    """
    kind: type[_ChatChoices | _CompletionChoices] = _ChatChoices if chat else _CompletionChoices
    try:
        return msgspec.convert({"choices": choices}, kind, strict=False).choices
    except msgspec.ValidationError as error:
        raise errors.malformed(f"The NIM's response cannot be read: {error}.") from None


def reasoning_of(written: Any) -> str | None:
    """Return the reasoning of a delta or message, whatever its server calls it.

    It is ``reasoning_content`` in NIM 1.x, SGLang, Dynamo and most hosted models, and
    ``reasoning`` in vLLM.

    Args:
        written: Of ``nim.responses.structs`` or of the SDK.
    """
    for name in ("reasoning_content", "reasoning"):
        text = getattr(written, name, None)
        if text and isinstance(text, str):
            return text
    return None


def check_whole(choices: Sequence[Choice], answers: int) -> None:
    """Check the choices of a whole response, and add missing indexes.

    Args:
        choices: As they were decoded.
        answers: How many were asked for.

    Raises:
        ServerError: There are none, one says nothing, or an index is out of range.
    """
    if not choices:
        raise errors.malformed("The NIM sent a response without choices.")
    for place, choice in enumerate(choices):
        if choice.index is None:
            choice.index = place
        if not 0 <= choice.index < max(answers, len(choices)):
            raise out_of_range(choice.index)
        is_chat = isinstance(choice, ChatChoice)
        if (choice.message if isinstance(choice, ChatChoice) else choice.text) is None:
            name = "message" if is_chat else "text"
            raise errors.malformed(f"The NIM sent a response without a {name}: choice {place}.")
    if all(choice.index for choice in choices):
        raise errors.malformed("The NIM sent a response without the first choice.")


def out_of_range(index: int) -> errors.ServerError:
    """Return the error for a choice that was not requested."""
    return errors.malformed(f"The NIM sent a choice with index {index}: none was asked for.")


class StreamProgress:
    """Tracks which choices of a stream have begun and which have ended.

    Attributes:
        usage: The NIM's last count of tokens, in a chunk that ends a choice or has none; None if
            it sent none there.
    """

    def __init__(self, choices: int) -> None:
        """Initialize for one stream.

        Args:
            choices: How many were asked for.
        """
        self._choices = choices
        self._begun: set[int] = set()
        self._ended: dict[int, str] = {}
        self.usage: object = None

    def see(self, chunk: Any) -> None:
        """Take the next chunk, a struct or a dict, whose types have been checked.

        Raises:
            ServerError: It has a choice that nobody asked for.
        """
        if isinstance(chunk, dict):
            choices = chunk["choices"]
            for choice in choices:
                index = choice["index"]
                if index not in self._begun:
                    is_text = chunk.get("object") == "text_completion"
                    self._begin(index, choice.get("text" if is_text else "delta"))
                if reason := choice.get("finish_reason"):
                    self._ended[index] = reason
                    self.usage = chunk.get("usage") or self.usage
            if not choices:
                self.usage = chunk.get("usage") or self.usage
            return
        choices = chunk.choices
        for place, choice in enumerate(choices or ()):
            index = choice.index
            if index is None:
                index = choice.index = place
            if index not in self._begun:
                self._begin(index, _said(choice))
            if choice.finish_reason:
                self._ended[index] = choice.finish_reason
                self.usage = chunk.usage or self.usage
        if not choices:
            self.usage = chunk.usage or self.usage

    @property
    def finish_reasons(self) -> list[str]:
        """The finish reasons so far, in the order of the choices."""
        return [reason for _, reason in sorted(self._ended.items())]

    @property
    def is_complete(self) -> bool:
        """True if all requested choices have ended."""
        return len(self._ended) >= self._choices

    def set_finish_reason(self, index: int, reason: str) -> None:
        """Note the end of a choice that the NIM has not ended itself."""
        self._ended[index] = reason

    @property
    def open_choices(self) -> list[int]:
        """The choices that have begun and not ended."""
        return sorted(self._begun - self._ended.keys())

    def _begin(self, index: int, said: object) -> None:
        # More choices than asked for are borne, one after the other: readers pass over them.
        if not 0 <= index < max(self._choices, min(len(self._begun) + 1, _MOST_CHOICES)):
            raise out_of_range(index)
        if said is not None:
            self._begun.add(index)

    def end(self, *, done: bool) -> None:
        """Check that the stream may end here.

        Args:
            done: The NIM has said so. Then finish reasons may be missing.

        Raises:
            ServerError: Nothing was said, or not all of it.
            NIMConnectionError: It broke off.
        """
        if done:
            if 0 not in self._begun:
                raise errors.malformed(NO_RESPONSE)
        elif len(self._ended) < self._choices or self._begun != self._ended.keys():
            raise errors.make("response_cut_off", CUT)


def _said(choice: Choice) -> object:
    if isinstance(choice, CompletionChoice):
        return choice.text
    return choice.message if choice.delta is None else choice.delta


def read_usage(value: object) -> Usage | None:
    """Read the counts of tokens, as far as they can be read; None where none can."""
    return Usage(**counts) if (counts := _counts(value)) else None


def usable_usage(value: object) -> dict[str, Any] | None:
    """Return the token counts as readers of OpenAI's API expect them: all three, and the rest.

    Args:
        value: What the NIM sent.

    Returns:
        None where no count can be read.
    """
    counts = _counts(value)
    if not isinstance(value, dict) or not counts:
        return None
    rest = {
        name: item
        for name, item in value.items()
        if name not in _COUNTS and (name not in _DETAILS or isinstance(item, dict))
    }
    whole = {"prompt_tokens": 0, "completion_tokens": 0, **counts}
    whole.setdefault("total_tokens", whole["prompt_tokens"] + whole["completion_tokens"])
    return {**rest, **whole}


def _counts(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    read = {name: _count(value.get(name)) for name in _COUNTS}
    return {name: count for name, count in read.items() if count is not None}


def _count(value: object) -> int | None:
    try:
        count = msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        return None
    return count if count >= 0 else None
