"""Log probabilities as numbers that JSON and OpenAI's API have.

Engines give tokens that a constraint rules out, or that underflow, as null, NaN or -Infinity.
"""

import math
from typing import Any

from .structs import tokens_in_content

IMPOSSIBLE = -9999.0
"""OpenAI's value for a token that is very unlikely."""


def log_probability(value: object) -> float:
    """Return a log probability; ``IMPOSSIBLE`` for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return IMPOSSIBLE
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return IMPOSSIBLE
    return number if math.isfinite(number) else IMPOSSIBLE


def normalize_chat_logprobs(logprobs: dict[str, Any]) -> None:
    """Make finite numbers of the log probabilities of a chat choice, whose types were checked."""
    logprobs["content"] = _list(logprobs.get("content"))
    for token in logprobs["content"] or ():
        token["logprob"] = log_probability(token.get("logprob"))
        token["top_logprobs"] = _list(token.get("top_logprobs")) or []
        for top in token["top_logprobs"]:
            top["logprob"] = log_probability(top.get("logprob"))


def normalize_completion_logprobs(logprobs: dict[str, Any]) -> None:
    """Make finite numbers of those of a text completion; the first token of all may have none."""
    if not logprobs.get("tokens"):
        _convert_content(logprobs)
    numbers, tops = _list(logprobs.get("token_logprobs")), _list(logprobs.get("top_logprobs"))
    if numbers:
        numbers[:] = [_or_none(number) for number in numbers]
    if tops:
        for top in tops:
            if type(top) is dict:
                for token, number in top.items():
                    top[token] = _or_none(number)
    logprobs |= {"token_logprobs": numbers, "top_logprobs": tops}


def _convert_content(logprobs: dict[str, Any]) -> None:
    """Put those that a completion has in a chat's form, as llama.cpp sends them, into its own."""
    tokens = tokens_in_content(logprobs.pop("content", None))
    if not tokens:
        return
    logprobs["tokens"] = [token.token for token in tokens]
    logprobs["token_logprobs"] = [token.logprob for token in tokens]
    logprobs["top_logprobs"] = [
        {top.token: top.logprob for top in token.top_logprobs or ()} for token in tokens
    ]
    logprobs["text_offset"] = []


def _list(value: object) -> list[Any] | None:
    """Return a list; None for null, which the word may stand for."""
    return value if isinstance(value, list) else None


def _or_none(value: object) -> float | None:
    return None if value is None else log_probability(value)
