"""What an answer must look like to be passed on, and what of it can be put right.

One set of rules for native and OpenAI-style answers, streamed and whole:

- A value of the wrong type in what carries the answer (choices, text, thinking, tool calls, log
  probabilities, finish reason) is an error that names the field. The structs of ``wire`` say
  which types there are. Numbers as text count as numbers.
- A choice without an index has the one of its place. One with an index that the request leaves
  no room for is an error.
- An answer in which nothing was said is an error; an empty text is something said. So is a
  stream in which some choices end and others do not.
- A tool call without an id gets one; one without a name is an error (``nim.answers.toolcalls``).
- Counts of tokens that cannot be read are left out, and so is a wrong value in a field that says
  nothing of the answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .. import errors
from .wire import ChatChoice, CompletionChoice, Usage

Choice = ChatChoice | CompletionChoice

NO_ANSWER = "The NIM's stream ended without an answer."
CUT = (
    "The NIM's stream ended in the middle of the answer. Send the request again; if it ends there "
    "again, look at the NIM's log, and at the proxies between."
)

# Of a stream whose request asked for fewer.
_MOST_CHOICES = 128

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


class _ChatChoices(msgspec.Struct):
    choices: list[ChatChoice]


class _CompletionChoices(msgspec.Struct):
    choices: list[CompletionChoice]


def expected(body: Mapping[str, Any]) -> int:
    """Give how many choices a request asks for: ``n`` for each of its prompts."""
    number = body.get("n") or 1
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        number *= len(prompt)  # a list of numbers is one prompt
    return int(number)


def read_choices(choices: object, *, chat: bool) -> Sequence[Choice]:
    """Read the choices of an answer that was decoded without their structs.

    Raises:
        ServerError: A value has a wrong type; the text says where.
    """
    kind: type[_ChatChoices | _CompletionChoices] = _ChatChoices if chat else _CompletionChoices
    try:
        return msgspec.convert({"choices": choices}, kind, strict=False).choices
    except msgspec.ValidationError as error:
        raise errors.malformed(f"The NIM's answer cannot be read: {error}.") from None


def is_plain(choices: object) -> bool:
    """Tell, in little time, whether all is as it should be: true of nearly all chunks.

    Args:
        choices: Of a chunk that was decoded to dicts.

    Returns:
        Whether each choice has an index and brings nothing but text, all of the right types.
        What is in the alternatives of log probabilities the SDK's classes check.
    """
    if type(choices) is not list:
        return False
    for choice in choices:
        if type(choice) is not dict or type(choice.get("index")) is not int:
            return False
        delta = choice.get("delta")
        if type(delta) is dict:
            for value in delta.values():
                if value is not None and type(value) is not str:
                    return False
        elif type(choice.get("text")) is not str:
            return False
        reason = choice.get("finish_reason")
        if reason is not None and (type(reason) is not str or not reason):
            return False
        logprobs = choice.get("logprobs")
        if logprobs is not None and not _are_plain(logprobs):
            return False
    return True


def _are_plain(logprobs: object) -> bool:
    content = logprobs.get("content") if type(logprobs) is dict else None
    if type(content) is not list:
        return False
    for token in content:
        if (
            type(token) is not dict
            or type(token.get("token")) is not str
            or type(token.get("logprob")) is not float
            or type(token.get("top_logprobs")) is not list
        ):
            return False
    return True


def check_whole(choices: Sequence[Choice], answers: int) -> None:
    """Check the choices of a whole answer, and give each an index that has none.

    Args:
        choices: As they were decoded.
        answers: How many were asked for.

    Raises:
        ServerError: There are none, one says nothing, or an index is out of range.
    """
    if not choices:
        raise errors.malformed("The NIM sent an answer without choices.")
    for place, choice in enumerate(choices):
        if choice.index is None:
            choice.index = place
        if not 0 <= choice.index < max(answers, len(choices)):
            raise out_of_range(choice.index)
        is_chat = isinstance(choice, ChatChoice)
        if (choice.message if isinstance(choice, ChatChoice) else choice.text) is None:
            name = "message" if is_chat else "text"
            raise errors.malformed(f"The NIM sent an answer without a {name}: choice {place}.")
    if all(choice.index for choice in choices):
        raise errors.malformed("The NIM sent an answer without the first choice.")


def out_of_range(index: int) -> errors.ServerError:
    """Make the error for a choice that nobody asked for."""
    return errors.malformed(f"The NIM sent a choice with index {index}: none was asked for.")


class Progress:
    """Which choices of a stream have said something, and which have ended.

    Attributes:
        usage: The NIM's last count of tokens, in a chunk that ends a choice or has none; None if
            it sent none there.
    """

    def __init__(self, answers: int) -> None:
        """Nothing has arrived yet.

        Args:
            answers: How many choices were asked for.
        """
        self._answers = answers
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
        """Whether all choices that were asked for have ended."""
        return len(self._ended) >= self._answers

    def _begin(self, index: int, said: object) -> None:
        # More choices than asked for are borne, one after the other: readers pass over them.
        if not 0 <= index < max(self._answers, min(len(self._begun) + 1, _MOST_CHOICES)):
            raise out_of_range(index)
        if said is not None:
            self._begun.add(index)

    def end(self, *, done: bool) -> None:
        """The stream has ended.

        Args:
            done: The NIM has said so. Then finish reasons may be missing.

        Raises:
            ServerError: Nothing was said, or not all of it.
            NIMConnectionError: It broke off.
        """
        if done:
            if 0 not in self._begun:
                raise errors.malformed(NO_ANSWER)
            if self._ended and self._ended.keys() != self._begun:
                raise errors.ServerError(CUT)
        elif len(self._ended) < self._answers or self._begun != self._ended.keys():
            raise errors.NIMConnectionError(CUT)


def _said(choice: Choice) -> object:
    if isinstance(choice, CompletionChoice):
        return choice.text
    return choice.message if choice.delta is None else choice.delta


def read_usage(value: object) -> Usage | None:
    """Read the counts of tokens, as far as they can be read; None where none can."""
    return Usage(**counts) if (counts := _counts(value)) else None


def usable_usage(value: object) -> dict[str, Any] | None:
    """Give the counts of tokens as readers of OpenAI's API expect them: all three, and the rest.

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
