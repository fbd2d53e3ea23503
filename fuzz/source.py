"""Decoder of a fuzzer's bytes into decisions, so that every mutation is a valid input."""

from collections.abc import Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")

_WORDS = ("", "a", "0", "-1", "1e999", "null", "é", "\ud800", "\x00", "\u2028", "{}", "[", "\\")
_NUMBERS = (0, 1, -1, 2, 3.5, 2**31, 2**63, -(2**63) - 1, 2**64, 10**30, 1e308, -0.0, 5e-324)
_DEEPEST = 5


class Source:
    """Bytes that are used up one by one; after the last there are only zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        """Take the next byte."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, number: int) -> int:
        """Take a number from 0; ``number`` is at most 256."""
        return self.byte() % number

    def flag(self) -> bool:
        """Take a yes or no, which is no where no bytes are left."""
        return bool(self.byte() & 1)

    def pick(self, items: Sequence[Item]) -> Item:
        """Take one of several."""
        return items[self.below(len(items))]

    def blob(self, most: int = 255) -> bytes:
        """Take some bytes as they are."""
        size = self.below(most + 1)
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """Take all bytes that are left."""
        taken = self._data[self._at :]
        self._at = len(self._data)
        return taken

    def text(self, words: Sequence[str] = ()) -> str:
        """Take a known word, a strange one, or one made of bytes."""
        kind = self.below(4)
        if kind == 3:
            return self.blob(24).decode("utf-8", "replace")
        return self.pick(words if words and kind else _WORDS)

    def cuts(self, whole: bytes) -> list[bytes]:
        """Cut bytes into pieces, none of them empty."""
        pieces = []
        while whole and self:
            size = 1 + self.below(48)
            pieces.append(whole[:size])
            whole = whole[size:]
        return [*pieces, whole] if whole else pieces

    def json(self, keys: Sequence[str], words: Sequence[str] = (), depth: int = 0) -> Any:
        """Take a JSON value; its objects have mostly keys that somebody reads."""
        kind = self.below(8)
        if depth < _DEEPEST and kind == 1:
            return {
                self.pick(keys) if keys and self.below(8) else self.text(): self.json(
                    keys, words, depth + 1
                )
                for _ in range(self.below(5))
            }
        if depth < _DEEPEST and kind == 2:
            return [self.json(keys, words, depth + 1) for _ in range(self.below(4))]
        if kind == 3:
            return self.pick(_NUMBERS)
        if kind == 4:
            return self.flag()
        return None if kind == 0 else self.text(words)

    def maybe(self, usual: Item, keys: Sequence[str], words: Sequence[str] = ()) -> Item | Any:
        """Take what is usual there, or once in a while any JSON value."""
        return usual if self.below(8) else self.json(keys, words)
