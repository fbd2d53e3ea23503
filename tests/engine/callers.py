"""One way to ask an engine itself, a server's OpenAI API, or its native one."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import pytest

from scripts.engine.features import DIRECT
from scripts.engine.kinds import Kind
from scripts.engine.running import Engine

from ..http_limits import NOT_KEPT
from ..matrix.servers import QUIET, model, stack_server
from .routes import is_native, python_of

GHOST = "no/such-model"
PATHS = ("/v1/openai/v1", "/v1")
"""The first of these that a server serves is where its OpenAI-style routes are."""
Call = tuple[str, dict[str, Any]]


class CallError(Exception):
    """An error that a caller got.

    Attributes:
        status: Of the response; None for an event of a stream.
    """

    def __init__(self, status: int | None, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass
class Answer:
    """The result of a call.

    Attributes:
        texts: The text of each choice.
        reasons: The finish reasons, in OpenAI's words.
        calls: Tool calls: name and arguments.
        logprobs: For each token, the probabilities of the alternatives that came with it.
        tokens: How many were generated, where that was told.
        pieces: How many pieces of text a stream had.
    """

    texts: dict[int, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    logprobs: list[list[float]] = field(default_factory=list)
    tokens: int | None = None
    pieces: int = 0

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.texts.get(0, "")

    def add(self, index: int, text: str | None) -> None:
        """Add a piece of text."""
        self.texts[index] = self.texts.get(index, "") + (text or "")
        self.pieces += bool(text)


class Caller:
    """The calls that the suite makes.

    Requests are keywords: those of OpenAI's API, and `schema`, `regex`, `choice` and `grammar`,
    `top_k`, and a number for `logprobs`.
    """

    native = False
    client: Any

    def chat(self, messages: Any, *, stream: bool = False, **fields: Any) -> Answer:
        """Ask for a chat."""
        raise NotImplementedError

    def completion(self, prompt: str, *, stream: bool = False, **fields: Any) -> Answer:
        """Ask for a completion."""
        raise NotImplementedError

    def embeddings(self, name: str, **fields: Any) -> list[list[float]]:
        """Ask for vectors."""
        raise NotImplementedError

    def open_stream(self, messages: Any, **fields: Any) -> contextlib.AbstractContextManager[Any]:
        """Open a stream, to be read piece by piece; leaving it closes the connection."""
        raise NotImplementedError

    def leave(self, messages: Any, seconds: float, **fields: Any) -> None:
        """Ask for a whole answer and leave before it comes."""
        raise NotImplementedError


def http_client() -> httpx.Client:
    """Return a client of a server."""
    return httpx.Client(trust_env=False, timeout=120, limits=NOT_KEPT)


class OpenAICaller(Caller):
    """Calls by OpenAI's API."""

    def __init__(
        self,
        url: str,
        name: str,
        constraints: Any = None,
        prefix: str = "",
        strict: bool = False,
    ) -> None:
        """Make a client.

        Args:
            url: Of the API.
            name: Of the model.
            constraints: Where the engine itself takes them; through a server, the provider knows.
            prefix: What the server puts before the names of models.
            strict: Tools are marked so, else vLLM and SGLang leave their arguments free. The
                provider does so by itself.
        """
        self.url, self.name, self.prefix = url, name, prefix
        self._constraints, self._strict = constraints, strict
        self._http = http_client()
        self.client = openai.OpenAI(
            base_url=url, api_key="none", max_retries=0, http_client=self._http
        )

    def body(self, fields: dict[str, Any], *, chat: bool = True) -> dict[str, Any]:
        """Return the request for what a test asks for."""
        made = {"model": self.name, "temperature": 0, **fields}
        extra: dict[str, Any] = {}
        if self._strict and "tools" in made:
            made["tools"] = [
                {**tool, "function": {**tool["function"], "strict": True}} for tool in made["tools"]
            ]
        if "top_k" in made:
            extra["top_k"] = made.pop("top_k")
        if "logprobs" in made and chat:
            made["top_logprobs"] = made["logprobs"]
            made["logprobs"] = True
        for word in ("schema", "regex", "choice", "grammar"):
            if word in made:
                self._constrain(extra, made, word, made.pop(word), chat=chat)
        if extra:
            made["extra_body"] = extra
        return made

    def _constrain(
        self, extra: dict[str, Any], made: dict[str, Any], word: str, value: Any, *, chat: bool
    ) -> None:
        in_format = word == "schema" and (chat or "json" not in (self._constraints or {"json"}))
        if in_format:
            shape = {"type": "json_schema", "json_schema": {"name": "shape", "schema": value}}
            (made if chat else extra)["response_format"] = shape
            return
        word = "json" if word == "schema" else word
        where = extra
        if self._constraints is None:
            *path, last = (f"guided_{word}",)
        else:
            assert word in self._constraints, f"no field for {word}"
            *path, last = self._constraints[word]
        for key in path:
            where = where.setdefault(key, {})
        where[last] = value

    def chat(self, messages: Any, *, stream: bool = False, **fields: Any) -> Answer:
        with told():
            made = self.client.chat.completions.create(
                messages=messages, stream=stream, **self.body(fields)
            )
            return read_chunks(made) if stream else read_whole(made)

    def completion(self, prompt: str, *, stream: bool = False, **fields: Any) -> Answer:
        with told():
            made = self.client.completions.create(
                prompt=prompt, stream=stream, **self.body(fields, chat=False)
            )
            answer = Answer()
            for part in made if stream else [made]:
                if getattr(part, "usage", None):
                    answer.tokens = part.usage.completion_tokens
                for choice in part.choices:
                    answer.add(choice.index, choice.text)
                    answer.reasons += [choice.finish_reason] if choice.finish_reason else []
                    for top in (choice.logprobs and choice.logprobs.top_logprobs) or ():
                        answer.logprobs.append(list(top.values()))
            return answer

    def embeddings(self, name: str, **fields: Any) -> list[list[float]]:
        """Ask for vectors."""
        with told():
            made = self.client.embeddings.create(
                model=self.prefix + name, encoding_format="float", **fields
            )
            return [entry.embedding for entry in made.data]

    @contextlib.contextmanager
    def open_stream(self, messages: Any, **fields: Any) -> Iterator[Any]:
        with told():
            stream = self.client.chat.completions.create(
                messages=messages, stream=True, **self.body(fields)
            )
        with stream:
            yield told_each(stream)

    def leave(self, messages: Any, seconds: float, **fields: Any) -> None:
        """Ask for a whole answer and leave before it comes."""
        body = {"messages": messages, **self.body(fields)}
        leave(f"{self.url}/chat/completions", {**body, **body.pop("extra_body", {})}, seconds)


