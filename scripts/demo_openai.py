"""Requests of the demo for releases from 0.3 on, which have OpenAI's API alone.

The steps are as those of `scripts.demo_steps`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import jsonschema

from scripts import stack_client
from scripts.demo_steps import PERSON, TOP_LOGPROBS, Step, WrongAnswerError, expect, quote, user

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
        },
    },
}


def read(stream: Any) -> Any:
    """The chunks of a stream that have choices.

    Some clients do not raise for an error inside a stream: they give a chunk without choices.
    """
    for chunk in stream:
        failure = getattr(chunk, "error", None)
        if failure is not None:
            raise WrongAnswerError(str(failure))
        yield from chunk.choices or ()


def text_of(content: Any) -> str:
    """The text of an answer: some clients wrap it."""
    return str(getattr(content, "actual_instance", content) or "")


def models(client: Any, model: str) -> str:
    """The server lists the model."""
    names = list(stack_client.listed(client))
    expect(model in names, f"{model} is not among {names}")
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{model}{others}"


def chat(client: Any, model: str) -> str:
    """One question, one answer."""
    answer = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "Answer in one short sentence."},
            user("What is NVIDIA NIM?"),
        ],
        max_tokens=120,
    )
    text = text_of(answer.choices[0].message.content)
    expect(text, "the answer is empty")
    expect(answer.choices[0].finish_reason, "the answer has no finish reason")
    expect(answer.usage.completion_tokens, "the tokens of the answer were not counted")
    return quote(text)


def chat_streamed(client: Any, model: str) -> str:
    """The same as it is generated."""
    texts: list[str] = []
    reasons: list[str] = []
    for choice in read(
        client.chat.completions.create(
            model=model, messages=[user("Count from one to ten.")], max_tokens=120, stream=True
        )
    ):
        texts += [choice.delta.content] if choice.delta.content else []
        reasons += [choice.finish_reason] if choice.finish_reason else []
    expect(len(texts) > 1, f"the text came in {len(texts)} piece(s)")
    expect(reasons in (["stop"], ["length"]), f"the finish reasons are {reasons}")
    return f"{quote(''.join(texts), 44)} in {len(texts)} pieces"


def tool_call(client: Any, model: str) -> str:
    """The model asks for a tool, gets its result, and answers with it."""
    question = user("What is the weather in Paris?")
    asked = client.chat.completions.create(
        model=model, messages=[question], tools=[WEATHER], max_tokens=200
    ).choices[0]
    calls = asked.message.tool_calls or []
    expect(len(calls) == 1, f"{len(calls)} tool calls instead of one")
    (call,) = calls
    expect(call.function.name == "get_weather", f"the tool called is {call.function.name}")
    expect("Paris" in call.function.arguments, f"the arguments are {call.function.arguments}")
    function = {"name": call.function.name, "arguments": call.function.arguments}
    history = [
        question,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": call.id, "type": "function", "function": function}],
        },
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": json.dumps({"temperature_c": 21, "sky": "clear"}),
        },
    ]
    answer = client.chat.completions.create(
        model=model, messages=history, tools=[WEATHER], max_tokens=200
    )
    text = text_of(answer.choices[0].message.content)
    expect("21" in text, f"the answer ignores the result: {text!r}")
    return f"{call.function.name}({call.function.arguments}) then {quote(text, 70)}"


def parallel_tool_calls(client: Any, model: str) -> str:
    """Two calls in one streamed answer, each put together from its pieces."""
    names: dict[int, str] = defaultdict(str)
    arguments: dict[int, str] = defaultdict(str)
    ids: dict[int, str] = {}
    for choice in read(
        client.chat.completions.create(
            model=model,
            messages=[user("What is the weather in Paris and in Tokyo?")],
            tools=[WEATHER],
            max_tokens=300,
            stream=True,
        )
    ):
        for call in choice.delta.tool_calls or ():
            ids.setdefault(call.index, call.id)
            names[call.index] += call.function.name or ""
            arguments[call.index] += call.function.arguments or ""
    expect(len(ids) == 2, f"{len(ids)} tool calls instead of two")
    expect(len(set(ids.values())) == 2, "the calls share an id")
    expect(set(names.values()) == {"get_weather"}, f"the tools called are {dict(names)}")
    cities = {json.loads(text)["city"] for text in arguments.values()}
    expect(cities == {"Paris", "Tokyo"}, f"the cities are {cities}")
    return ", ".join(f"{names[index]}({arguments[index]})" for index in ids)


def json_schema(client: Any, model: str) -> str:
    """An answer that a JSON schema prescribes."""
    answer = client.chat.completions.create(
        model=model,
        messages=[user("Describe Ada Lovelace, aged 36, who spoke English and French.")],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": PERSON},
        },
        max_tokens=300,
    )
    text = text_of(answer.choices[0].message.content)
    try:
        jsonschema.validate(json.loads(text), PERSON)
    except (ValueError, jsonschema.ValidationError) as error:
        message = f"{error} in {text!r}"
        raise WrongAnswerError(message) from error
    return text


def logprobs(client: Any, model: str) -> str:
    """The probability of each token, with the likeliest alternatives."""
    answer = client.chat.completions.create(
        model=model,
        messages=[user("Say hello.")],
        logprobs=True,
        top_logprobs=TOP_LOGPROBS,
        max_tokens=20,
    )
    found = answer.choices[0].logprobs
    tokens = (found.content if found else None) or []
    expect(tokens, "the answer has no logprobs")
    expect(all(token.top_logprobs for token in tokens), "a token has no alternatives")
    expect(all(token.logprob <= 0 for token in tokens), "a logprob exceeds 0")
    first = ", ".join(f"{other.token!r} {other.logprob:.2f}" for other in tokens[0].top_logprobs)
    return f"{len(tokens)} tokens, the first: {first}"


def completion(client: Any, model: str) -> str:
    """A text continued."""
    answer = client.completions.create(
        model=model, prompt="The capital of France is", max_tokens=20
    )
    expect(answer.choices[0].text, "the text is empty")
    expect(answer.choices[0].finish_reason, "the answer has no finish reason")
    return quote(answer.choices[0].text)


def completion_streamed(client: Any, model: str) -> str:
    """A text continued, as it is generated."""
    texts: list[str] = []
    reasons: list[str] = []
    for choice in read(
        client.completions.create(
            model=model, prompt="One, two, three,", max_tokens=40, stream=True
        )
    ):
        texts += [choice.text] if choice.text else []
        reasons += [choice.finish_reason] if choice.finish_reason else []
    expect(len(texts) > 1, f"the text came in {len(texts)} piece(s)")
    expect(len(reasons) == 1, f"{len(reasons)} finish reasons instead of one")
    return f"{quote(''.join(texts), 44)} in {len(texts)} pieces"


def embeddings(client: Any, model: str) -> str:
    """Texts as vectors, with the first embedding model that the server offers."""
    kinds = stack_client.listed(client)
    embedders = [name for name, kind in kinds.items() if kind == "embedding"]
    if not embedders:
        return "none: the NIM serves no embedding model"
    answer = client.embeddings.create(
        model=embedders[0], input=["What is NIM?", "A cat sat on the mat."]
    )
    vectors = [getattr(row.embedding, "actual_instance", row.embedding) for row in answer.data]
    expect(len(vectors) == 2, f"{len(vectors)} vectors for two texts")
    expect(len({len(vector) for vector in vectors}) == 1, "the vectors differ in length")
    expect(vectors[0] != vectors[1], "the vectors are alike")
    return f"{len(vectors)} vectors of {len(vectors[0])} by {embedders[0]}"


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
    ("embeddings", embeddings),
)
