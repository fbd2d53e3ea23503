"""Faults in tool calls, with made-up calls."""

from __future__ import annotations

from typing import Any, Literal

from .connections import Size
from .operations import (
    DONE,
    Json,
    Operations,
    OriginalResponse,
    body_of,
    data_of,
    encoded,
    event_of,
)
from .registry import fault

Kind = Literal[
    "no-index",
    "no-id",
    "no-name",
    "same-index",
    "same-id",
    "out-of-order",
    "late-name",
    "object-arguments",
    "null-arguments",
    "cut-arguments",
    "text-arguments",
    "list-arguments",
    "unknown-tool",
    "negative-index",
    "gap",
    "many",
]


@fault("content")
async def tool_calls(
    response: OriginalResponse, kind: Kind = "no-index", fragments: Size = 1000
) -> Operations:
    """The response is two tool calls with something wrong in them, or one in many fragments.

    The calls are of the first tool that was sent, with the arguments `{"n": 1}` and `{"n": 2}`.
    """
    yield await response.head()
    name = _tool(response.request)
    if not await response.streams():
        body = body_of(await response.whole())
        for choice in body.get("choices") or ():
            message = {"role": "assistant", "content": None}
            choice["message"] = {**message, "tool_calls": _whole(kind, name)}
            choice["finish_reason"] = "tool_calls"
        yield encoded(body)
        return
    async for piece in response.pieces():
        first = data_of(piece)
        if isinstance(first, dict) and first.get("choices"):
            break
    else:
        return
    envelope = {key: value for key, value in first.items() if key not in ("choices", "usage")}

    def event(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return event_of({**envelope, "choices": [choice]})

    yield event({"role": "assistant", "content": ""})
    for fragment in _streamed(kind, name, fragments):
        yield event({"tool_calls": [fragment]})
    yield event({}, "tool_calls")
    yield DONE


def _tool(request: Json) -> str:
    tools = request.get("tools")
    try:
        return str(tools[0]["function"]["name"])  # type: ignore[index]
    except (TypeError, LookupError):
        return "get_weather"


def _whole(kind: Kind, name: str) -> list[Json]:
    calls: list[Json] = []
    for number in (1, 2):
        function: Json = {"name": name, "arguments": f'{{"n": {number}}}'}
        calls.append({"id": f"call-{number}", "type": "function", "function": function})
        _spoil(kind, calls[-1], number)
    if kind == "out-of-order":
        calls.reverse()
    return calls


def _spoil(kind: Kind, call: Json, number: int) -> None:
    """Spoil a call in the way that whole and streamed ones have in common."""
    wrong: dict[str, Any] = {
        "object-arguments": {"n": number},
        "null-arguments": None,
        "cut-arguments": '{"n": ',
        "text-arguments": "n is " + str(number),
        "list-arguments": f"[{number}]",
    }
    if kind in wrong:
        call["function"]["arguments"] = wrong[kind]
    elif kind == "no-id":
        del call["id"]
    elif kind == "same-id":
        call["id"] = "call-1"
    elif kind == "no-name":
        del call["function"]["name"]
    elif kind == "unknown-tool":
        call["function"]["name"] = "no_such_tool"


def _streamed(kind: Kind, name: str, fragments: int) -> list[Json]:
    calls = _whole(kind, name)
    if kind == "many":
        arguments = '{"n": "' + "x" * fragments + '"}'
        call = calls[0]
        opening = {"index": 0, **call, "function": {"name": name, "arguments": ""}}
        return [opening, *({"index": 0, "function": {"arguments": c}} for c in arguments)]
    if kind == "out-of-order":
        calls.reverse()
    indexes = {"same-index": (0, 0), "negative-index": (-1, -2), "gap": (3, 7)}.get(kind, (0, 1))
    parts: list[list[Json]] = []
    for index, call in zip(indexes, calls, strict=True):
        arguments = call["function"]["arguments"]
        number = {} if kind == "no-index" else {"index": index}
        opening = {**number, **call, "function": {**call["function"], "arguments": ""}}
        if not isinstance(arguments, str):
            parts.append([{**number, **call}])
            continue
        if kind == "late-name":
            late = {"name": opening["function"].pop("name")}
            parts.append([opening, {**number, "function": {**late, "arguments": arguments}}])
            continue
        half = len(arguments) // 2
        pieces = [{**number, "function": {"arguments": arguments[:half]}}]
        pieces.append({**number, "function": {"arguments": arguments[half:]}})
        parts.append([opening, *pieces])
    if kind == "out-of-order":
        # The second call opens first, and the fragments of both take turns.
        return [piece for pair in zip(parts[1], parts[0], strict=True) for piece in pair]
    return [piece for part in parts for piece in part]
