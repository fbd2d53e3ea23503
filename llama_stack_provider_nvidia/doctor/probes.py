"""Checks of the models: one small request for each feature."""

import json
import time
from typing import Any

from ..nim.errors import InvalidRequestError, ModelNotFoundError
from ..nim.model_facts.model_ids import Kind
from ..nim.responses.struct_codec import CHAT, COMPLETION
from ..nim.responses.structs import ChatChoice, ChatDelta, Usage
from ..nim.retrieval.content import Content
from ..nim.retrieval.embedder import Embedder, EmbeddingSettings
from ..nim.retrieval.embedding_request import EmbeddingRequest
from ..nim.retrieval.rerank_request import RerankRequest
from ..nim.retrieval.reranker import Reranker, RerankSettings
from ..nim.retrieval.vectors import as_numbers
from ..nim.texts import one_line
from .check import STALLED, Check
from .context import CheckContext
from .results import CheckFailedError, CheckResult, CheckSkippedError

_SHOWN = 40
_SHORT, _LONG = 64, 256
"""Limits of tokens: a reasoning model needs the longer."""
_WEATHER_PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": _WEATHER_PARAMETERS,
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
_MANY, _LONG_WAIT = 10, 1.0
_FASTEST = 2_000
_SHORTEST = 0.002
_BUFFERED = (
    "Something on the way buffers streams: turn that off in the proxy (nginx: `proxy_buffering "
    "off`), or users wait for the whole text."
)


def tokens_per_second(count: int, seconds: float) -> float | None:
    """Return the rate of a stream, None if it came in one burst.

    Args:
        count: Number of tokens.
        seconds: Time between the first and the last.
    """
    if count < 2 or seconds < _SHORTEST or (count - 1) / seconds > _FASTEST:
        return None
    return (count - 1) / seconds


async def _request_chat(
    context: CheckContext, said: str, **fields: Any
) -> tuple[str, ChatChoice, Any]:
    """Send a chat; return the model's id, the first choice, and the usage if any was sent."""
    model = context.choose_model(Kind.LLM)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": said}],
        "stream": False,
        **fields,
    }
    response = await _sendable(context.endpoint.complete(body, CHAT, key=None))
    assert response.choices  # validated where it was read
    return model, response.choices[0], response.usage


async def _sendable(request: Any) -> Any:
    """Await a response.

    Raises:
        CheckSkippedError: The request was not sent, because this NIM or model lacks the feature.
    """
    try:
        return await request
    except InvalidRequestError as error:
        if error.field is not None:
            raise CheckSkippedError(error.message) from None
        raise


def _message(choice: ChatChoice) -> ChatDelta:
    return choice.message or ChatDelta()


def _said(message: ChatDelta) -> str:
    """Return the beginning of a message's text, quoted."""
    text = one_line(message.content or "", _SHOWN)
    reasoning = message.reasoning_content or message.reasoning
    if not text and reasoning:
        return "it was still reasoning"
    return repr(text)


async def _check_chat(context: CheckContext) -> CheckResult:
    model, choice, usage = await _request_chat(context, "Say hello.", max_tokens=_SHORT)
    message = _message(choice)
    if not (message.content or message.reasoning_content or message.reasoning):
        raise CheckFailedError(f"{model} said nothing")
    tokens = usage.completion_tokens if isinstance(usage, Usage) else None
    return CheckResult(f"{model}: {_said(message)}", data={"model": model, "tokens": tokens})


async def _check_stream(context: CheckContext) -> CheckResult:
    model = context.choose_model(Kind.LLM)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Count to 20."}],
        "max_tokens": _LONG,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begun = time.perf_counter()
    # Not merged: the chunks are to be counted.
    opened = context.endpoint.stream(body, CHAT, key=None, merge=False)
    chunks = await _sendable(opened)
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
        raise CheckFailedError(f"{model} streamed no text")
    count, waited = tokens or pieces, first - begun
    rate = tokens_per_second(count, last - first)
    speed = f"{rate:.0f} tokens/s" if rate is not None else "all at once"
    buffered = rate is None and count > _MANY and waited > _LONG_WAIT
    return CheckResult(
        f"{model}: first token after {waited * 1000:.0f} ms, {count} tokens, {speed}",
        _BUFFERED if buffered else None,
        data={
            "model": model,
            "first_token_seconds": first - begun,
            "tokens": count,
            "tokens_per_second": rate,
        },
    )


def _has_text(delta: ChatDelta | None) -> bool:
    return delta is not None and bool(delta.content or delta.reasoning_content or delta.reasoning)


async def _check_tools(context: CheckContext) -> CheckResult:
    model = context.choose_model(Kind.LLM)
    base = context.endpoint.catalogue.bases.get(model)
    if context.facts.profile(model, base).tools is False:
        raise CheckSkippedError(f"{model} was not trained to call tools")
    question = "What is the weather in Paris? Use the tool."
    _, choice, _ = await _request_chat(
        context, question, tools=[WEATHER], tool_choice="auto", max_tokens=_LONG
    )
    message = _message(choice)
    calls = message.tool_calls or []
    if not calls:
        return CheckResult(
            f"{model} called no tool and said {_said(message)}",
            "If this is the text of a call, the server has no tool-call parser, or one for "
            "another model: see docs/tools.md, or set recover_tool_calls: true in run.yaml.",
            {"model": model, "calls": 0},
        )
    function = calls[0].function
    name = function.name if function else None
    if not _is_valid(function.arguments if function else None, _WEATHER_PARAMETERS):
        raise CheckFailedError(f"{model} called {name} with arguments that do not fit")
    return CheckResult(f"{model} called {name}", data={"model": model, "calls": len(calls)})


