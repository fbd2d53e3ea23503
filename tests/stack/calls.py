"""Every call of the provider, made where the installed release lacks some names.

Run as ``python -m tests.stack.calls URL FILE NAME...`` it makes the calls once for each name, each
time in a process of its own that finds copies of the stack's modules without that name, and writes
what became of each call to a file, as JSON.
"""

import asyncio
import contextlib
import importlib
import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from pydantic import BaseModel

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

Call = Callable[[], Awaitable[Any]]


class Params(BaseModel, extra="allow"):
    """The one object of later releases; the provider takes it on all."""

    model: str = LLM
    stream: bool = False


async def read(stream: Any) -> list[Any]:
    """Read an answer that is streamed."""
    return [item async for item in await stream]


def openai_calls(adapter: Any) -> dict[str, Call]:
    """The OpenAI-style calls, and those on models."""
    chat, complete = adapter.openai_chat_completion, adapter.openai_completion

    async def with_a_key() -> Any:
        spec = SimpleNamespace(
            provider_type="remote::nvidia",
            provider_data_validator="llama_stack_provider_nvidia.config.NVIDIAProviderDataValidator",
        )
        adapter.__provider_spec__ = spec
        try:
            return await chat(Params(messages=HELLO))
        finally:
            del adapter.__provider_spec__

    return {
        "openai chat": lambda: chat(Params(messages=HELLO)),
        "openai chat, streamed": lambda: read(chat(Params(messages=HELLO, stream=True))),
        "openai chat, log probabilities": lambda: read(
            chat(Params(messages=HELLO, stream=True, logprobs=True, top_logprobs=1, max_tokens=2))
        ),
        "openai chat in a server": with_a_key,
        "openai completion": lambda: complete(Params(prompt="hi")),
        "openai completion, streamed": lambda: read(complete(Params(prompt="hi", stream=True))),
        "openai embeddings": lambda: adapter.openai_embeddings(Params(model=EMBEDDER, input="a")),
        "rerank": lambda: adapter.rerank(RERANKER, "q", ["a", "b"]),
        "list models": adapter.list_models,
        "health": adapter.health,
    }


def registry_calls(adapter: Any, real: Callable[[str], Any]) -> dict[str, Call]:
    """Registration and the stack's own files."""

    def register(name: str) -> Any:
        model = real("Model")(
            identifier=name, provider_id="nvidia", provider_resource_id=name, metadata={}
        )
        return adapter.register_model(model)

    async def spec() -> Any:
        return importlib.import_module("llama_stack_provider_nvidia.provider").get_provider_spec()

    async def keys() -> Any:
        return importlib.import_module("llama_stack_provider_nvidia.stack").run_config_keys()

    return {
        "register": lambda: register(LLM),
        "register unknown": lambda: register("meta/nobody-has-this"),
        "provider spec": spec,
        "run.yaml keys": keys,
    }


def native_calls(adapter: Any, real: Callable[[str], Any]) -> dict[str, Call]:
    """The native calls, with all that a request can hold."""
    user = real("UserMessage")(content="hello")
    call = real("ToolCall")(call_id="c", tool_name="f", arguments={"a": "b"}, arguments_json="{}")
    history = [
        real("SystemMessage")(content="be brief"),
        user,
        real("CompletionMessage")(content="", stop_reason="end_of_message", tool_calls=[call]),
        real("ToolResponseMessage")(call_id="c", content="22 C"),
    ]
    greedy = real("SamplingParams")(strategy=real("GreedySamplingStrategy")())
    top_p = real("SamplingParams")(strategy=real("TopPSamplingStrategy")(temperature=0.5))
    top_k = real("SamplingParams")(strategy=real("TopKSamplingStrategy")(top_k=4))
    tool = {"tool_name": "f", "description": "d", "parameters": {"a": {"param_type": "string"}}}
    config = real("ToolConfig")()
    required = {"tools": [tool], "tool_config": real("ToolConfig")(tool_choice="required")}
    image = real("ImageContentItem")(image={"data": "iVBORw0KGgoAAAANSUhEUg=="})
    text = real("TextContentItem")(text="what is this?")

    def chat(*messages: Any, **fields: Any) -> Any:
        fields.setdefault("tool_config", config)
        fields.setdefault("sampling_params", greedy)
        return adapter.chat_completion(LLM, list(messages), **fields)

    def complete(**fields: Any) -> Any:
        return adapter.completion(LLM, "hi", sampling_params=greedy, **fields)

    return {
        "chat": lambda: chat(user),
        "chat, streamed": lambda: read(chat(user, stream=True)),
        "chat, history": lambda: chat(*history),
        "chat, items": lambda: chat(real("UserMessage")(content=[text, image])),
        "chat, tools": lambda: chat(user, **required),
        "chat, tools, streamed": lambda: read(chat(user, stream=True, **required)),
        "chat, log probabilities": lambda: chat(user, logprobs={"top_k": 1}),
        "chat, top_p": lambda: chat(user, sampling_params=top_p),
        "chat, top_k": lambda: chat(user, sampling_params=top_k),
        "chat, prompt format": lambda: adapter.chat_completion(
            LLM, [user], greedy, tool_prompt_format=real("ToolPromptFormat").json
        ),
        "chat, defaults": lambda: adapter.chat_completion(LLM, [user], tool_config=config),
        "completion": complete,
        "completion, streamed": lambda: read(complete(stream=True)),
        "batch of chats": lambda: adapter.batch_chat_completion(
            LLM, [[user]], greedy, tool_config=config
        ),
        "batch of completions": lambda: adapter.batch_completion(LLM, ["hi"], greedy),
        "embeddings": lambda: adapter.embeddings(EMBEDDER, ["a"], task_type="query"),
    }


