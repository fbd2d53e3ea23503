"""Convert log probabilities: one ``TokenLogProbs`` per generated token."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from .. import stack
from ..nim.responses.logprobs import log_probability
from ..nim.responses.structs import tokens_in_content
from .native_types import TokenLogProbs


class TopLogprob(Protocol):
    """A token that was considered."""

    @property
    def token(self) -> str:
        """Its text."""

    @property
    def logprob(self) -> float:
        """Its log probability."""


class TokenLogprob(TopLogprob, Protocol):
    """A token that was generated."""

    @property
    def top_logprobs(self) -> Sequence[TopLogprob] | None:
        """The most likely tokens at its place."""


class ChatLogprobs(Protocol):
    """Log probabilities of a chat choice."""

    @property
    def content(self) -> Sequence[TokenLogprob] | None:
        """Those of its content, token by token."""


class CompletionLogprobs(Protocol):
    """Log probabilities of a completion choice: lists of equal length, or as in a chat."""

    @property
    def content(self) -> object:
        """In the place of the others, as llama.cpp sends them."""

    @property
    def tokens(self) -> Sequence[str] | None:
        """The tokens that were generated."""

    @property
    def token_logprobs(self) -> Sequence[float | None] | None:
        """The log probability of each."""

    @property
    def top_logprobs(self) -> Sequence[Mapping[str, float | None] | None] | None:
        """The most likely tokens at the place of each."""


def chat_logprobs(logprobs: ChatLogprobs | None) -> list[TokenLogProbs] | None:
    """Convert the log probabilities of a chat choice or delta; None where there are none."""
    content = logprobs.content if logprobs is not None else None
    return _tokens(content) if content else None


def _tokens(content: Sequence[TokenLogprob]) -> list[TokenLogProbs]:
    return [
        _token(
            entry.token,
            log_probability(entry.logprob),
            {top.token: log_probability(top.logprob) for top in entry.top_logprobs or ()},
        )
        for entry in content
    ]


def completion_logprobs(logprobs: CompletionLogprobs | None) -> list[TokenLogProbs] | None:
    """Convert the log probabilities of a completion choice; None where there are none.

    A null stands for a token that has none: the first one of an echoed prompt.
    """
    if logprobs is None:
        return None
    tokens = logprobs.tokens
    if not tokens:
        return _tokens(tokens_in_content(getattr(logprobs, "content", None))) or None
    chosen = list(logprobs.token_logprobs or ())
    tops = list(logprobs.top_logprobs or ())
    converted = []
    for position, token in enumerate(tokens):
        top = tops[position] if position < len(tops) else None
        own = chosen[position] if position < len(chosen) else None
        known = {
            text: log_probability(value) for text, value in (top or {}).items() if value is not None
        }
        converted.append(_token(token, own, known))
    return converted


def _token(token: str, logprob: float | None, alternatives: dict[str, float]) -> TokenLogProbs:
    if logprob is not None:
        # Alternatives may have the same text, such as two halves of a character.
        alternatives[token] = log_probability(logprob)
    made: TokenLogProbs = stack.TokenLogProbs(logprobs_by_token=alternatives)
    return made
