"""Placement of token usage in a stream.

OpenAI's API sends them in a last chunk without choices, if the caller asks for it
(``stream_options.include_usage``), and not otherwise; some servers send it unasked. Llama Stack's
telemetry reads them off the chunk that ends the answer instead.
"""

from typing import Any

Chunk = dict[str, Any]


class UsagePlacer:
    """Puts the counts where they are read. It takes chunks as dicts."""

    def __init__(self, *, asked: bool, at_the_end: bool) -> None:
        """Initialize for one stream.

        Args:
            asked: The caller asked for a chunk of its own for the counts. Without that there is
                none.
            at_the_end: The chunk that ends the answer shall have them, too. That chunk waits for
                the next one, which follows at once.
        """
        self._asked = asked
        self._at_the_end = at_the_end
        self._held: Chunk | None = None

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """Take the next chunk, and return what can go on."""
        choices = chunk["choices"]
        usage = None if choices else chunk.get("usage")
        given = []
        if self._held is not None:
            if usage:
                self._held["usage"] = usage
            given.append(self._held)
            self._held = None
        if usage and not self._asked:
            return given
        # Of several choices each ends in a chunk of its own; the counts follow the last.
        if self._at_the_end and any(choice.get("finish_reason") for choice in choices):
            self._held = chunk
        else:
            given.append(chunk)
        return given

    def close(self) -> list[Chunk]:
        """Return the chunk that waits for the counts, if there is one."""
        held, self._held = self._held, None
        return [] if held is None else [held]
