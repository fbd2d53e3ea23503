"""Does it do its work: one small request for each thing that its models may be asked for."""

import json
import time
from typing import Any

import jsonschema

from ..nim.answers.wire import ChatChoice, ChatChunk, ChatDelta, CompletionChunk, Usage
from ..nim.dialect import Dialect
from ..nim.discovery.models import Kind
from ..nim.errors import InvalidRequestError
from ..nim.requests.profiles import profile_of
from ..nim.retrieval.contents import Content
from ..nim.retrieval.embed import EmbeddingCaller, EmbeddingSettings
from ..nim.retrieval.embedders import embedder_of
from ..nim.retrieval.embeddings import EmbeddingRequest
from ..nim.retrieval.ranker import Ranker, RerankSettings
from ..nim.retrieval.rerank import RerankRequest
from ..nim.retrieval.vectors import as_numbers
from .check import Check
from .outcome import FailedError, Seen, SkippedError
from .subject import Subject

_SHOWN = 40
_SHORT, _LONG = 64, 256
"""Most tokens of an answer: a model that thinks first needs the longer."""
_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "river": {"type": "string"}},
    "required": ["city", "river"],
    "additionalProperties": False,
}
_PASSAGES = ("The sea is deep and salt.", "Mars has two moons, Phobos and Deimos.")
_RELEVANT = 1


async def _ask(subject: Subject, said: str, **fields: Any) -> tuple[str, ChatChoice, Any]:
    """Ask a chat model; give its id, the answer, and the token counts if it sent any."""
    model = subject.model(Kind.LLM)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": said}],
        "stream": False,
        **fields,
    }
    answer = await _sendable(subject.endpoint.ask(body, ChatChunk, key=None))
    assert answer.choices  # the answer was checked where it was read
    return model, answer.choices[0], answer.usage


async def _sendable(asking: Any) -> Any:
    """Await an answer.

    Raises:
        SkippedError: The request was not sent, because this NIM or model has no such thing.
    """
    try:
        return await asking
    except InvalidRequestError as error:
        if error.field is not None:
            raise SkippedError(error.message) from None
        raise


def _message(choice: ChatChoice) -> ChatDelta:
    return choice.message or ChatDelta()


def _said(message: ChatDelta) -> str:
    """A short piece of what a model said, or of what it thought where that is all there is."""
    text = " ".join((message.content or "").split())
    thought = message.reasoning_content or message.reasoning
    if not text and thought:
        return "it was still thinking"
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


async def _chat(subject: Subject) -> Seen:
    model, choice, usage = await _ask(subject, "Say hello.", max_tokens=_SHORT)
    message = _message(choice)
    if not (message.content or message.reasoning_content or message.reasoning):
        raise FailedError(f"{model} said nothing")
    tokens = usage.completion_tokens if isinstance(usage, Usage) else None
    return Seen(f"{model}: {_said(message)}", data={"model": model, "tokens": tokens})


async def _stream(subject: Subject) -> Seen:
    model = subject.model(Kind.LLM)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Count to 20."}],
        "max_tokens": _LONG,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begun = time.perf_counter()
    # Chunks that pile up here would be joined, and are what is to be counted.
    opened = subject.endpoint.stream(body, ChatChunk, key=None, joins=False)
    chunks, _ = await _sendable(opened)
    first = last = begun
    pieces, tokens = 0, None
    async for chunk in chunks:
        if isinstance(chunk.usage, Usage) and chunk.usage.completion_tokens:
            tokens = chunk.usage.completion_tokens
        if any(_has_text(choice.delta) for choice in chunk.choices or ()):
            last = time.perf_counter()
            first = first if pieces else last
            pieces += 1
    if not pieces:
        raise FailedError(f"{model} streamed no text")
    count, taken = tokens or pieces, last - first
    rate = (count - 1) / taken if taken > 0 and count > 1 else None
    speed = f", {rate:.0f} tokens/s" if rate is not None else ""
    return Seen(
        f"{model}: first token after {(first - begun) * 1000:.0f} ms, {count} tokens{speed}",
        data={
            "model": model,
            "first_token_seconds": first - begun,
            "tokens": count,
            "tokens_per_second": rate,
        },
    )


def _has_text(delta: ChatDelta | None) -> bool:
    return delta is not None and bool(delta.content or delta.reasoning_content or delta.reasoning)


async def _tools(subject: Subject) -> Seen:
    model = subject.model(Kind.LLM)
    if profile_of(model).tools is False:
        raise SkippedError(f"{model} was not made to call tools")
    question = "What is the weather in Paris? Use the tool."
    _, choice, _ = await _ask(
        subject, question, tools=[_WEATHER], tool_choice="auto", max_tokens=_LONG
    )
    message = _message(choice)
    calls = message.tool_calls or []
    if not calls:
        return Seen(
            f"{model} called no tool and said {_said(message)}",
            "If this is the text of a call, the server has no tool parser, or another model's: "
            "see the remedy in docs/tools.md, or set recover_tool_calls: true in run.yaml.",
            {"model": model, "calls": 0},
        )
    function = calls[0].function
    name = function.name if function else None
    written = function.arguments if function else None
    try:
        arguments = json.loads(written) if isinstance(written, str) else written
        jsonschema.validate(arguments, _WEATHER["function"]["parameters"])  # type: ignore[index]
    except (ValueError, jsonschema.ValidationError):
        raise FailedError(f"{model} called {name} with arguments that do not fit") from None
    return Seen(f"{model} called {name}", data={"model": model, "calls": len(calls)})


