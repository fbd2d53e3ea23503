"""Clients of a NIM that are compared: Llama Stack servers, litellm and langchain-nvidia.

Each has the same methods. They import their library when they are made: an environment has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

MODEL = "meta/llama-3.1-8b-instruct"
Messages = list[dict[str, Any]]


class Subject(Protocol):
    """One way to call NIMs, each known by the name of its dialect."""

    def chat(self, nim: str, messages: Messages, model: str = MODEL, **more: Any) -> Any:
        """Return an answer, as the library gives it."""

    def text(self, answer: Any) -> str:
        """Return the text of an answer."""

    def reasoning(self, answer: Any) -> str:
        """Return the reasoning of an answer, "" if it has none of its own."""

    def stream(self, nim: str, messages: Messages, **more: Any) -> Iterator[str]:
        """Yield the text of a stream."""

    def tool_calls(self, nim: str, messages: Messages, tools: list[Any]) -> list[tuple[str, str]]:
        """Return the names and arguments of a streamed answer's calls."""

    def embed(self, nim: str, model: str, text: str, kind: str) -> list[float]:
        """Return the vector of a query or a passage."""

    def rerank(self, nim: str, model: str, query: str, passages: list[str]) -> int:
        """Return the place of the best passage."""


class Server:
    """A Llama Stack server, called with the openai SDK."""

    def __init__(self, url: str, nims: Mapping[str, str]) -> None:
        import httpx
        from openai import OpenAI

        # A server may close a connection after an error, and no retry here shall hide one there.
        limits = httpx.Limits(max_keepalive_connections=0)
        http = httpx.Client(limits=limits, timeout=60)
        self._client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http)

    def chat(self, nim: str, messages: Messages, model: str = MODEL, **more: Any) -> Any:
        """Return an answer."""
        create: Any = self._client.chat.completions.create
        return create(model=f"{nim}/{model}", messages=messages, **_sdk(more))

    def text(self, answer: Any) -> str:
        """Return the text of an answer."""
        return str(answer.choices[0].message.content or "")

    def reasoning(self, answer: Any) -> str:
        """Return the reasoning of an answer."""
        message = answer.choices[0].message.model_dump()
        return str(message.get("reasoning_content") or message.get("reasoning") or "")

    def stream(self, nim: str, messages: Messages, **more: Any) -> Iterator[str]:
        """Yield the text of a stream."""
        for chunk in self.chat(nim, messages, stream=True, **more):
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    def tool_calls(self, nim: str, messages: Messages, tools: list[Any]) -> list[tuple[str, str]]:
        """Return the names and arguments of a streamed answer's calls."""
        return _joined(self.chat(nim, messages, stream=True, tools=tools))

    def embed(self, nim: str, model: str, text: str, kind: str) -> list[float]:
        """Return the vector of a query or a passage."""
        made = self._client.embeddings.create(
            model=f"{nim}/{model}",
            input=text,
            encoding_format="float",
            extra_body={"input_type": kind},
        )
        return made.data[0].embedding

    def rerank(self, nim: str, model: str, query: str, passages: list[str]) -> int:
        """Return the place of the best passage."""
        path = str(self._client.base_url).replace("/v1/", "/v1alpha/inference/rerank")
        body = {"model": f"{nim}/{model}", "query": query, "items": passages}
        found: Any = self._client.post(path, body=body, cast_to=object)
        return int(found["data"][0]["index"])


class Litellm:
    """The library litellm, with its provider `nvidia_nim`."""

    def __init__(self, url: str, nims: Mapping[str, str]) -> None:
        import litellm

        self._nims, self._library = nims, litellm

    def _at(self, nim: str) -> dict[str, str]:
        return {"api_base": f"{self._nims[nim]}/v1", "api_key": "none"}

    def chat(self, nim: str, messages: Messages, model: str = MODEL, **more: Any) -> Any:
        """Return an answer."""
        settings = {"timeout": 2} if nim == "slow" else {}
        arguments = {**self._at(nim), **settings, **more}
        return self._library.completion(f"nvidia_nim/{model}", messages, **arguments)

    text = Server.text
    reasoning = Server.reasoning
    stream = Server.stream
    tool_calls = Server.tool_calls

    def embed(self, nim: str, model: str, text: str, kind: str) -> list[float]:
        """Return the vector of a query or a passage."""
        made = self._library.embedding(
            f"nvidia_nim/{model}", [text], input_type=kind, **self._at(nim)
        )
        found: list[float] = made.data[0]["embedding"]
        return found

    def rerank(self, nim: str, model: str, query: str, passages: list[str]) -> int:
        """Return the place of the best passage."""
        at = {"api_base": self._nims[nim], "api_key": "none"}
        name = f"nvidia_nim/ranking/{model}"
        made: Any = self._library.rerank(name, query, passages, **at)
        return int(made.results[0]["index"])


