"""This provider and the one that Llama Stack 0.2.12 has built in, asked for the same chats."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from benchmarks.contestants import ModelStore
from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig

from .judged import Seen, arguments

Way = Callable[[Any, str, bool], Awaitable[Seen]]
OURS, BUILTIN = "ours", "builtin"
MODEL = "meta/llama-3.1-8b-instruct"
# The built-in takes whole seconds, and sends a request three times, whatever its settings.
TIMEOUT_S = 1
RETRIES = 2
# The built-in has no such limit.
TOTAL_S = 5


async def _ours(url: str) -> Any:
    limits = {"timeout": TIMEOUT_S, "max_retries": RETRIES, "total_timeout": TOTAL_S}
    return await get_adapter_impl(NVIDIAConfig(url=url, **limits), {})


async def _builtin(url: str) -> Any:
    module = importlib.import_module("llama_stack.providers.remote.inference.nvidia")
    config = module.NVIDIAConfig(url=url, api_key="none", timeout=TIMEOUT_S)
    return await module.get_adapter_impl(config, {})


@contextlib.asynccontextmanager
async def provider(name: str, url: str) -> AsyncIterator[Any]:
    """This provider (``ours``) or the built-in one, in front of a NIM."""
    made = await (_ours if name == OURS else _builtin)(url)
    made.model_store = ModelStore()
    yield made
    # The built-in never closes its connections.
    await (made.shutdown() if name == OURS else made._get_client(MODEL).close())


async def native(adapter: Any, prompt: str, stream: bool) -> Seen:
    """Chat with the native API."""
    said = [stack.UserMessage(content=prompt)]
    answer = await adapter.chat_completion(
        MODEL, said, stack.SamplingParams(), stream=stream, tool_config=stack.ToolConfig()
    )
    seen = Seen()
    if not stream:
        message = answer.completion_message
        seen.add(message.content)
        for call in message.tool_calls or []:
            seen.calls.append((call.call_id, str(call.tool_name), _given(call)))
        return seen
    async for item in answer:
        delta = item.event.delta
        if delta.type == "text":
            seen.add(delta.text)
        elif delta.parse_status.value == "failed":
            seen.failed += 1
        elif delta.parse_status.value == "succeeded" and not isinstance(delta.tool_call, str):
            call = delta.tool_call
            seen.calls.append((call.call_id, str(call.tool_name), _given(call)))
    return seen


def _given(call: Any) -> Any:
    if call.arguments or not getattr(call, "arguments_json", None):
        return arguments(call.arguments)
    return arguments(call.arguments_json)


async def openai_style(adapter: Any, prompt: str, stream: bool) -> Seen:
    """Chat in OpenAI's style, and put tool calls together as OpenAI's documentation says."""
    said = [{"role": "user", "content": prompt}]
    answer = await adapter.openai_chat_completion(model=MODEL, messages=said, stream=stream)
    seen = Seen()
    if not stream:
        choice = next(choice for choice in answer.choices if choice.index in (0, None))
        seen.add(choice.message.content)
        for call in choice.message.tool_calls or []:
            function = call.function
            seen.calls.append((call.id, function.name, arguments(function.arguments)))
        return seen
    made: dict[Any, list[Any]] = {}
    async for chunk in answer:
        for choice in chunk.choices or ():
            if choice.index in (0, None):
                seen.add(choice.delta.content)
                for part in choice.delta.tool_calls or []:
                    _add(made.setdefault(part.index, [None, "", ""]), part)
    seen.calls = [(call_id, name, arguments(text)) for call_id, name, text in made.values()]
    return seen


def _add(call: list[Any], part: Any) -> None:
    call[0] = call[0] or part.id
    if part.function is not None:
        call[1] += part.function.name or ""
        text = part.function.arguments
        call[2] = call[2] + (text or "") if isinstance(text, str | None) else text


WAYS: dict[str, Way] = {"native": native, "OpenAI-style": openai_style}
