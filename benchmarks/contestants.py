"""Contestants: the providers, the SDK, raw httpx and raw aiohttp.

Each reads what it gets and counts; what it is asked for is in the prompt (`payloads.prompt`).
"""

from __future__ import annotations

import importlib
import inspect
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from types import SimpleNamespace
from typing import Any, Protocol, get_type_hints

import aiohttp
import httpx
import openai

from benchmarks import cells, payloads
from benchmarks.cells import Job

# More connections than any job has streams, and the same for all.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)


class Read:
    """The counts of one stream."""

    def __init__(self) -> None:
        self.events = 0
        self.tokens = 0
        self.first = 0.0


class Contestant(Protocol):
    """One that takes part."""

    async def open(self, job: Job) -> AsyncIterable[Any]:
        """Begin a stream."""

    async def chat(self, job: Job) -> int:
        """Get a whole answer; gives the tokens in it."""

    async def embed(self, job: Job) -> int:
        """Embed texts; gives how many numbers came back."""

    async def aclose(self) -> None:
        """Let go of the connections."""


async def read(contestant: Contestant, job: Job) -> Read:
    """Read a stream to its end."""
    seen = Read()
    stream = await contestant.open(job)
    if job.verify:
        async for item in stream:
            seen.events += 1
            seen.tokens += tokens_in(item)
        return seen
    async for item in stream:
        seen.events += 1
        if not seen.first and tokens_in(item):
            seen.first = time.perf_counter()
    return seen


def tokens_in(item: Any) -> int:
    """Count the tokens of whatever a stream yields."""
    if isinstance(item, str):
        body = json.loads(item[6:]) if item.startswith("data: {") else {"choices": []}
        return sum(_in_delta(SimpleNamespace(**choice["delta"])) for choice in body["choices"])
    if hasattr(item, "event"):
        delta = item.event.delta
        text = delta.text if hasattr(delta, "text") else delta.tool_call
        return text.count(payloads.TOKEN) if isinstance(text, str) else 0
    chunk = getattr(item, "chunk", item)
    return sum(_in_delta(choice.delta) for choice in chunk.choices)


def _in_delta(delta: Any) -> int:
    text = getattr(delta, "content", None) or ""
    for call in getattr(delta, "tool_calls", None) or ():
        function = call["function"] if isinstance(call, dict) else call.function
        arguments = function.get("arguments") if isinstance(function, dict) else function.arguments
        text += arguments or ""
    return text.count(payloads.TOKEN)


def body_of(job: Job, *, stream: bool) -> dict[str, Any]:
    """The OpenAI request of a job, only with what it needs."""
    prompt = payloads.prompt(job.kind, job.chunks, job.rate)
    body: dict[str, Any] = {
        "model": payloads.MODEL,
        "messages": [{"role": "user", "content": prompt}],
    }
    if stream:
        body["stream"] = True
    if job.kind == "logprobs":
        body |= {"logprobs": True, "top_logprobs": 3}
    if job.kind == "tools":
        schema = {"type": "object", "properties": {"words": {"type": "string"}}}
        function = {"name": "remember", "description": "Remember words", "parameters": schema}
        body["tools"] = [{"type": "function", "function": function}]
    return body


def texts_of(job: Job) -> list[str]:
    """The texts to embed."""
    return [f"text number {number}" for number in range(job.chunks)]