class Langchain:
    """The library langchain-nvidia-ai-endpoints."""

    def __init__(self, url: str, nims: Mapping[str, str]) -> None:
        import langchain_nvidia_ai_endpoints as library

        self._nims, self._library = nims, library
        self._models: dict[tuple[str, str], Any] = {}

    def _model(self, nim: str, model: str) -> Any:
        if (nim, model) not in self._models:
            settings = {"timeout": 2} if nim == "slow" else {}
            made = self._library.ChatNVIDIA(
                base_url=f"{self._nims[nim]}/v1", model=model, api_key="none", **settings
            )
            self._models[nim, model] = made
        return self._models[nim, model]

    def _call(self, nim: str, model: str, more: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        chat = self._model(nim, model)
        if "response_format" in more:
            schema = {"title": "answer", **more.pop("response_format")["json_schema"]["schema"]}
            chat = chat.with_structured_output(schema)
        return chat, more

    def chat(self, nim: str, messages: Messages, model: str = MODEL, **more: Any) -> Any:
        """Return an answer."""
        chat, more = self._call(nim, model, more)
        return chat.invoke(messages, **more)

    def text(self, answer: Any) -> str:
        """Return the text of an answer."""
        import json

        return json.dumps(answer) if isinstance(answer, dict) else str(answer.content)

    def reasoning(self, answer: Any) -> str:
        """Return the reasoning of an answer."""
        more = answer.additional_kwargs
        return str(more.get("reasoning_content") or more.get("reasoning") or "")

    def stream(self, nim: str, messages: Messages, **more: Any) -> Iterator[str]:
        """Yield the text of a stream."""
        chat, more = self._call(nim, MODEL, more)
        for chunk in chat.stream(messages, **more):
            yield str(chunk.content)

    def tool_calls(self, nim: str, messages: Messages, tools: list[Any]) -> list[tuple[str, str]]:
        """Return the names and arguments of a streamed answer's calls."""
        import json

        whole: Any = None
        for chunk in self._model(nim, MODEL).bind_tools(tools).stream(messages):
            whole = chunk if whole is None else whole + chunk
        return [(call["name"], json.dumps(call["args"])) for call in whole.tool_calls]

    def embed(self, nim: str, model: str, text: str, kind: str) -> list[float]:
        """Return the vector of a query or a passage."""
        made = self._library.NVIDIAEmbeddings(
            base_url=f"{self._nims[nim]}/v1", model=model, api_key="none"
        )
        if kind == "query":
            found: list[float] = made.embed_query(text)
            return found
        (vector,) = made.embed_documents([text])
        return list(vector)

    def rerank(self, nim: str, model: str, query: str, passages: list[str]) -> int:
        """Return the place of the best passage."""
        from langchain_core.documents import Document

        made = self._library.NVIDIARerank(
            base_url=f"{self._nims[nim]}/v1", model=model, api_key="none"
        )
        documents = [Document(passage) for passage in passages]
        (best, *_) = made.compress_documents(documents, query)
        return passages.index(best.page_content)


SUBJECTS: dict[str, type[Any]] = {"server": Server, "litellm": Litellm, "langchain": Langchain}


def _sdk(more: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the SDK: what is not OpenAI's goes into the body as it is."""
    own = {key: more[key] for key in ("top_k",) if key in more}
    rest = {key: value for key, value in more.items() if key not in own}
    return {**rest, "extra_body": own} if own else rest


def _joined(stream: Any) -> list[tuple[str, str]]:
    calls: dict[int, list[str]] = {}
    for chunk in stream:
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                name, arguments = calls.setdefault(call.index, ["", ""])
                function = call.function
                calls[call.index] = [
                    name + (function.name or ""),
                    arguments + (function.arguments or ""),
                ]
    return [(name, arguments) for name, arguments in calls.values()]