async def _json_schema(subject: Subject) -> Seen:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA}}
    model, choice, _ = await _ask(
        subject,
        "Name a city and its river, as JSON.",
        response_format=wanted,
        max_tokens=_LONG,
    )
    text = _message(choice).content or ""
    if choice.finish_reason == "length":
        return Seen(
            f"{model} was cut off after {_LONG} tokens",
            "It may think first: try again with another --model, or with `thinking: off`.",
            {"model": model},
        )
    try:
        jsonschema.validate(json.loads(text), _SCHEMA)
    except (ValueError, jsonschema.ValidationError):
        raise FailedError(f"{model} wrote what does not fit the schema") from None
    return Seen(f"{model} obeyed the schema", data={"model": model})


async def _logprobs(subject: Subject) -> Seen:
    try:
        model, choice, _ = await _ask(
            subject, "Say hello.", logprobs=True, top_logprobs=2, max_tokens=_SHORT
        )
    except InvalidRequestError as error:
        if await _is_hosted(subject):  # there it is up to the model
            raise SkippedError(f"not with this model: {error.message}") from None
        raise
    count = len(choice.logprobs.content or ()) if choice.logprobs else 0
    if not count:
        return Seen(
            f"{model} answered without them",
            "The server left the field out: ask its operator, or do without.",
            {"model": model, "tokens": 0},
        )
    return Seen(f"{model}: of {count} tokens", data={"model": model, "tokens": count})


async def _is_hosted(subject: Subject) -> bool:
    return (await subject.endpoint.finding()).dialect is Dialect.HOSTED


async def _completion(subject: Subject) -> Seen:
    model = subject.model(Kind.LLM)
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": _SHORT, "stream": False}
    answer = await _sendable(subject.endpoint.ask(body, CompletionChunk, key=None))
    text = answer.choices[0].text if answer.choices else None
    if not text:
        raise FailedError(f"{model} wrote nothing")
    return Seen(f"{model}: {_said(ChatDelta(content=text))}", data={"model": model})


async def _embeddings(subject: Subject) -> Seen:
    model = subject.model(Kind.EMBEDDING)
    length = len(await vector_of(subject, model))
    known = embedder_of(model)
    data = {"model": model, "dimension": length}
    if known is not None and known.dimension != length:
        raise FailedError(f"{model} gave {length} numbers and is known for {known.dimension}")
    return Seen(f"{model}: {length} numbers", data=data)


async def vector_of(subject: Subject, model: str) -> list[float]:
    """Have a short text embedded, as a passage where the model wants to know.

    Raises:
        NIMError: See ``nim.errors``.
    """
    config = subject.config
    caller = EmbeddingCaller(
        EmbeddingSettings(
            input_type=config.embedding_input_type, truncate=config.embedding_truncate
        )
    )
    request = EmbeddingRequest(model, ["The sea is deep."])
    embedded = await caller.embed(subject.endpoint, request, key=None)
    return as_numbers(embedded.vectors[0])


async def _rerank(subject: Subject) -> Seen:
    model = subject.model(Kind.RERANK)
    ranked = await rank(subject, model)
    order = "as expected" if ranked == _RELEVANT else "the less relevant passage first"
    data = {"model": model, "first": ranked}
    if ranked != _RELEVANT:
        return Seen(f"{model} ranked {order}", "Check that it is a rerank model.", data)
    return Seen(f"{model} ranked {order}", data=data)


async def rank(subject: Subject, model: str) -> int:
    """Have two passages ranked; give the number of the first.

    Raises:
        NIMError: See ``nim.errors``.
    """
    config = subject.config
    ranker = Ranker(
        RerankSettings(urls=config.rerank_model_to_url, truncate=config.rerank_truncate)
    )
    request = RerankRequest(
        model, Content("how many moons has mars"), [Content(one) for one in _PASSAGES]
    )
    return (await ranker.rank(subject.endpoint, request, key=None))[0].passage


_OTHER = "Try another model with --model, and look at the NIM's log for the reason."

CHECKS = (
    Check("chat", _chat, _OTHER),
    Check("stream", _stream, _OTHER),
    Check(
        "tools",
        _tools,
        "Start the server with a tool parser: NIM_ENABLE_AUTO_TOOL_CHOICE=1 and "
        "NIM_TOOL_CALL_PARSER in NIM 1.x, --enable-auto-tool-choice --tool-call-parser NAME in "
        "NIM 2.x and vLLM; or set recover_tool_calls: true in run.yaml.",
    ),
    Check(
        "json schema",
        _json_schema,
        "Set structured_output: validate in run.yaml to have answers checked, or use another NIM.",
    ),
    Check("logprobs", _logprobs, _OTHER),
    Check("completion", _completion, _OTHER),
    Check(
        "embeddings",
        _embeddings,
        "Check that the NIM serves this embedding model; docs/embeddings.md has its settings.",
    ),
    Check(
        "rerank",
        _rerank,
        "Name the model's URL under rerank_model_to_url in run.yaml if it is served elsewhere.",
    ),
)