def _is_valid(given: object, schema: dict[str, Any]) -> bool:
    """Return whether JSON, or its text, conforms to a schema."""
    import jsonschema

    try:
        jsonschema.validate(json.loads(given) if isinstance(given, str) else given, schema)
    except (ValueError, RecursionError, jsonschema.ValidationError):
        return False
    return True


async def _check_json_schema(context: CheckContext) -> CheckResult:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA}}
    model, choice, _ = await _request_chat(
        context,
        "Name a city and its river, as JSON.",
        response_format=wanted,
        max_tokens=_LONG,
    )
    text = _message(choice).content or ""
    if choice.finish_reason == "length":
        return CheckResult(
            f"{model} was cut off after {_LONG} tokens",
            "It may reason first: try another --model, or `thinking: off` in run.yaml.",
            {"model": model},
        )
    if not _is_valid(text, _SCHEMA):
        raise CheckFailedError(f"{model} wrote JSON that does not fit the schema")
    return CheckResult(f"{model} obeyed the schema", data={"model": model})


async def _check_logprobs(context: CheckContext) -> CheckResult:
    try:
        model, choice, _ = await _request_chat(
            context, "Say hello.", logprobs=True, top_logprobs=2, max_tokens=_SHORT
        )
    except InvalidRequestError as error:
        if await context.speaks_hosted():  # depends on the model there
            raise CheckSkippedError(f"not with this model: {error.message}") from None
        raise
    count = len(choice.logprobs.content or ()) if choice.logprobs else 0
    if not count:
        return CheckResult(
            f"{model} answered without log probabilities",
            "The server ignores `logprobs`: ask its operator, or do without.",
            {"model": model, "tokens": 0},
        )
    return CheckResult(f"{model}: of {count} tokens", data={"model": model, "tokens": count})


async def _check_completion(context: CheckContext) -> CheckResult:
    model = context.choose_model(Kind.LLM)
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": _SHORT, "stream": False}
    try:
        response = await _sendable(context.endpoint.complete(body, COMPLETION, key=None))
    except (InvalidRequestError, ModelNotFoundError) as error:
        if await context.speaks_hosted():  # depends on the model there
            raise CheckSkippedError(f"not with this model: {error.message}") from None
        raise
    text = response.choices[0].text if response.choices else None
    if not text:
        raise CheckFailedError(f"{model} wrote nothing")
    return CheckResult(f"{model}: {_said(ChatDelta(content=text))}", data={"model": model})


async def _check_embeddings(context: CheckContext) -> CheckResult:
    model = context.choose_model(Kind.EMBEDDING)
    length = len(await vector_of(context, model))
    known = context.facts.embedding_model(model)
    data = {"model": model, "dimension": length}
    if known is not None and known.dimension not in (0, length):  # 0: not known
        raise CheckFailedError(f"{model} returned {length} numbers instead of {known.dimension}")
    return CheckResult(f"{model}: {length} numbers", data=data)


async def vector_of(context: CheckContext, model: str) -> list[float]:
    """Embed a short text, as a passage where the model distinguishes them.

    Raises:
        NIMError: See ``nim.errors``.
    """
    config = context.config
    caller = Embedder(
        EmbeddingSettings(
            input_type=config.embedding_input_type, truncate=config.embedding_truncate
        )
    )
    request = EmbeddingRequest(model, ["The sea is deep."])
    embedded = await caller.embed(context.endpoint, request, key=None)
    return as_numbers(embedded.vectors[0])


async def _check_rerank(context: CheckContext) -> CheckResult:
    model = context.choose_model(Kind.RERANK)
    ranked = await rank(context, model)
    order = "as expected" if ranked == _RELEVANT else "the less relevant passage first"
    data = {"model": model, "first": ranked}
    if ranked != _RELEVANT:
        return CheckResult(f"{model} ranked {order}", "Check that it is a rerank model.", data)
    return CheckResult(f"{model} ranked {order}", data=data)


async def rank(context: CheckContext, model: str) -> int:
    """Rank two passages; return the index of the first.

    Raises:
        NIMError: See ``nim.errors``.
    """
    config = context.config
    ranker = Reranker(
        RerankSettings(urls=config.rerank_model_to_url, truncate=config.rerank_truncate)
    )
    request = RerankRequest(
        model, Content("how many moons has mars"), [Content(one) for one in _PASSAGES]
    )
    return (await ranker.rank(context.endpoint, request, key=None))[0].passage


_OTHER = "Try another model with --model, and look at the NIM's log for the reason."

CHECKS = (
    Check("chat", _check_chat, _OTHER, group=Kind.LLM),
    Check("stream", _check_stream, _OTHER, group=Kind.LLM),
    Check(
        "tools",
        _check_tools,
        "Start the server with a tool-call parser: NIM_ENABLE_AUTO_TOOL_CHOICE=1 and "
        "NIM_TOOL_CALL_PARSER in NIM 1.x, --enable-auto-tool-choice --tool-call-parser NAME in "
        "NIM 2.x and vLLM; or set recover_tool_calls: true in run.yaml.",
        group=Kind.LLM,
        on_timeout=STALLED,
    ),
    Check(
        "json schema",
        _check_json_schema,
        "Set structured_output: validate in run.yaml to have responses checked, or use another "
        "NIM.",
        group=Kind.LLM,
    ),
    Check("logprobs", _check_logprobs, _OTHER, group=Kind.LLM),
    Check("completion", _check_completion, _OTHER, group=Kind.LLM),
    Check(
        "embeddings",
        _check_embeddings,
        "Check that the NIM serves this embedding model; docs/embeddings.md has its settings.",
        group=Kind.EMBEDDING,
    ),
    Check(
        "rerank",
        _check_rerank,
        "Name the model's URL under rerank_model_to_url in run.yaml if it is served elsewhere.",
        group=Kind.RERANK,
    ),
)
