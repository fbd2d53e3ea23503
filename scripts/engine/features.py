"""Features that the suite tries with each real engine, and what engines and servers lack.

A test of `tests/engine` names a feature. Where `LACKS` has an entry for it, the test must fail,
with the words of `shows`; a feature that is listed as lacking and works is a failure.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

DIRECT = "direct"

FEATURES = {
    "found": "found without being named; healthy",
    "chat": "chat",
    "chat_stream": "chat, streamed",
    "completion": "completion",
    "completion_stream": "completion, streamed",
    "max_tokens": "`max_tokens` ends it: `length`",
    "usage": "token counts",
    "usage_stream": "token counts of a stream",
    "stop": "`stop`",
    "top_k": "`top_k`",
    "n": "`n`",
    "logprobs": "log probabilities of a chat",
    "logprobs_completion": "log probabilities of a completion",
    "schema": "JSON schema",
    "schema_stream": "JSON schema, streamed",
    "schema_completion": "JSON schema of a completion",
    "regex": "regular expression",
    "choice": "choice",
    "grammar": "grammar",
    "tool_auto": "tools, called or not",
    "tool_required": "tool required",
    "tool_named": "tool named",
    "tool_stream": "tool calls, streamed",
    "tool_result": "a tool's result",
    "broken_call": "a broken call in the history",
    "reasoning": "reasoning in the history",
    "unknown_model": "unknown model: error",
    "too_long": "too long: `context_length_exceeded`",
    "bad_parameter": "bad parameter: error",
    "bad_constraint": "bad constraint: error",
    "bad_constraint_stream": "bad constraint, streamed: error",
    "embeddings": "embeddings",
    "leave_stream": "caller leaves a stream: engine stops",
    "leave_whole": "caller leaves a whole answer: engine stops",
    "engine_error": "engine fails: error",
    "killed": "worker killed in a stream: error",
    "gone": "no worker: error",
    "back": "worker back: answers again",
}
"""Features and their titles, in the order of the table."""


@dataclass(frozen=True)
class Lack:
    """A feature that is not there.

    Attributes:
        engine: The engine, or a pattern of engines.
        route: How it is called: `direct`, a release, or a pattern of those.
        feature: The feature.
        reason: Why, as a sentence without a full stop.
        shows: What the failing test says, as a regular expression; None where the test does not
            run because there is nothing to call.
    """

    engine: str
    route: str
    feature: str
    reason: str
    shows: str | None = None


_NATIVE = "0.2.*"
_NATIVE_HAS_NO = "the native API of 0.2 has no such field"
_WRITES_NONE = "the scripted worker writes no text for it"
_NO_EMBEDDER = "no embedding model is served"
_NO_FAILURE = "nothing in a request makes this engine fail"
_SERVERS = (_NATIVE, "0.7.*", "ogx-*")
_MODELS = ("vllm", "smollm2", "sglang", "llamacpp", "dynamo-vllm")

LACKS = (
    *(
        Lack("*", _NATIVE, name, _NATIVE_HAS_NO)
        for name in ("usage", "usage_stream", "n", "regex", "choice")
    ),
    Lack(
        "*",
        "0.7.3",
        "logprobs_completion",
        "Llama Stack up to 0.7 takes the number for true or false",
        "valid boolean",
    ),
    *(
        Lack("*", route, "leave_whole", "no server cancels a whole answer", "were generated")
        for route in _SERVERS
    ),
    Lack("dynamo", "*", "n", "the scripted worker writes one choice", r"\[0\] == \[0, 1\]"),
    *(
        Lack("dynamo", "*", name, _WRITES_NONE, "assert None|DID NOT RAISE")
        for name in ("regex", "grammar", "bad_constraint", "bad_constraint_stream")
    ),
    *(Lack(engine, "*", "embeddings", _NO_EMBEDDER) for engine in _MODELS),
    *(Lack(engine, "*", "engine_error", _NO_FAILURE) for engine in _MODELS),
    Lack(
        "smollm2",
        DIRECT,
        "reasoning",
        "SmolLM2's chat template leaves earlier reasoning out",
        "'reasoning': 0",
    ),
    Lack("sglang", DIRECT, "choice", "SGLang itself has no field for it", "no field for choice"),
    Lack("sglang", DIRECT, "unknown_model", "SGLang answers with the model that it has", "DID NOT"),
    *(
        Lack("llamacpp", DIRECT, name, "llama.cpp itself has no field for it", "no field for")
        for name in ("regex", "choice", "bad_constraint", "bad_constraint_stream")
    ),
    Lack(
        "llamacpp",
        DIRECT,
        "schema_completion",
        "a random model writes spaces without end where llama.cpp lets it",
        "Expecting|Unterminated",
    ),
    Lack(
        "llamacpp",
        DIRECT,
        "logprobs_completion",
        "llama.cpp answers in a chat's form",
        "assert 0 == 6",
    ),
    Lack("llamacpp", DIRECT, "bad_parameter", "llama.cpp takes any value", "DID NOT RAISE"),
    Lack(
        "llamacpp",
        "*",
        "unknown_model",
        "llama.cpp answers with the model that it has, which the provider cannot know",
        "DID NOT RAISE",
    ),
    *(
        Lack(
            "llamacpp",
            "*",
            name,
            "llama.cpp does not force a call with this chat template",
            "list index out of range",
        )
        for name in ("tool_required", "tool_named", "tool_stream")
    ),
    *(
        Lack(
            "llamacpp",
            route,
            name,
            "OpenAI's API has no field for it, and the provider knows none of this server's",
            "no .* constraint",
        )
        for name in ("schema_completion", "regex", "choice", "grammar")
        for route in _SERVERS
    ),
)


def lack(engine: str, route: str, feature: str) -> Lack | None:
    """Return what is known to be missing for an engine, a route and a feature."""
    for known in LACKS:
        if (
            known.feature == feature
            and fnmatch.fnmatch(engine, known.engine)
            and fnmatch.fnmatch(route, known.route)
        ):
            return known
    return None
