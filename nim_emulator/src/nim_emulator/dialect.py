"""The type of a dialect: fields, limits, routes and response forms of one API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from .metrics import MetricNames
from .shapes import Shapes

ToolStream = Literal["fragments", "whole", "two-part"]
"""How a streamed tool call is cut: name then pieces of arguments; all in one delta; name, then
all arguments."""

TOOL_STREAMS: tuple[ToolStream, ...] = ("fragments", "whole", "two-part")
"""All styles, for options and tests."""

ErrorForm = Literal[
    "flat",
    "sglang",
    "nested",
    "openai",
    "reason",
    "text",
    "detail",
    "problem",
    "fastapi",
    "mixed",
]
"""How errors are written, see :mod:`~.errors`."""


def names(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


@dataclass(frozen=True, kw_only=True)
class FixedReply:
    """A fixed reply.

    Attributes:
        status: HTTP status.
        body: JSON data, a text, or None for no body. In its texts ``{method}``, ``{path}``,
            ``{id}``, ``{time}`` and ``{model}`` are filled in.
        media: Media type, None for the usual one of the body.
        headers: HTTP headers.
        note: What it stands for, for people.
    """

    status: int
    body: Any = None
    media: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The range of a number, or of the length of a list.

    Attributes:
        low: The least value, None for no limit.
        high: The greatest value, None for no limit.
        above: ``low`` itself is not allowed.
        length: The length of a list is meant; a text counts as a list of one.
    """

    low: float | None = None
    high: float | None = None
    above: bool = False
    length: bool = False


