"""Decode responses to the openai SDK's classes, for the OpenAI-style API.

Llama Stack's OpenAI-style calls give their responses in these classes, which keep every field
that a NIM sends, known or not. The SDK's own reader takes 15 times as long per chunk, and its
objects lack what a NIM leaves out; servers read those fields unguarded. Chunks are dicts first,
because merging those is cheaper than making the SDK's objects.
"""

import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from openai import BaseModel
from openai.types import Completion
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageToolCall,
)
from openai.types.chat.chat_completion_chunk import (
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from pydantic import TypeAdapter, ValidationError

from .. import errors
from ..json_types import UNREADABLE
from .content_parser import FoundCall, Remainder
from .error_bodies import reported
from .finish_reasons import LENGTH, STOP, TOOL_CALLS
from .normalize import check_whole, read_choices, usable_usage
from .openai_choices import (
    complete_call,
    complete_choice,
    complete_message,
    finish_reason,
    rename_reasoning,
    settle_tool_calls,
)
from .openai_repair import repaired
from .structs import ChatChoice, ChatDelta
from .tolerant_json import decode_tolerantly
from .tool_call_assembler import ToolCallNumberer

_OBJECTS: dict[type[BaseModel], str] = {
    ChatCompletion: "chat.completion",
    ChatCompletionChunk: "chat.completion.chunk",
    Completion: "text_completion",
}
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class OpenAICodec:
    """Decodes one chat or text completion, whole or chunk by chunk."""

    places_usage = True

    def __init__(self, model: str, *, chat: bool = True) -> None:
        """Initialize for one response.

        Args:
            model: The model's name as the caller knows it.
            chat: It is a chat, and no text completion.
        """
        self._model = model
        self._chat = chat
        self._chunk_kind: type[BaseModel] = ChatCompletionChunk if chat else Completion
        self._id: str | None = None
        self._calls: dict[int, ToolCallNumberer] = {}

    # Whole responses

    def decode_response(self, data: bytes, choices: int = 1) -> Any:
        """Decode a whole response.

        Args:
            data: Its body.
            choices: How many were asked for.

        Returns:
            A ``ChatCompletion`` or a ``Completion``.

        Raises:
            NIMError: The NIM reports an error in place of a response.
            ServerError: It is not what the NIM's API defines; see ``nim.responses.normalize``.
        """
        kind = ChatCompletion if self._chat else Completion
        body = self._with_head(_decode_object(data), kind)
        # Servers read the counts of a whole response unguarded.
        body["usage"] = body.get("usage") or dict(_NO_USAGE)
        read = read_choices(body["choices"], chat=self._chat)
        check_whole(read, choices)
        for choice, known in zip(body["choices"], read, strict=True):
            complete_choice(choice, known)
            if isinstance(known, ChatChoice):
                complete_message(choice, known)
            choice["finish_reason"] = choice["finish_reason"] or finish_reason(choice)
        return _validated(body, kind)

    # Chunks

    def decode_chunk(self, data: bytes) -> dict[str, Any]:
        """Decode one event, and fill in what a NIM leaves out and readers take for granted.

        Raises:
            NIMError: The NIM reports an error.
            ServerError: It is not what the NIM's API defines.
        """
        body = self._with_head(_decode_object(data), self._chunk_kind)
        choices = body["choices"]
        if not _is_plain(choices) and not self._continues_call(choices):
            self._complete(choices)
        if self._chat:
            for choice in choices:
                if (delta := choice.get("delta")) and "reasoning" in delta:
                    rename_reasoning(delta)
        return body

    def build(self, chunk: dict[str, Any]) -> Any:
        """Return the SDK's object of a decoded chunk.

        Raises:
            ServerError: A value has a wrong type; the text says where.
        """
        return _validated(chunk, self._chunk_kind)

    def check_end(self) -> None:
        """Check the response when its stream has ended.

        Raises:
            ServerError: A tool call has no name.
        """
        for numberer in self._calls.values():
            numberer.check_end()

    def _continues_call(self, choices: Any) -> bool:
        """Take, in little time, what most chunks of tool calls are: a piece of one's arguments."""
        if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
            return False
        choice = choices[0]
        delta, index = choice.get("delta"), choice.get("index")
        if (
            type(delta) is not dict
            or type(index) is not int
            or choice.get("finish_reason") is not None
            or choice.get("logprobs") is not None
        ):
            return False
        for name, value in delta.items():
            if value is not None and type(value) is not str and name != "tool_calls":
                return False
        calls, numberer = delta.get("tool_calls"), self._calls.get(index)
        if type(calls) is not list or len(calls) != 1 or numberer is None:
            return False
        return numberer.continues(calls[0])

    def _complete(self, choices: Any) -> None:
        if self._chat and isinstance(choices, list):
            for choice in choices:
                # A server may answer a streamed request with a whole response.
                if isinstance(choice, dict) and choice.get("delta") is None:
                    choice["delta"] = choice.pop("message", None)
        read = read_choices(choices, chat=self._chat)
        for place, (choice, known) in enumerate(zip(choices, read, strict=True)):
            if known.index is None:
                known.index = place
            complete_choice(choice, known)
            if isinstance(known, ChatChoice) and known.delta is not None:
                self._complete_delta(choice, known.index, known.delta)
                settle_tool_calls(choice, self._calls.get(known.index))

    def _complete_delta(self, choice: dict[str, Any], index: int, known: ChatDelta) -> None:
        delta = choice["delta"]
        if not isinstance(delta.get("role") or "", str):
            delta["role"] = "assistant"
        if not known.tool_calls:
            delta.pop("tool_calls", None)
            return
        numberer = self._calls.get(index)
        if numberer is None:
            numberer = self._calls[index] = ToolCallNumberer()
        for call, fragment in zip(delta["tool_calls"], known.tool_calls, strict=True):
            head = numberer.feed(fragment)
            call |= {"index": head.number, "id": head.id}
            complete_call(call)
            if call["function"] is not None:
                call["function"]["name"] = head.name

    def _with_head(self, body: dict[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
        """Fill in what a NIM leaves out around the choices, or has wrong there."""
        body["object"] = _OBJECTS[kind]
        body["model"] = self._model
        if self._id is None:
            given = body.get("id")
            # Stacks keep responses by their ids: one of ours stands in where a NIM gives none.
            is_id = type(given) is str and given
            self._id = str(given) if is_id else f"chatcmpl-{uuid.uuid4().hex}"
        body["id"] = self._id
        created = body.get("created")
        if type(created) is not int or created <= 0:
            body["created"] = int(time.time())
        if body.get("choices") is None:
            body["choices"] = []
        usage = body.get("usage")
        if usage is not None:
            body["usage"] = usable_usage(usage)
        return body

    def make_ending(self, choices: Sequence[int]) -> dict[str, Any]:
        """Make the chunk that ends choices which the NIM has left without a finish reason."""
        endings = []
        for index in choices:
            ending: dict[str, Any] = {"index": index, "delta": {}} if self._chat else {}
            ending |= {} if self._chat else {"index": index, "text": ""}
            calls = self._calls.get(index)
            reason = TOOL_CALLS if calls else STOP
            endings.append({**ending, "logprobs": None, "finish_reason": reason})
        return self._with_head({"choices": endings}, self._chunk_kind)

    # What a content parser adds

    def make_call(self, call: FoundCall, *, streamed: bool) -> Any:
        """Make an element of ``tool_calls`` of a delta, or of a message."""
        if streamed:
            function = ChoiceDeltaToolCallFunction(name=call.name, arguments=call.arguments)
            return ChoiceDeltaToolCall(
                index=call.index, id=call.id, type="function", function=function
            )
        fields = {"name": call.name, "arguments": call.arguments}
        whole = {"id": call.id, "type": "function", "function": fields}
        return TypeAdapter(ChatCompletionMessageToolCall).validate_python(whole)

    def make_chunk(self, like: ChatCompletionChunk | None, remainder: Remainder) -> Any:
        """Return the chunk of what was held back to the end of a stream."""
        delta: dict[str, Any] = {
            "content": remainder.text or None,
            "reasoning_content": remainder.reasoning or None,
        }
        if remainder.calls:
            made = [self.make_call(call, streamed=True) for call in remainder.calls]
            delta["tool_calls"] = [call.model_dump() for call in made]
        choice = {"index": remainder.index, "delta": delta, "finish_reason": None}
        body: dict[str, Any] = {"choices": [choice]}
        if like is not None:
            body |= {"id": like.id, "created": like.created}
        return ChatCompletionChunk.model_validate(self._with_head(body, ChatCompletionChunk))


def _decode_object(data: bytes) -> dict[str, Any]:
    """Decode a response, or a chunk of one.

    Raises:
        NIMError: The NIM reports an error in place of a response.
        ServerError: It is not what the NIM's API defines.
    """
    try:
        body = msgspec.json.decode(data)
    except UNREADABLE as error:
        body = decode_tolerantly(msgspec.json.decode, data, error)
    if not isinstance(body, dict):
        raise errors.malformed("The NIM sent a response without choices: '{quote}'.", quote=data)
    if body.get("error"):
        raise errors.from_report(body)
    if body.get("choices") is None and body.get("usage") is None:
        raise reported(data, "choices")
    return body


def _validated(body: dict[str, Any], kind: type[BaseModel]) -> Any:
    """Return the SDK's object."""
    try:
        return _made(body, kind)
    except ValidationError as error:
        refusal = error
    return repaired(body, kind, refusal, _made)


def _made(body: dict[str, Any], kind: type[BaseModel]) -> Any:
    if kind is not Completion:
        return kind.model_validate(body)
    # The SDK's class has no place for a choice that goes on. To make one all the same, as its
    # own ``construct`` would, takes twice as long.
    going_on = [choice for choice in body["choices"] if choice.get("finish_reason") is None]
    for choice in going_on:
        choice["finish_reason"] = "stop"
    try:
        made = kind.model_validate(body)
    finally:
        for choice in going_on:
            choice["finish_reason"] = None
    if going_on:
        for choice, one in zip(body["choices"], made.choices, strict=True):
            one.finish_reason = choice["finish_reason"]
    return made


def _is_plain(choices: object) -> bool:
    """Return whether a chunk is certainly regular; a quick check, true of nearly all chunks.

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
        if reason is not None and reason != STOP and reason != LENGTH:
            return False
        logprobs = choice.get("logprobs")
        if logprobs is not None and not (type(delta) is dict and _are_plain(logprobs)):
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
        for top in token["top_logprobs"]:
            if type(top) is not dict or type(top.get("logprob")) is not float:
                return False
    return True
