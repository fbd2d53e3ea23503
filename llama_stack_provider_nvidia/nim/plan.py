"""The plan of a completion request: all that follows from the request, worked out once."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .dialect import Dialect
from .discovery.finding import Finding
from .model_facts.profile import Never, Profile
from .requests.field_mapping import map_fields
from .requests.grammar import with_readable_grammar
from .requests.hosted_rules import apply_hosted_rules
from .requests.images import inline_images, validate_images
from .requests.message_history import rename_reasoning, repair_tool_calls
from .requests.thinking import apply_reasoning, is_reasoning_enabled
from .responses.content_parser import ContentParser, ToolCallMaker
from .responses.output_guard import Constraint, constraint_of
from .responses.tool_names import offered_names
from .settings import Settings

CHAT_PATH = "/chat/completions"
COMPLETION_PATH = "/completions"

# Where an engine reads the reasoning of earlier turns. Others get it as it was written, and the
# hosted catalogue by the schema of the model.
_EARLIER_REASONING = {
    Dialect.NIM2_VLLM: "reasoning",
    Dialect.NIM2_SGLANG: "reasoning_content",
    Dialect.DYNAMO: "reasoning_content",
    # llama.cpp reads nothing else, and it is the name that most servers have.
    Dialect.GENERIC: "reasoning_content",
}


@dataclass(frozen=True)
class RequestPlan:
    """The request for a chat or text completion, and how its response is read.

    Attributes:
        path: Below the endpoint.
        body: The JSON body as the NIM takes it.
        model: The NIM's id of the model.
        dialect: How the body is written.
        stream: Whether the response comes as a stream.
        choices: How many choices the response has.
        constraint: What each choice is checked against; None for nothing.
        make_content_parser: Makes what splits reasoning and tool calls out of the content of
            this response; None where the model's family writes none there.
        is_reasoning_off: The request has the model not reason.
        tool_names: Names of the tools that the request offers.
        wants_usage: The caller asked for a last chunk with the counts of tokens.
        counts_tokens: The chunk that ends the stream shall have the counts as well.
    """

    path: str
    body: dict[str, Any]
    model: str
    dialect: Dialect
    stream: bool
    choices: int
    constraint: Constraint | None = None
    make_content_parser: Callable[[ToolCallMaker], ContentParser] | None = None
    is_reasoning_off: bool = False
    tool_names: frozenset[str] = frozenset()
    wants_usage: bool = False
    counts_tokens: bool = False


def plan_request(
    body: Mapping[str, Any],
    finding: Finding,
    settings: Settings,
    *,
    base: str | None = None,
    counts_tokens: bool = False,
) -> RequestPlan:
    """Work out what to send to a NIM, and how to read its response.

    Args:
        body: OpenAI's fields, and beside them those of any generation of NIM. Images to be
            downloaded have been: see ``download_images``.
        finding: What the NIM is.
        settings: The user's.
        base: Of a LoRA adapter, the id of its base model.
        counts_tokens: Llama Stack counts the tokens of this stream: the chunk that ends it must
            have the counts, and the NIM is asked for them. NVIDIA's hosted catalogue is not: its
            models differ in whether they take ``stream_options``.

    Raises:
        InvalidRequestError: The NIM, or the model, cannot carry what the request asks for.
    """
    model = str(body.get("model"))
    profile = settings.facts.profile(model, base)
    is_chat = "messages" in body
    written = _wire_body(body, profile, finding, settings)
    asks = counts_tokens and finding.dialect is not Dialect.HOSTED
    return RequestPlan(
        path=CHAT_PATH if is_chat else COMPLETION_PATH,
        body=with_usage(written) if asks else written,
        model=model,
        dialect=finding.dialect,
        stream=bool(body.get("stream")),
        choices=expected_choices(body),
        constraint=_constraint(body, finding.dialect, settings),
        make_content_parser=_content_parser(written, profile, settings) if is_chat else None,
        is_reasoning_off=is_chat and _is_reasoning_off(written, profile),
        tool_names=offered_names(written) if is_chat and written.get("tools") else frozenset(),
        wants_usage=asks_for_usage(body),
        counts_tokens=counts_tokens,
    )


def expected_choices(body: Mapping[str, Any]) -> int:
    """Return how many choices a request asks for: ``n`` for each of its prompts."""
    number = body.get("n") or 1
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        number *= len(prompt)  # a list of numbers is one prompt
    return int(number)


def asks_for_usage(body: Mapping[str, Any]) -> bool:
    """Return whether a request asks for the counts of tokens at the end of its stream."""
    return bool((body.get("stream_options") or {}).get("include_usage"))


def with_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request that asks for the counts of tokens, and is the same otherwise."""
    options = {**(body.get("stream_options") or {}), "include_usage": True}
    return {**body, "stream_options": options}


async def download_images(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the images that it gives by address put into it.

    Raises:
        InvalidRequestError: An image cannot be had; the text says which.
    """
    if "messages" not in body:
        return body
    return {**body, "messages": await inline_images(body["messages"])}


def _wire_body(
    body: Mapping[str, Any], profile: Profile, finding: Finding, settings: Settings
) -> dict[str, Any]:
    dialect = finding.dialect
    mapped = map_fields(body, dialect, skip_unenforceable=settings.validate)
    if dialect is Dialect.NIM1:  # the others read what callers write
        mapped = with_readable_grammar(mapped, dialect, finding.release)
    if "messages" not in mapped:
        return mapped
    if any(message.get("role") == "assistant" for message in mapped["messages"]):
        mapped["messages"] = repair_tool_calls(mapped["messages"])
        if name := _EARLIER_REASONING.get(dialect):
            mapped["messages"] = rename_reasoning(mapped["messages"], name)
    if settings.thinking is not None:
        mapped = apply_reasoning(mapped, settings.thinking, profile, dialect)
    if dialect is Dialect.HOSTED:
        mapped = apply_hosted_rules(mapped, profile)
    if any(not isinstance(message.get("content"), str) for message in mapped["messages"]):
        validate_images(mapped["messages"])
    return mapped


def _is_reasoning_off(written: Mapping[str, Any], profile: Profile) -> bool:
    """Return whether a request switches off the reasoning of a model that may reason."""
    if profile.reasoning is not None and isinstance(profile.reasoning.form, Never):
        return False
    return is_reasoning_enabled(written, profile) is False


def _constraint(body: Mapping[str, Any], dialect: Dialect, settings: Settings) -> Constraint | None:
    """Return what to check the response against.

    A NIM that is known to enforce constraints is trusted, unless the user says otherwise.
    """
    trusted = dialect not in (Dialect.GENERIC, Dialect.HOSTED)
    return None if trusted and not settings.validate else constraint_of(body)


def _content_parser(
    written: dict[str, Any], profile: Profile, settings: Settings
) -> Callable[[ToolCallMaker], ContentParser] | None:
    style = profile.tool_calls_as_text if settings.recover_tool_calls else None
    if not (profile.inline_reasoning or (style and written.get("tools"))):
        return None
    return functools.partial(ContentParser, written, profile, style)