NO_KEY = FixedReply(status=401, body={"error": "Unauthorized"})
"""The key check of the engines sits before their error handlers."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One generation of NIM's HTTP API, or the rules of one model of it.

    Attributes:
        name: The name users choose it by.
        aliases: Other names for it.
        summary: What it is, in one line.
        chat_fields: Top-level fields that a chat request may carry with effect; None where
            there are no chats.
        completion_fields: The same for a completion request.
        embedding_fields: The same for an embedding request.
        type_suffixes: An embedding model's id may end in ``-query`` or ``-passage``.
        services: POST paths of embedding and rerank models: names in
            :data:`~.retrieval.SERVICES`.
        nvext_fields: Keys of the ``nvext`` object, or None where ``nvext`` does not exist.
        ignored_fields: Known fields that have no effect.
        not_implemented: Fields that are answered with status 501, and the message.
        refuses_unknown: Unknown fields give an error (True) or are silently ignored (False).
        strict_types: Values are not converted: "5" is no number.
        model_required: A request without ``model`` is refused.
        stream_default: A request that does not mention ``stream`` is streamed.
        checks_logit_bias: Keys of ``logit_bias`` are checked.
        most_bias: The largest value of ``logit_bias``; None for any.
        limits: Ranges of fields beyond those that all dialects share.
        default_max_tokens: ``max_tokens`` of a chat that names none; None for all that fits.
        context: Context length of the models unless the user sets one.
        roles: Message roles that are known, None for any.
        list_content_roles: Roles whose content may be a list of parts, None for all.
        message_fields: Fields of a message that are known, None for any.
        checks_arguments: Arguments of tool calls in the history must be a JSON object.
        alternates: User and assistant take turns, and the user has the last word.
        tool_choices: Kinds of ``tool_choice`` that are known.
        auto_tools: The model may choose to call a tool.
        parser_option: Such a choice depends on how the server was started.
        tool_parts: Parts that each function on offer must have beside its name.
        strict_tools: Functions on offer may be marked ``strict``.
        closed_strict_tools: A function marked ``strict`` needs ``additionalProperties: false``.
        empty_tools: Message that refuses ``tools: []``; None where it means no tools.
        tool_id_required: A tool's result must name its call.
        lone_tool_choices: Kinds of ``tool_choice`` that are taken without tools.
        guided_first: A ``guided_*`` field beside a ``response_format`` is the one that counts.
        stream_refusals: A constraint that cannot be compiled is an event of a stream.
        constraint_with_tool: A constraint beside a named tool is refused (True) or dropped.
        schema_name_required: A ``json_schema`` without ``name`` is refused.
        response_formats: ``response_format`` types that are honoured; others give an error.
        reasoning_efforts: Values of ``reasoning_effort``, None for any.
        numeric_effort: ``reasoning_effort`` may be a number from 0 to below 1.
        thinks: The models think unless told not to.
        lark_grammars: Grammars in Lark syntax are accepted beside GBNF.
        top_k_zero: ``top_k`` 0 means off (True) or is refused (False); -1 always means off.
        empty_stops: An empty stop string ends the text at once (True) or is refused (False).
        greedy_checks: Temperature 0 does not go with ``n`` above 1, and ``top_k`` is checked.
        min_over_max: ``min_tokens`` may be more than ``max_tokens``.
        empty_answers: ``max_tokens`` may be 0.
        echo_in_streams: ``echo`` may be combined with ``stream``.
        max_logprobs: The largest number of alternatives per token, None for any.
        lone_stream_options: ``stream_options`` without ``stream`` is ignored, not refused.
        lone_top_logprobs: ``top_logprobs`` without ``logprobs`` is ignored, not refused.
        max_completion_logprobs: The same for completions, None for the same number.
        errors: How errors are written.
        texts: Texts of errors that are the dialect's own, by rule: a field's name for its range.
        list_body: Reply to a body that is a JSON list; None for an error like any other.
        checks_limit_first: ``max_tokens`` above the context has an error of its own.
        too_many_tokens: Message when prompt and ``max_tokens`` exceed the context.
        any_model: A model that is not served is answered as if it were.
        unknown_model: Message about a model that is not served, or the whole reply.
        no_such_entry: Body about a model that is not in the list; None for the same error.
        replies: POST paths that are always answered in the same way.
        no_models: Reply to inference while no model is served; None where there is always one.
        not_found: Reply to unknown paths, None for the web framework's own.
        max_body: The largest body in bytes, None for no limit.
        media_status: HTTP status of the refusal of a body that is not declared as JSON.
        needs_key: Inference needs some key even when the emulator has none set.
        models_public: The model list needs no key.
        missing_key: Reply to a request without a key.
        wrong_key: Reply to a request with a key that is not the right one.
        routes: Bodies of routes other than inference and the model list, by path: names in
            :data:`~.management.BODIES`, or ``metrics``.
        metrics: Names of the metrics that a route ``metrics`` shows; None without such a route.
        title: Title of ``/openapi.json``.
        request_id_header: Header with an id that every inference response carries.
        echoes_request_id: ``x-request-id`` of a request comes back in the response.
        poll_path: Path below which responses are fetched that were not ready in time.
        annotations: ``nvext.annotations`` adds events without data to a stream.
        tool_stream: The default style of streamed tool calls.
        forced_tool_stream: The same for calls that the request asks for; None for the same style.
        shapes: Constant parts of responses.
        model_route: ``GET /v1/models/{id}`` returns the entry of one model.
        model_ready: Body of ``GET /v1/models/{id}/ready`` beside the id; None where there is none.
        model_entry: Fields of an entry of the model list.
        owned_by: ``owned_by`` of the entries in the model list; None for the part of the id
            before the slash.
        adapter_root: ``root`` of the entries of adapters, with ``{name}``; None where there are
            no adapters.
        created: ``created`` of the entries: the emulator's start, the time of the request, or
            a constant.
        release: What ``/v1/version`` calls the release.
        metadata: Constant fields of ``/v1/metadata``.
        default_models: Ids of the served models unless the user names some.
        catalogue: Ids of models that are always listed.
        unlisted: Ids of models that are always served and never listed.
        specials: Models that are listed and answer every request with a fixed reply.
        pending: Models whose responses are never ready in time.
        variants: Rules of single models: the first pattern that fits a model's id counts.
    """

    name: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    chat_fields: frozenset[str] | None
    completion_fields: frozenset[str] | None
    embedding_fields: frozenset[str] = frozenset()
    type_suffixes: bool = False
    services: Mapping[str, str] = field(default_factory=dict)
    nvext_fields: frozenset[str] | None = None
    ignored_fields: frozenset[str] = frozenset()
    not_implemented: Mapping[str, str] = field(default_factory=dict)
    refuses_unknown: bool = False
    strict_types: bool = False
    model_required: bool = True
    stream_default: bool = False
    checks_logit_bias: bool = False
    most_bias: float | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    default_max_tokens: int | None = None
    context: int = 8192
    roles: frozenset[str] | None = None
    list_content_roles: frozenset[str] | None = None
    message_fields: frozenset[str] | None = None
    checks_arguments: bool = True
    alternates: bool = False
    tool_choices: frozenset[str] = names("none auto required named")
    auto_tools: bool = True
    parser_option: bool = False
    tool_parts: tuple[str, ...] = ()
    strict_tools: bool = True
    closed_strict_tools: bool = False
    empty_tools: str | None = None
    tool_id_required: bool = True
    lone_tool_choices: frozenset[str] = names("none")
    guided_first: bool = False
    stream_refusals: bool = False
    constraint_with_tool: bool = True
    schema_name_required: bool = False
    response_formats: frozenset[str] = names("text json_object json_schema")
    reasoning_efforts: frozenset[str] | None = names("none minimal low medium high xhigh max")
    numeric_effort: bool = False
    thinks: bool = False
    lark_grammars: bool = False
    top_k_zero: bool = True
    empty_stops: bool = False
    greedy_checks: bool = True
    min_over_max: bool = False
    empty_answers: bool = False
    echo_in_streams: bool = True
    max_logprobs: int | None = 20
    lone_stream_options: bool = False
    lone_top_logprobs: bool = False
    max_completion_logprobs: int | None = None
    errors: ErrorForm
    texts: Mapping[str, str] = field(default_factory=dict)
    list_body: FixedReply | None = None
    checks_limit_first: bool = False
    too_many_tokens: str
    any_model: bool = False
    no_such_entry: FixedReply | None = None
    replies: Mapping[str, FixedReply] = field(default_factory=dict)
    unknown_model: str | FixedReply = "The model `{model}` does not exist."
    no_models: FixedReply | None = None
    not_found: FixedReply | None = None
    max_body: int | None = None
    media_status: int = 400
    needs_key: bool = False
    models_public: bool = False
    missing_key: FixedReply = NO_KEY
    wrong_key: FixedReply = NO_KEY
    routes: Mapping[str, str] = field(default_factory=dict)
    metrics: MetricNames | None = None
    title: str = "FastAPI"
    request_id_header: str | None = None
    echoes_request_id: bool = False
    poll_path: str | None = None
    annotations: bool = False
    tool_stream: ToolStream = "fragments"
    forced_tool_stream: ToolStream | None = None
    shapes: Shapes
    model_route: bool = False
    model_ready: Mapping[str, Any] | None = None
    model_entry: tuple[str, ...] = ("id", "object", "created", "owned_by")
    owned_by: str | None
    adapter_root: str | None = None
    created: Literal["start", "now"] | int = "start"
    release: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    default_models: tuple[str, ...] = ("meta/llama-3.1-8b-instruct",)
    catalogue: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    specials: Mapping[str, FixedReply] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    variants: tuple[tuple[str, Dialect], ...] = ()

    def rules(self, model: object) -> Dialect:
        """Return the rules of a model: the dialect itself, or one of its variants."""
        for pattern, variant in self.variants:
            if isinstance(model, str) and fnmatchcase(model, pattern):
                return variant
        return self

    def listed(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """Return the ids of the model list, given those that the user asked for."""
        rest = (*self.catalogue, *self.specials, *self.pending)
        return (*models, *(model for model in rest if model not in models))
