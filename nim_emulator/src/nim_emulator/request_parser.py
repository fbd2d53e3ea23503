"""Parses request bodies into generation requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from . import tokenizer
from .constraint_parser import read_constraint
from .dialect import Dialect
from .errors import RefusalError, validation_refusal
from .generation_request import GenerationRequest, Prompt, ToolSpec, digest
from .request_models import (
    ChatRequest,
    CompletionRequest,
    ImagePart,
    Message,
    NamedChoice,
    TextPart,
)
from .request_validation import validate_chat, validate_completion, validate_sampling
from .strict_schema import check_raw, missing_fields, out_of_range, unknown_fields

_Model = TypeVar("_Model", bound=BaseModel)


def parse_chat(
    dialect: Dialect, body: object, models: Sequence[str], context: int
) -> GenerationRequest:
    """Read a chat request.

    Args:
        dialect: The NIM's generation.
        body: The parsed JSON body.
        models: Ids of the models that are served.
        context: Context length of the models in tokens.

    Returns:
        The job.

    Raises:
        RefusalError: The NIM would answer with an error.
    """
    request = _read(dialect, dialect.chat_fields, ChatRequest, body)
    model = _model(dialect, request.model, models)
    validate_sampling(dialect, request)
    validate_chat(dialect, request)
    constraint = read_constraint(dialect, request)
    prompt = _chat_prompt(request)
    tools, tool_choice = _tools(request)
    asked = request.max_completion_tokens
    asked = request.max_tokens if asked is None else asked
    return GenerationRequest(
        chat=True,
        model=model,
        prompts=(prompt,),
        max_tokens=_max_new_tokens(dialect, prompt.tokens, asked, context),
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        constraint=constraint,
        reasoning_budget=_reasoning_budget(dialect, request),
        reasoning_in_content=not request.separate_reasoning,
        annotations=tuple((request.nvext and request.nvext.annotations) or ()),
        **_common(request),
    )


def parse_completion(
    dialect: Dialect, body: object, models: Sequence[str], context: int
) -> GenerationRequest:
    """Read a completion request; arguments, result and errors as :func:`parse_chat`."""
    request = _read(dialect, dialect.completion_fields, CompletionRequest, body)
    model = _model(dialect, request.model, models)
    validate_sampling(dialect, request)
    validate_completion(dialect, request)
    constraint = read_constraint(dialect, request)
    prompts = tuple(_completion_prompt(item) for item in _prompt_items(request.prompt))
    return GenerationRequest(
        chat=False,
        model=model,
        prompts=prompts,
        max_tokens=min(
            _max_new_tokens(dialect, prompt.tokens, request.max_tokens, context)
            for prompt in prompts
        ),
        logprobs=request.logprobs,
        echo=bool(request.echo),
        constraint=constraint,
        **_common(request),
    )


def _read(
    dialect: Dialect, fields: frozenset[str] | None, shape: type[_Model], body: object
) -> _Model:
    """Drop or refuse what the dialect does not know, then check the types."""
    assert fields is not None
    if not isinstance(body, dict):
        problem = {"type": "dict_type", "loc": ("body",), "msg": "Input should be an object"}
        raise validation_refusal([problem])
    check_raw(dialect, body)
    problems = [
        *unknown_fields(dialect, fields, body),
        *missing_fields(dialect, fields, body),
    ]
    known = {key: body[key] for key in body if key in fields - dialect.ignored_fields}
    if dialect.stream_default:
        known.setdefault("stream", True)
    try:
        if dialect.strict_types:
            # As JSON: the models' strict mode wants tuples and models from Python.
            request = shape.model_validate_json(json.dumps(known), strict=True)
        else:
            request = shape.model_validate(known)
    except ValidationError as error:
        problems += [
            {"type": item["type"], "loc": ("body", *item["loc"]), "msg": item["msg"]}
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise validation_refusal(problems) from None
    problems += out_of_range(dialect, known)
    if problems:
        raise validation_refusal(problems)
    return request


def _model(dialect: Dialect, asked: str | None, models: Sequence[str]) -> str:
    if asked is None:
        return models[0]
    if asked not in models and not dialect.any_model:
        text = dialect.unknown_model
        message = text.format(model=asked) if isinstance(text, str) else "Not Found"
        raise RefusalError(message, param="model", status=404, kind="NotFoundError")
    return asked


def _max_new_tokens(dialect: Dialect, prompt: int, asked: int | None, context: int) -> int:
    """Return how many tokens may be generated."""
    if asked is not None and asked > context and dialect.checks_limit_first:
        raise RefusalError(
            f"max_tokens={asked} cannot be greater than max_model_len={context}. "
            "Please request fewer output tokens.",
            param="max_tokens",
            value=asked,
            rule="limit",
            facts={"context": context},
        )
    wanted = asked or 0
    if prompt + wanted > context or prompt == context:
        # A 2.x server stops to count when the prompt cannot fit any more.
        least = min(prompt, context - wanted + 1)
        message = dialect.too_many_tokens.format(
            context=context,
            prompt=prompt,
            completion=wanted,
            total=prompt + wanted,
            least=least,
            least_total=least + wanted,
        )
        details = {"type": "context_length", "limit": context, "actual": prompt + wanted}
        facts = {"prompt": prompt, "context": context}
        rule = "long_prompt" if prompt >= context else ""
        raise RefusalError(
            message, param="input_tokens", value=least, details=details, rule=rule, facts=facts
        )
    if asked is None:
        asked = dialect.default_max_tokens or context
    return min(asked, context - prompt)


def _common(request: ChatRequest | CompletionRequest) -> dict[str, Any]:
    """Return the fields that chats and completions share."""
    stop = () if request.stop is None else request.stop
    options = request.stream_options
    nvext = request.nvext
    return {
        "n": request.n or 1,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "seed": request.seed,
        "min_tokens": request.min_tokens or 0,
        "ignore_eos": bool(request.ignore_eos or (nvext and nvext.ignore_eos)),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop),
        "stop_token_ids": frozenset(request.stop_token_ids or ()),
        "include_stop": request.include_stop_str_in_output,
        "stream": bool(request.stream),
        "include_usage": bool(options and options.include_usage),
        "continuous_usage": bool(
            options and options.include_usage and options.continuous_usage_stats
        ),
    }


def _chat_prompt(request: ChatRequest) -> Prompt:
    plain = [message.model_dump(exclude_none=True) for message in request.messages]
    tools = [tool.model_dump(exclude_none=True) for tool in request.tools or ()]
    user = [message for message in request.messages if message.role == "user"]
    last = user[-1] if user else request.messages[-1]
    results = []
    for message in reversed(request.messages):
        if message.role != "tool":
            break
        results.append(_text(message))
    images = []
    if isinstance(last.content, list):
        images = [_image(part) for part in last.content if isinstance(part, ImagePart)]
    return Prompt(
        text=_text(last),
        tokens=tokenizer.count_chat(plain, tools),
        key=digest(json.dumps(plain, sort_keys=True), json.dumps(tools, sort_keys=True)),
        tool_results=tuple(reversed(results)),
        images=tuple(images),
    )


def _text(message: Message) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if isinstance(part, TextPart))
    return message.content or ""


def _image(part: ImagePart) -> str:
    """Describe an image by what can be seen without opening it."""
    url = part.image_url.url
    if url.startswith("data:"):
        return url[5:].split(";", 1)[0].split(",", 1)[0] or "text/plain"
    return "from " + url.split("//", 1)[1].split("/", 1)[0]


def _prompt_items(
    prompt: str | list[str] | list[int] | list[list[int]],
) -> list[str | list[int]]:
    if isinstance(prompt, str):
        return [prompt]
    if prompt and isinstance(prompt[0], int):
        return [[item for item in prompt if isinstance(item, int)]]
    return [item for item in prompt if not isinstance(item, int)]


def _completion_prompt(item: str | list[int]) -> Prompt:
    if isinstance(item, str):
        return Prompt(text=item, tokens=max(1, tokenizer.count(item)), key=digest(item))
    # The emulator has no vocabulary to turn ids back into words.
    text = " ".join(f"<{number}>" for number in item)
    return Prompt(text=text, tokens=max(1, len(item)), key=digest(text))


def _tools(request: ChatRequest) -> tuple[tuple[ToolSpec, ...], Any]:
    choice = request.tool_choice
    if not request.tools or choice == "none":
        return (), "none"
    specs = tuple(
        ToolSpec(
            name=tool.function.name,
            description=tool.function.description or "",
            parameters=(
                {"type": "object", "properties": {}}
                if tool.function.parameters is None
                else tool.function.parameters
            ),
        )
        for tool in request.tools
    )
    if isinstance(choice, NamedChoice):
        return tuple(spec for spec in specs if spec.name == choice.function.name), "named"
    return specs, choice or "auto"


def _reasoning_budget(dialect: Dialect, request: ChatRequest) -> int | None:
    """Return the budget of visible reasoning: 0 for none, None for no limit.

    Reasoning is asked for in the ways of the model families: the template arguments
    ``enable_thinking`` and ``thinking``, ``reasoning_effort``, ``thinking``, or a line in the
    system text.
    """
    arguments = {**(request.chat_template_args or {}), **(request.chat_template_kwargs or {})}
    if not request.include_reasoning or not _wants_reasoning(dialect, request, arguments):
        return 0
    nvext = request.nvext and request.nvext.max_thinking_tokens
    budgets = (
        arguments.get("reasoning_budget"),
        request.reasoning_budget,
        request.thinking_token_budget,
        nvext,
    )
    budget = next((item for item in budgets if isinstance(item, int)), -1)
    return None if budget < 0 else budget


def _wants_reasoning(dialect: Dialect, request: ChatRequest, arguments: dict[str, Any]) -> bool:
    switches = [
        arguments.get("enable_thinking"),
        arguments.get("thinking"),
        request.thinking.get("type") != "disabled"
        if isinstance(request.thinking, dict)
        else request.thinking,
        None if request.reasoning_effort is None else request.reasoning_effort != "none",
    ]
    system = "\n".join(_text(item) for item in request.messages if item.role == "system")
    if any(switches) or "detailed thinking on" in system or "/think" in system.split():
        return True
    return dialect.thinks and all(switch is None for switch in switches)
