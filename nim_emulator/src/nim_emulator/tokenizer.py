"""The emulator's tokenizer: word-like pieces that join back to exactly the text."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

# White space sticks to the front of the next piece, as it does in BPE
# vocabularies; five characters make a piece about as long as a real token.
_PIECE = re.compile(r"\s*\S{1,5}|\s+")

VOCABULARY_SIZE = 128_256
"""Number of token ids: the vocabulary of the Llama 3 family."""

IMAGE_TOKENS = 256
"""Prompt tokens that one image costs. Real models differ; only the order of size matters here."""

_MESSAGE_OVERHEAD = 4


def tokenize(text: str) -> list[str]:
    """Split a text into tokens.

    Args:
        text: Any text, also empty.

    Returns:
        Non-empty pieces with ``"".join(pieces) == text``.
    """
    return _PIECE.findall(text)


def tokenize_segments(segments: Iterable[str]) -> Iterator[str]:
    """Split a text that comes in segments, without ever holding all of it.

    Args:
        segments: Texts of which each but the first starts with white space, and none ends
            with it; then the pieces are those of the joined text.

    Yields:
        The pieces in order.
    """
    for segment in segments:
        yield from _PIECE.findall(segment)


def count(text: str) -> int:
    """Return the number of tokens in a text."""
    return len(_PIECE.findall(text))


def token_id(token: str) -> int:
    """Return the id of a token: stable between processes, below :data:`VOCABULARY_SIZE`."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) % VOCABULARY_SIZE


def count_chat(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> int:
    """Count the prompt tokens of a chat.

    Args:
        messages: The validated messages in their wire form.
        tools: The tool definitions in their wire form.

    Returns:
        Tokens of all texts, tool calls, tool definitions and images, plus a fixed number
        per message for the markers of a chat template.
    """
    total = 0
    for message in messages:
        total += _MESSAGE_OVERHEAD + _count_content(message.get("content"))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            total += count(function["name"]) + count(function.get("arguments") or "")
    if tools:
        total += count(json.dumps(tools))
    return total


def _count_content(content: str | list[dict[str, Any]] | None) -> int:
    if not content:
        return 0
    if isinstance(content, str):
        return count(content)
    return sum(count(part["text"]) if part["type"] == "text" else IMAGE_TOKENS for part in content)