class Raw(ABC):
    """Reads lines, and parses nothing but whole answers."""

    async def open(self, job: Job) -> AsyncIterator[str]:
        """Begin a stream of lines; blank ones are left out."""
        return self._lines(body_of(job, stream=True))

    async def chat(self, job: Job) -> int:
        """Get a whole answer."""
        answer = await self._post("chat/completions", body_of(job, stream=False))
        return int(answer["choices"][0]["message"]["content"].count(payloads.TOKEN))

    async def embed(self, job: Job) -> int:
        """Embed texts."""
        body = {"model": payloads.EMBEDDER, "input": texts_of(job)}
        return sum(
            len(item["embedding"]) for item in (await self._post("embeddings", body))["data"]
        )

    @abstractmethod
    def _lines(self, body: dict[str, Any]) -> AsyncIterator[str]:
        """Yield the lines of a stream."""

    @abstractmethod
    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the parsed answer to a request."""


class RawHttpx(Raw):
    """httpx alone."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(timeout=120, limits=_LIMITS)

    async def _lines(self, body: dict[str, Any]) -> AsyncIterator[str]:
        url = f"{self._url}/v1/chat/completions"
        async with self._client.stream("POST", url, json=body) as response:
            async for line in response.aiter_lines():
                if line:
                    yield line

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        return (await self._client.post(f"{self._url}/v1/{path}", json=body)).json()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class RawAiohttp(Raw):
    """aiohttp alone: as cheap as HTTP gets in Python."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_LIMITS.max_connections or 0),
            timeout=aiohttp.ClientTimeout(total=120),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _lines(self, body: dict[str, Any]) -> AsyncIterator[str]:
        rest = b""
        async with self._session.post(f"{self._url}/v1/chat/completions", json=body) as response:
            async for part in response.content.iter_any():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line:
                        yield line.decode()
        if rest:
            yield rest.decode()

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        async with self._session.post(f"{self._url}/v1/{path}", json=body) as response:
            return await response.json()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()


class SDKAlone:
    """The openai SDK as its documentation shows it."""

    def __init__(self, url: str) -> None:
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="bench", timeout=120)

    async def open(self, job: Job) -> AsyncIterable[Any]:
        """Begin a stream of chunks."""
        create: Any = self._client.chat.completions.create
        stream: AsyncIterable[Any] = await create(**body_of(job, stream=True))
        return stream

    async def chat(self, job: Job) -> int:
        """Get a whole answer."""
        create: Any = self._client.chat.completions.create
        answer = await create(**body_of(job, stream=False))
        return int(answer.choices[0].message.content.count(payloads.TOKEN))

    async def embed(self, job: Job) -> int:
        """Embed texts."""
        made = await self._client.embeddings.create(model=payloads.EMBEDDER, input=texts_of(job))
        return sum(len(item.embedding) for item in made.data)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


class Provider:
    """A provider of Llama Stack, called as its server calls it."""

    def __init__(self, adapter: Any, api: str) -> None:
        self._adapter = adapter
        self._api = api
        self._stack = importlib.import_module("llama_stack_provider_nvidia.stack")
        adapter.model_store = ModelStore()

    async def open(self, job: Job) -> AsyncIterable[Any]:
        """Begin a stream of the API's own chunks."""
        stream: AsyncIterable[Any] = await self._ask(job, stream=True)
        return stream

    async def chat(self, job: Job) -> int:
        """Get a whole answer."""
        answer = await self._ask(job, stream=False)
        if self._api == "native":
            return int(answer.completion_message.content.count(payloads.TOKEN))
        return int(answer.choices[0].message.content.count(payloads.TOKEN))

    async def _ask(self, job: Job, *, stream: bool) -> Any:
        body = body_of(job, stream=stream)
        if self._api == "openai":
            return await self._openai("openai_chat_completion", body)
        stack = self._stack
        extra: dict[str, Any] = {}
        if job.kind == "logprobs":
            config = importlib.import_module("llama_stack.apis.inference").LogProbConfig
            extra["logprobs"] = config(top_k=3)
        if job.kind == "tools":
            extra["tools"] = [native_tool()]
        return await self._adapter.chat_completion(
            model_id=payloads.MODEL,
            messages=[stack.UserMessage(content=body["messages"][0]["content"])],
            sampling_params=stack.SamplingParams(),
            tool_config=stack.ToolConfig(),
            stream=stream,
            **{"tools": [], **extra},
        )

    async def embed(self, job: Job) -> int:
        """Embed texts."""
        if self._api == "native":
            made = await self._adapter.embeddings(
                model_id=payloads.EMBEDDER, contents=texts_of(job)
            )
            return sum(len(vector) for vector in made.embeddings)
        body = {"model": payloads.EMBEDDER, "input": texts_of(job), "encoding_format": "float"}
        made = await self._openai("openai_embeddings", body)
        return sum(len(item.embedding) for item in made.data)

    async def _openai(self, name: str, body: dict[str, Any]) -> Any:
        """Call in the style of the release: keywords, or from 0.3 on one object."""
        method = getattr(self._adapter, name)
        if self._stack.NATIVE:
            return await method(**body)
        declared = getattr(self._stack.Protocol, name)
        parameter = [word for word in inspect.signature(declared).parameters if word != "self"]
        return await method(get_type_hints(declared)[parameter[0]](**body))

    async def aclose(self) -> None:
        """Close the connections, as far as the provider does."""
        if hasattr(self._adapter, "shutdown"):
            await self._adapter.shutdown()


class ModelStore:
    """The stack's list of models, with every model in it."""

    async def has_model(self, model_id: str) -> bool:
        """Every model is there."""
        return True

    async def get_model(self, model_id: str) -> Any:
        """Give a model under the names that releases know its id by."""
        return SimpleNamespace(
            identifier=model_id,
            provider_resource_id=model_id,
            provider_model_id=model_id,
            metadata={},
        )


def native_tool() -> Any:
    """The tool of ``body_of`` in the native API's words."""
    types = importlib.import_module("llama_stack.models.llama.datatypes")
    parameter = types.ToolParamDefinition(param_type="string", description="", required=True)
    return types.ToolDefinition(
        tool_name="remember", description="Remember words", parameters={"words": parameter}
    )


async def ours(url: str, api: str) -> Provider:
    """This package's provider."""
    package = importlib.import_module("llama_stack_provider_nvidia")
    config = importlib.import_module("llama_stack_provider_nvidia.config")
    return Provider(await package.get_adapter_impl(config.NVIDIAConfig(url=url), {}), api)


async def builtin(url: str, api: str) -> Provider:
    """The provider that the installed release has built in."""
    root = importlib.import_module("llama_stack_provider_nvidia.stack").Protocol.__module__
    home = "ogx" if root.startswith("ogx") else "llama_stack"
    module = importlib.import_module(f"{home}.providers.remote.inference.nvidia")
    fields = module.NVIDIAConfig.model_fields
    # It appends /v1 itself up to 0.3.
    where = {"base_url": f"{url}/v1"} if "base_url" in fields else {"url": url}
    adapter = await module.get_adapter_impl(module.NVIDIAConfig(**where, api_key="bench"), {})
    config = importlib.import_module("llama_stack_provider_nvidia.config")
    # The stack sets this after loading; the built-in asks for the key of the request by it.
    object.__setattr__(
        adapter,
        "__provider_spec__",
        SimpleNamespace(
            provider_type="remote::nvidia",
            provider_data_validator=f"{config.__name__}.NVIDIAProviderDataValidator",
        ),
    )
    return Provider(adapter, api)


async def make(name: str, url: str, api: str) -> Contestant:
    """Make one that takes part.

    Args:
        name: ``ours``, ``builtin``, ``sdk``, ``httpx`` or ``aiohttp``.
        url: The NIM's address without ``/v1``.
        api: ``native`` or ``openai``.
    """
    if name == cells.HTTPX:
        return RawHttpx(url)
    if name == cells.AIOHTTP:
        return RawAiohttp(url)
    if name == cells.SDK:
        return SDKAlone(url)
    return await (ours if name == cells.OURS else builtin)(url, api)
