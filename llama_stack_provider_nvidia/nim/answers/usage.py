"""Where the count of tokens stands in a stream.

OpenAI's API sends it in a last chunk without choices, if the caller asks for it
(``stream_options.include_usage``), and not otherwise; some servers send it unasked. Llama Stack's
telemetry reads it off the chunk that ends the answer instead.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ..errors import NIMError

Chunk = dict[str, Any]


def is_asked(body: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for the count at the end of its stream."""
    return bool((body.get("stream_options") or {}).get("include_usage"))


def asking(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a request that asks for the count, and is the same otherwise."""
    options = {**(body.get("stream_options") or {}), "include_usage": True}
    return {**body, "stream_options": options}


def placed(
    stream: AsyncGenerator[Chunk, None], *, asked: bool, at_the_end: bool
) -> AsyncGenerator[Chunk, None]:
    """Put the count where it is looked for.

    Args:
        stream: Chunks as they were decoded.
        asked: The caller asked for a chunk of its own for the count. Without that there is none.
        at_the_end: The chunk that ends the answer shall have it, too. That chunk waits for the
            next one, which follows at once.
    """
    if at_the_end:
        return _at_the_end(stream, asked)
    return stream if asked else _left_out(stream)


async def _left_out(stream: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    try:
        async for chunk in stream:
            if chunk["choices"] or not chunk.get("usage"):
                yield chunk
    finally:
        await stream.aclose()


async def _at_the_end(
    stream: AsyncGenerator[Chunk, None], asked: bool
) -> AsyncGenerator[Chunk, None]:
    held: Chunk | None = None
    failure: NIMError | None = None
    try:
        try:
            async for chunk in stream:
                choices = chunk["choices"]
                usage = None if choices else chunk.get("usage")
                if held is not None:
                    if usage:
                        held["usage"] = usage
                    yield held
                    held = None
                if usage and not asked:
                    continue
                # Of several answers each ends in a chunk of its own; the count follows the last.
                if choices and any(choice.get("finish_reason") for choice in choices):
                    held = chunk
                else:
                    yield chunk
        except NIMError as error:
            failure = error
        if held is not None:
            yield held
        if failure is not None:
            raise failure
    finally:
        await stream.aclose()
