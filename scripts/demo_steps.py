"""Requests of the demo, each with a check of its response.

A step takes a LlamaStackClient (whose types differ between releases, so it is
not named) and the model id, and returns what to show. It raises
`WrongAnswerError` when an answer came and is not what it must be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jsonschema

Step = Callable[[Any, str], str]

WEATHER = {
    "tool_name": "get_weather",
    "description": "Get the current weather in a city.",
    "parameters": {
        "city": {"param_type": "string", "description": "Name of the city", "required": True}
    },
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "languages": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "languages"],
    "additionalProperties": False,
}
TOP_LOGPROBS = 2


class WrongAnswerError(Exception):
    """The server answered, but not what the request asks for."""


def expect(condition: object, complaint: str) -> None:
    """Raise `WrongAnswerError` with `complaint` unless the condition holds."""
    if not condition:
        raise WrongAnswerError(complaint)


def user(text: str) -> dict[str, Any]:
    """A user message."""
    return {"role": "user", "content": text}


def limit(tokens: int) -> dict[str, Any]:
    """Sampling parameters: greedy, at most `tokens` tokens."""
    return {"strategy": {"type": "greedy"}, "max_tokens": tokens}


def events(chunks: Iterable[Any]) -> Iterator[Any]:
    """The events of a native chat stream.

    The client does not raise for an error inside a stream: it gives a chunk without an event.
    """
    for chunk in chunks:
        if getattr(chunk, "event", None) is None:
            raise WrongAnswerError(str(getattr(chunk, "error", None) or chunk))
        yield chunk.event


def quote(text: str, width: int = 60) -> str:
    """Text on one line, shortened for display."""
    flat = " ".join(text.split())
    return f'"{flat}"' if len(flat) <= width else f'"{flat[: width - 3]}..."'


def shown_call(call: Any) -> str:
    """A tool call as source code would write it."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
    return f"{call.tool_name}({arguments})"


def models(client: Any, model: str) -> str:
    """The server lists the model."""
    listed = [entry.identifier for entry in client.models.list()]
    expect(model in listed, f"{model} is not among {listed}")
    others = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
    return f"{model}{others}"


def chat(client: Any, model: str) -> str:
    """One question, one answer."""
    answer = client.inference.chat_completion(
        model_id=model,
        messages=[
            {"role": "system", "content": "Answer in one short sentence."},
            user("What is NVIDIA NIM?"),
        ],
        sampling_params=limit(120),
    ).completion_message
    expect(answer.content, "the answer is empty")
    expect(answer.stop_reason, "the answer has no stop reason")
    return quote(str(answer.content))


def chat_streamed(client: Any, model: str) -> str:
    """The same as it is generated: a start, text, and an end with a stop reason."""
    seen = list(
        events(
            client.inference.chat_completion(
                model_id=model,
                messages=[user("Count from one to ten.")],
                sampling_params=limit(120),
                stream=True,
            )
        )
    )
    texts = [e.delta.text for e in seen if e.delta.type == "text" and e.delta.text]
    expect(len(texts) > 1, f"the text came in {len(texts)} piece(s)")
    expect(seen[0].event_type == "start", f"the first event is {seen[0].event_type}")
    expect(seen[-1].event_type == "complete", f"the last event is {seen[-1].event_type}")
    expect(seen[-1].stop_reason, "the last event has no stop reason")
    return f"{quote(''.join(texts), 44)} in {len(texts)} pieces"


def tool_call(client: Any, model: str) -> str:
    """The model asks for a tool, gets its result, and answers with it."""
    question = user("What is the weather in Paris?")
    asked = client.inference.chat_completion(
        model_id=model, messages=[question], tools=[WEATHER], sampling_params=limit(200)
    ).completion_message
    calls = asked.tool_calls or []
    expect(len(calls) == 1, f"{len(calls)} tool calls instead of one")
    call = calls[0]
    expect(call.tool_name == "get_weather", f"the tool called is {call.tool_name}")
    expect("Paris" in str(call.arguments), f"the arguments are {call.arguments}")
    answer = client.inference.chat_completion(
        model_id=model,
        messages=[
            question,
            {
                "role": "assistant",
                "content": "",
                "stop_reason": "end_of_turn",
                "tool_calls": [call.model_dump(exclude_none=True)],
            },
            {
                "role": "tool",
                "call_id": call.call_id,
                "content": json.dumps({"temperature_c": 21, "sky": "clear"}),
            },
        ],
        tools=[WEATHER],
        sampling_params=limit(200),
    ).completion_message
    expect("21" in str(answer.content), f"the answer ignores the result: {answer.content!r}")
    return f"{shown_call(call)} then {quote(str(answer.content), 70)}"