def later_calls(adapter: Any, real: Callable[[str], Any]) -> dict[str, Call]:
    """The calls that only later releases have."""
    calls: dict[str, Call] = {}
    if reason := getattr(adapter, "openai_chat_completions_with_reasoning", None):
        calls["reasoning"] = lambda: reason(Params(messages=HELLO))
        calls["reasoning, streamed"] = lambda: read(reason(Params(messages=HELLO, stream=True)))
    if message := getattr(adapter, "anthropic_messages", None):
        make = real("AnthropicCreateMessageRequest")
        params = {"model": LLM, "messages": HELLO, "max_tokens": 4}
        counted = SimpleNamespace(model=LLM, messages=HELLO, system=None, tools=None)
        calls["message"] = lambda: message(make(**params))
        calls["message, streamed"] = lambda: read(message(make(**params, stream=True)))
        calls["count of tokens"] = lambda: adapter.anthropic_count_tokens(counted)
    return calls


async def outcomes(url: str, real: Callable[[str], Any]) -> dict[str, str]:
    """Make every call, and tell what became of it: ``ok``, or the error."""
    package = importlib.import_module("llama_stack_provider_nvidia")
    config = importlib.import_module("llama_stack_provider_nvidia.config")
    settings = config.NVIDIAConfig(url=url, dialect="nim2-vllm", max_retries=0)
    adapter = await package.get_adapter_impl(settings, {})
    calls = openai_calls(adapter) | registry_calls(adapter, real) | later_calls(adapter, real)
    if hasattr(adapter, "chat_completion"):
        calls |= native_calls(adapter, real)
    told = {}
    for name, call in calls.items():
        try:
            await call()
            told[name] = "ok"
        except Exception as error:
            told[name] = f"{type(error).__name__}: {error}"
    await adapter.shutdown()
    return told


def without(names: tuple[str, ...], modules: tuple[str, ...]) -> None:
    """Put copies of modules in their place that lack some names."""
    for module in modules:
        if original := sys.modules.get(module):
            copy = ModuleType(module)
            copy.__dict__.update(original.__dict__)
            for name in names:
                copy.__dict__.pop(name, None)
            sys.modules[module] = copy


def in_a_fork(make: Callable[[], Any]) -> Any:
    """Return what a function returns in a copy of this process."""
    receive, send = os.pipe()
    if (child := os.fork()) == 0:
        os.close(receive)
        with contextlib.suppress(BrokenPipeError), os.fdopen(send, "w") as pipe:
            try:
                result = make()
            except BaseException as error:  # the test judges it
                result = {"import": f"{type(error).__name__}: {error}"}
            json.dump(result, pipe)
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as pipe:
        result = json.load(pipe)
    os.waitpid(child, 0)
    return result


def main(url: str, file: str, *names: str) -> None:
    """Make the calls once for each name that the installed release has; ``-`` removes none."""
    warnings.simplefilter("ignore")
    locations = in_a_fork(_locations)
    # What holds no name of the stack is imported once for all forks.
    importlib.import_module("llama_stack_provider_nvidia.config.endpoints")
    importlib.import_module("llama_stack_provider_nvidia.nim.registration")
    # The server's own module imports names of the API.
    _import("ogx.providers.utils.inference.anthropic_translation")
    real: dict[str, Any] = {}
    for name, (modules, spellings) in locations.items():
        home = next(filter(None, map(_import, modules)), None)
        for spelling in spellings:
            if name not in real and hasattr(home, spelling):
                real[name] = getattr(home, spelling)
    results = {}
    for name in names:
        if name != "-" and name not in real:
            continue

        def make(name: str = name) -> Any:
            if name != "-":
                modules, spellings = locations[name]
                without(tuple(spellings), tuple(modules))
            return asyncio.run(outcomes(url, real.__getitem__))

        results[name] = in_a_fork(make)
    Path(file).write_text(json.dumps(results))


def _locations() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    return dict(importlib.import_module("llama_stack_provider_nvidia.stack.imports").LOCATIONS)


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


if __name__ == "__main__":
    main(*sys.argv[1:])
