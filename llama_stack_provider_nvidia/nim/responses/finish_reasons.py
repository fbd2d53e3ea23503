"""Map the finish reasons of all engines to those of OpenAI's API.

Engines end a response for reasons of their own: vLLM and SGLang say ``abort`` when a request is
cancelled inside, vLLM ``error`` and ``repetition``, TensorRT-LLM ``cancelled`` and ``timeout``.
"""

import functools
import logging
import re

from .. import errors
from ..errors import Quote

logger = logging.getLogger(__name__)

STOP = "stop"
LENGTH = "length"
TOOL_CALLS = "tool_calls"

OPENAI_FINISH_REASONS = frozenset((STOP, LENGTH, TOOL_CALLS, "content_filter", "function_call"))
"""Of chats; a text completion has no calls."""

_OF_COMPLETION = frozenset((STOP, LENGTH, "content_filter"))
_LONGEST = 80
# What goes to the log: a NIM may have put anything there.
_PLAIN = re.compile("[a-z_]{1,40}")

_ABORTED = re.compile(
    "abort|error|cancel|time_?d?_?out|fail|interrupt|disconnect|kill|shut_?down|insufficient"
    "|overload|out_of_memory|preempt|evict|deadline"
)
_OTHERS = (
    (re.compile("eos|eos_token|stop_.*|end|end_.*turn|end_of_text|complete|completed|done"), STOP),
    (
        re.compile(".*repetition.*|.*length.*|.*max_.*tokens|out_of_tokens|token_limit|truncated"),
        LENGTH,
    ),
    (re.compile("tool_calls?|tool_use|function_calls?|end_of_message"), TOOL_CALLS),
    (re.compile(".*filter.*|.*safety.*|refus.*|.*blocked.*"), "content_filter"),
)


def openai_finish_reason(reason: str, *, chat: bool = True) -> str:
    """Return the finish reason of OpenAI's set for what an engine says.

    A reason that is not known becomes ``stop``, and is logged the first time.

    Args:
        reason: As the NIM sent it, not empty.
        chat: It is of a chat, and no text completion.

    Raises:
        ServerError: The engine gave up: what it sent is not the whole response.
    """
    if reason in (OPENAI_FINISH_REASONS if chat else _OF_COMPLETION):
        return reason
    word = re.sub(r"[\s-]+", "_", reason.strip().lower())[:_LONGEST]
    if _ABORTED.search(word):
        problem = "The engine gave up before the response was complete: finish reason '{quote}'."
        raise errors.make("generation_aborted", problem, quote=Quote(reason, _LONGEST))
    for pattern, known in _OTHERS:
        if pattern.fullmatch(word):
            return known if chat or known != TOOL_CALLS else STOP
    _warn_once(word if _PLAIN.fullmatch(word) else "of another form")
    return STOP


@functools.lru_cache(maxsize=64)
def _warn_once(word: str) -> None:
    logger.warning(
        "The NIM ended a response with an unknown finish reason (%s): it is handed on as %s.",
        word,
        STOP,
    )