def parallel_tool_calls(client: Any, model: str) -> str:
    """Two calls in one streamed answer, each put together from its pieces."""
    seen = events(
        client.inference.chat_completion(
            model_id=model,
            messages=[user("What is the weather in Paris and in Tokyo?")],
            tools=[WEATHER],
            sampling_params=limit(300),
            stream=True,
        )
    )
    deltas = [event.delta for event in seen if event.delta.type == "tool_call"]
    failed = [d.tool_call for d in deltas if d.parse_status == "failed"]
    expect(not failed, f"calls that could not be read: {failed}")
    calls = [d.tool_call for d in deltas if d.parse_status == "succeeded"]
    expect(len(calls) == 2, f"{len(calls)} tool calls instead of two")
    expect(len({call.call_id for call in calls}) == len(calls), "the calls share an id")
    cities = str([call.arguments for call in calls])
    expect("Paris" in cities and "Tokyo" in cities, f"the arguments are {cities}")
    return ", ".join(map(shown_call, calls))


def json_schema(client: Any, model: str) -> str:
    """An answer that a JSON schema prescribes."""
    answer = client.inference.chat_completion(
        model_id=model,
        messages=[user("Describe Ada Lovelace, aged 36, who spoke English and French.")],
        response_format={"type": "json_schema", "json_schema": PERSON},
        sampling_params=limit(300),
    ).completion_message
    try:
        jsonschema.validate(json.loads(str(answer.content)), PERSON)
    except (ValueError, jsonschema.ValidationError) as error:
        message = f"{error} in {answer.content!r}"
        raise WrongAnswerError(message) from error
    return str(answer.content)


def logprobs(client: Any, model: str) -> str:
    """The probability of each token, with the likeliest alternatives."""
    answer = client.inference.chat_completion(
        model_id=model,
        messages=[user("Say hello.")],
        logprobs={"top_k": TOP_LOGPROBS},
        sampling_params=limit(20),
    )
    tokens = [entry.logprobs_by_token for entry in answer.logprobs or []]
    expect(tokens, "the answer has no logprobs")
    expect(all(tokens), "a token has no logprob")
    expect(all(value <= 0 for token in tokens for value in token.values()), "a logprob exceeds 0")
    first = ", ".join(f"{token!r} {value:.2f}" for token, value in tokens[0].items())
    return f"{len(tokens)} tokens, the first: {first}"


def completion(client: Any, model: str) -> str:
    """A text continued."""
    answer = client.inference.completion(
        model_id=model, content="The capital of France is", sampling_params=limit(20)
    )
    expect(answer.content, "the text is empty")
    expect(answer.stop_reason, "the answer has no stop reason")
    return quote(answer.content)


def completion_streamed(client: Any, model: str) -> str:
    """A text continued, as it is generated."""
    texts: list[str] = []
    reasons: list[str] = []
    for chunk in client.inference.completion(
        model_id=model, content="One, two, three,", sampling_params=limit(40), stream=True
    ):
        expect(getattr(chunk, "delta", None) is not None, str(getattr(chunk, "error", chunk)))
        texts.append(chunk.delta)
        reasons += [chunk.stop_reason] if chunk.stop_reason else []
    pieces = len([text for text in texts if text])
    expect(pieces > 1, f"the text came in {pieces} piece(s)")
    expect(len(reasons) == 1, f"{len(reasons)} stop reasons instead of one")
    return f"{quote(''.join(texts), 44)} in {pieces} pieces"


def openai_chat(client: Any, model: str) -> str:
    """The server's OpenAI-compatible route, streamed."""
    texts: list[str] = []
    finished: list[str] = []
    for chunk in client.chat.completions.create(
        model=model, messages=[user("Count from one to five.")], max_tokens=60, stream=True
    ):
        expect(getattr(chunk, "choices", None) is not None, str(getattr(chunk, "error", chunk)))
        for choice in chunk.choices:
            texts.append(choice.delta.content or "")
            finished += [choice.finish_reason] if choice.finish_reason else []
    pieces = len([text for text in texts if text])
    expect(pieces > 1, f"the text came in {pieces} piece(s)")
    expect(finished in (["stop"], ["length"]), f"the finish reasons are {finished}")
    return f"{quote(''.join(texts), 44)} in {pieces} pieces"


STEPS: tuple[tuple[str, Step], ...] = (
    ("models", models),
    ("chat", chat),
    ("chat, streamed", chat_streamed),
    ("tool call and its result", tool_call),
    ("parallel tool calls, streamed", parallel_tool_calls),
    ("JSON schema", json_schema),
    ("logprobs", logprobs),
    ("completion", completion),
    ("completion, streamed", completion_streamed),
    ("OpenAI route, streamed", openai_chat),
)