def leave(url: str, body: Any, seconds: float) -> None:
    """Ask for something and leave before it comes."""
    with (
        httpx.Client(trust_env=False, timeout=seconds) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(url, json=body)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn every client's errors into ours."""
    try:
        yield
    except openai.APIStatusError as error:
        raise CallError(error.status_code, error.response.text) from error
    except openai.APIConnectionError as error:
        raise CallError(None, f"no connection: {error}") from error
    except openai.APIError as error:
        raise CallError(None, f"{error} {error.body}") from error
    except httpx.TransportError as error:
        raise CallError(None, f"connection lost: {error}") from error


def told_each(stream: Any) -> Iterator[Any]:
    """Go through a stream, with our errors."""
    with told():
        yield from stream


def read_whole(made: Any) -> Answer:
    """Read a chat's whole answer."""
    answer = Answer(tokens=made.usage.completion_tokens if made.usage else None)
    for choice in made.choices:
        answer.add(choice.index, choice.message.content)
        answer.reasons.append(choice.finish_reason)
        for call in choice.message.tool_calls or ():
            answer.calls.append((call.function.name, arguments_of(call.function.arguments)))
        answer.logprobs += alternatives(choice)
    return answer


def read_chunks(chunks: Any) -> Answer:
    """Read a chat's stream."""
    answer = Answer()
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        if chunk.usage:
            answer.tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            answer.add(choice.index, choice.delta.content)
            answer.reasons += [choice.finish_reason] if choice.finish_reason else []
            answer.logprobs += alternatives(choice)
            for call in choice.delta.tool_calls or ():
                entry = calls.setdefault(call.index, ["", ""])
                entry[0] += (call.function and call.function.name) or ""
                entry[1] += (call.function and call.function.arguments) or ""
    answer.calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    return answer


def arguments_of(text: str | None) -> dict[str, Any]:
    """Return a call's arguments; a random model may end in the middle of its second call."""
    try:
        return dict(json.loads(text or "{}"))
    except ValueError:
        return {"unreadable": text}


def alternatives(choice: Any) -> list[list[float]]:
    """Return the probabilities that came with each token of a choice."""
    content = (choice.logprobs and choice.logprobs.content) or ()
    return [[other.logprob for other in token.top_logprobs] for token in content]


class NativeCaller(Caller):
    """Calls by the native API of releases up to 0.2.24."""

    native = True

    def __init__(self, url: str, name: str) -> None:
        from llama_stack_client import LlamaStackClient

        self.url, self.name = url, name
        self._http = http_client()
        self.client = LlamaStackClient(base_url=url, max_retries=0, http_client=self._http)

    def fields(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the request for what a test asks for."""
        asked = dict(asked)
        made: dict[str, Any] = {"model_id": asked.pop("model", self.name)}
        strategy: dict[str, Any] = {"type": "greedy"}
        if "top_k" in asked:
            strategy = {"type": "top_k", "top_k": asked.pop("top_k")}
        sampling = {"strategy": strategy, "max_tokens": asked.pop("max_tokens", 64)}
        if "stop" in asked:
            sampling["stop"] = asked.pop("stop")
        if asked.pop("temperature", 0):
            made["sampling_params"] = None
        made["sampling_params"] = sampling
        if "logprobs" in asked:
            made["logprobs"] = {"top_k": asked.pop("logprobs")}
        if "schema" in asked:
            shape = {"type": "json_schema", "json_schema": asked.pop("schema")}
            made["response_format"] = shape
        if "grammar" in asked:
            rules = dict(rule.split(" ::= ") for rule in asked.pop("grammar").splitlines())
            made["response_format"] = {"type": "grammar", "bnf": rules}
        if "tools" in asked:
            made["tools"] = [native_tool(tool["function"]) for tool in asked.pop("tools")]
        if "tool_choice" in asked:
            choice = asked.pop("tool_choice")
            name = choice if isinstance(choice, str) else choice["function"]["name"]
            made["tool_config"] = {"tool_choice": name}
        assert not asked, f"the native API has no {list(asked)}"
        return made

    def chat(self, messages: Any, *, stream: bool = False, **fields: Any) -> Answer:
        with self.told():
            made = self._start(messages, stream=stream, **fields)
            return self._read_chunks(made) if stream else self._read_whole(made)

    def _start(self, messages: Any, *, stream: bool, **fields: Any) -> Any:
        return self.client.inference.chat_completion(
            messages=[native_message(message) for message in messages],
            stream=stream,
            **self.fields(fields),
        )

    def _read_whole(self, made: Any) -> Answer:
        message = made.completion_message
        answer = Answer({0: message.content}, [reason(message.stop_reason)])
        answer.calls = [(call.tool_name, call.arguments) for call in message.tool_calls or ()]
        answer.logprobs = [[*entry.logprobs_by_token.values()] for entry in made.logprobs or ()]
        return answer

    def _read_chunks(self, chunks: Any) -> Answer:
        answer = Answer()
        for chunk in chunks:
            event = event_of(chunk)
            if event.delta.type == "text":
                answer.add(0, event.delta.text)
            elif event.delta.type == "tool_call" and event.delta.parse_status == "succeeded":
                call = event.delta.tool_call
                answer.calls.append((call.tool_name, call.arguments))
            if event.event_type == "complete":
                answer.reasons.append(reason(event.stop_reason))
            for entry in event.logprobs or ():
                answer.logprobs.append([*entry.logprobs_by_token.values()])
        return answer

    def completion(self, prompt: str, *, stream: bool = False, **fields: Any) -> Answer:
        with self.told():
            made = self.client.inference.completion(
                content=prompt, stream=stream, **self.fields(fields)
            )
            answer = Answer()
            for part in made if stream else [made]:
                if stream and getattr(part, "delta", None) is None:
                    raise event_error(part)
                answer.add(0, part.delta if stream else part.content)
                answer.reasons += [reason(part.stop_reason)] if part.stop_reason else []
                for entry in part.logprobs or ():
                    answer.logprobs.append([*entry.logprobs_by_token.values()])
            return answer

    def embeddings(self, name: str, **fields: Any) -> list[list[float]]:
        """Ask for vectors."""
        more = {"output_dimension": fields["dimensions"]} if "dimensions" in fields else {}
        with self.told():
            made = self.client.inference.embeddings(
                model_id=f"nvidia/{name}", contents=fields["input"], **more
            )
            vectors: list[list[float]] = made.embeddings
            return vectors

    def leave(self, messages: Any, seconds: float, **fields: Any) -> None:
        """Ask for a whole answer and leave before it comes."""
        made = [native_message(message) for message in messages]
        leave(
            f"{self.url}/v1/inference/chat-completion",
            {**self.fields(fields), "messages": made},
            seconds,
        )

    @contextlib.contextmanager
    def open_stream(self, messages: Any, **fields: Any) -> Iterator[Any]:
        with self.told():
            stream = self._start(messages, stream=True, **fields)
        with contextlib.closing(stream):
            yield self._events(stream)

    def _events(self, stream: Any) -> Iterator[Any]:
        with self.told():
            for chunk in stream:
                yield event_of(chunk)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        from llama_stack_client import APIError, APIStatusError

        try:
            with warnings.catch_warnings():
                # The client says that its own methods are deprecated.
                warnings.simplefilter("ignore", DeprecationWarning)
                yield
        except APIStatusError as error:
            raise CallError(error.status_code, error.response.text) from error
        except APIError as error:
            raise CallError(None, str(error)) from error
        except httpx.TransportError as error:
            raise CallError(None, f"connection lost: {error}") from error


def event_of(chunk: Any) -> Any:
    """Return a chunk's event; the client gives an error as a chunk without one."""
    if getattr(chunk, "event", None) is None:
        raise event_error(chunk)
    return chunk.event


def event_error(chunk: Any) -> CallError:
    """Return the error of a stream's event; the text begins with the status."""
    text = str(getattr(chunk, "error", chunk))
    found = re.search(r"\b([45]\d\d): ", text)
    return CallError(int(found[1]) if found else None, text)


def reason(stop_reason: str) -> str:
    """Return OpenAI's word for a stop reason."""
    return {"end_of_turn": "stop", "end_of_message": "tool_calls", "out_of_tokens": "length"}[
        stop_reason
    ]


def native_tool(function: dict[str, Any]) -> dict[str, Any]:
    """Return a tool as the native API has it: types are those of Python."""
    parameters = {}
    for name, schema in function["parameters"]["properties"].items():
        kind = f"Literal{schema['enum']}" if "enum" in schema else schema["type"]
        parameters[name] = {"param_type": kind, "required": True}
    return {"tool_name": function["name"], "description": "", "parameters": parameters}


def native_message(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as the native API has it."""
    if message["role"] == "tool":
        return {"role": "tool", "call_id": message["tool_call_id"], "content": message["content"]}
    if message["role"] != "assistant":
        return message
    calls = [
        {
            "call_id": call["id"],
            "tool_name": call["function"]["name"],
            "arguments": json.loads(call["function"]["arguments"]),
        }
        for call in message.get("tool_calls", ())
    ]
    content = message.get("content") or ""
    made = {"role": "assistant", "content": content, "stop_reason": "end_of_turn"}
    return {**made, "tool_calls": calls}


@contextlib.contextmanager
def callers(
    kind: Kind, engine: Engine, served: str, folders: pytest.TempPathFactory
) -> Iterator[Callable[[str], Caller]]:
    """Make callers by route; a server is started with the first call for its release."""
    made: dict[str, Caller] = {
        DIRECT: OpenAICaller(
            f"{engine.url}/v1",
            served,
            dict(kind.constraints),
            strict=kind.dialect in ("nim2-vllm", "nim2-sglang"),
        )
    }
    with contextlib.ExitStack() as servers:

        def caller(route: str) -> Caller:
            if route not in made:
                names = [model("nvidia", name) for name in (served, GHOST)]
                if kind.embedder:
                    names.append(model("nvidia", kind.embedder, "embedding", embedding_dimension=8))
                server = servers.enter_context(
                    stack_server(
                        folders.mktemp("server"),
                        {"nvidia": {"url": engine.url, "max_retries": 0}},
                        names,
                        env=QUIET,
                        python=python_of(route),
                    )
                )
                name = f"nvidia/{served}"
                if is_native(route):
                    made[route] = NativeCaller(server.url, name)
                else:
                    url = f"{server.url}{openai_path(server.url)}"
                    made[route] = OpenAICaller(url, name, prefix="nvidia/")
            return made[route]

        yield caller
        for one in made.values():
            one.client.close()


def openai_path(server: str) -> str:
    """Return where a server has the OpenAI-style routes."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in PATHS:
        try:
            opener.open(f"{server}{path}/models", timeout=10).close()
        except urllib.error.HTTPError:
            continue
        return path
    raise AssertionError("the server has no OpenAI-style routes")
