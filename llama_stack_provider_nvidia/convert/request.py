"""Convert native requests to OpenAI payloads."""

import math

from .. import stack
from ..nim.errors import invalid
from ..nim.json_types import JSONObject
from .content import text_of
from .messages import convert_messages
from .native_types import (
    ChatCompletionRequest,
    CompletionRequest,
    LogProbConfig,
    SamplingParams,
    Strategy,
    TopPStrategy,
)
from .structured import convert_response_format
from .tools import convert_tools

# Fields that the SDK has no argument for; ``nim.requests.field_table`` maps them for each NIM.
_CHAT_EXTENSIONS = frozenset(("top_k", "repetition_penalty", "structured_outputs"))
_COMPLETION_EXTENSIONS = _CHAT_EXTENSIONS | {"response_format"}


def convert_chat_completion_request(request: ChatCompletionRequest, n: int = 1) -> JSONObject:
    """Convert a native chat request.

    Args:
        request: Its ``model`` is the NIM's own id.
        n: Number of choices to request; on the wire only when it is not 1.

    Returns:
        Keyword arguments for ``AsyncOpenAI().chat.completions.create``. What is not OpenAI's
        stands under ``extra_body`` as vLLM's server takes it; ``nim.requests.field_mapping``
        moves it to where another NIM wants it. Only what the caller asked for is there.

    Raises:
        InvalidRequestError: Something cannot be sent; the text names the field and the way out.
    """
    return _as_arguments(chat_completion_body(request, n), _CHAT_EXTENSIONS)


def convert_completion_request(request: CompletionRequest, n: int = 1) -> JSONObject:
    """Convert a native completion request.

    Args:
        request: Its ``model`` is the NIM's own id.
        n: How many completions to ask for; on the wire only when it is not 1.

    Returns:
        Keyword arguments for ``AsyncOpenAI().completions.create``, as above.

    Raises:
        InvalidRequestError: Something cannot be sent, such as an image.
    """
    return _as_arguments(completion_body(request, n), _COMPLETION_EXTENSIONS)


def _as_arguments(body: JSONObject, extensions: frozenset[str]) -> JSONObject:
    """Put what the SDK has no argument for under ``extra_body``."""
    extra = {name: body.pop(name) for name in extensions & body.keys()}
    return {**body, "extra_body": extra} if extra else body


def chat_completion_body(request: ChatCompletionRequest, n: int = 1) -> JSONObject:
    """Write the flat body of a native chat request, as ``nim.plan`` takes it.

    Args:
        request: Its ``model`` is the NIM's own id.
        n: How many choices to ask for.

    Raises:
        InvalidRequestError: As above.
    """
    body: JSONObject = {
        "model": request.model,
        "messages": convert_messages(request.messages),
        **_tools(request),
        **_sampling(request.sampling_params),
        **_count(n),
    }
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": _alternatives(request.logprobs)}
    return _finished(body, request)


def completion_body(request: CompletionRequest, n: int = 1) -> JSONObject:
    """Write the flat body of a native completion request, as ``nim.plan`` takes it.

    Args:
        request: Its ``model`` is the NIM's own id.
        n: How many completions to ask for.

    Raises:
        InvalidRequestError: As above.
    """
    body: JSONObject = {
        "model": request.model,
        "prompt": text_of(request.content, "content"),
        **_sampling(request.sampling_params),
        **_count(n),
    }
    if request.logprobs is not None:
        body["logprobs"] = _alternatives(request.logprobs)
    return _finished(body, request)


def _tools(request: ChatCompletionRequest) -> JSONObject:
    choice = getattr(request.tool_config, "tool_choice", None)
    if not request.tools and getattr(choice, "value", choice) in (None, "auto", "none"):
        return {}
    return convert_tools(request.tools, request.tool_config)


def _finished(body: JSONObject, request: ChatCompletionRequest | CompletionRequest) -> JSONObject:
    if request.response_format is not None:
        body |= convert_response_format(request.response_format)
    # Said in either case: some hosted models stream by default.
    body["stream"] = bool(request.stream)
    return body


def _count(n: int) -> dict[str, int]:
    if n < 1:
        raise invalid("n", f"is {n}: it must be at least 1")
    return {} if n == 1 else {"n": n}


def _alternatives(config: LogProbConfig) -> int:
    count = config.top_k or 0
    if count < 0:
        raise invalid("logprobs.top_k", f"is {count}: it must be 0 or more")
    return int(count)


def _sampling(params: SamplingParams | None) -> JSONObject:
    if params is None:
        return {}
    fields = _strategy(params.strategy)
    if params.max_tokens:  # 0 means unset
        if params.max_tokens < 0:
            raise invalid(
                "sampling_params.max_tokens",
                f"is {params.max_tokens}: it must be at least 1, or 0 for the model's default",
            )
        fields["max_tokens"] = params.max_tokens
    if params.repetition_penalty is not None and params.repetition_penalty != 1.0:
        if not 0 < params.repetition_penalty < math.inf:
            raise invalid(
                "sampling_params.repetition_penalty",
                f"is {params.repetition_penalty}: it must be above 0, and 1.0 changes nothing",
            )
        fields["repetition_penalty"] = params.repetition_penalty
    if params.stop:
        if not all(params.stop):
            raise invalid("sampling_params.stop", "holds an empty string: take it out")
        fields["stop"] = list(params.stop)
    return fields


def _strategy(strategy: Strategy | None) -> JSONObject:
    if strategy is None or isinstance(strategy, stack.GreedySamplingStrategy):
        return {"temperature": 0.0}
    if isinstance(strategy, stack.TopPSamplingStrategy):
        return _top_p(strategy)
    if isinstance(strategy, stack.TopKSamplingStrategy):
        if strategy.top_k != -1 and strategy.top_k < 1:
            raise invalid(
                "sampling_params.strategy.top_k",
                f"is {strategy.top_k}: it must be at least 1, or -1 for all tokens",
            )
        return {"top_k": strategy.top_k}
    raise invalid("sampling_params.strategy", f"{strategy!r} is neither greedy, top_p nor top_k")


def _top_p(strategy: TopPStrategy) -> JSONObject:
    fields: JSONObject = {}
    if strategy.temperature is not None:
        if not 0 <= strategy.temperature < math.inf:
            raise invalid(
                "sampling_params.strategy.temperature",
                f"is {strategy.temperature}: it must be 0 or more",
            )
        fields["temperature"] = strategy.temperature
    if strategy.top_p is not None:
        if not 0 < strategy.top_p <= 1:
            raise invalid(
                "sampling_params.strategy.top_p",
                f"is {strategy.top_p}: it must be above 0 and at most 1",
            )
        fields["top_p"] = strategy.top_p
    return fields
