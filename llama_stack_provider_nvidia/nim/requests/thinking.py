"""The reasoning setting, written the way each model family and dialect takes it.

Apply these functions to a request from ``map_fields``. They never change the body they are given.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ..dialect import Dialect
from ..errors import InvalidRequestError, invalid
from ..json_types import JSONObject
from ..model_facts.profile import (
    Always,
    Budget,
    Effort,
    Never,
    Profile,
    ReasoningSwitch,
    SystemText,
    TemplateArgument,
)

ReasoningSetting = Literal["on", "off"] | int
"""Reason, do not, or reason for at most so many tokens: the setting ``thinking``."""

_WORDS: Mapping[str, Literal["on", "off"]] = {
    **dict.fromkeys(("on", "true", "yes"), "on"),
    **dict.fromkeys(("off", "false", "no"), "off"),
}

# What else switches or limits reasoning, by anyone's name for it. A request that holds one of
# these keeps its own choice.
_OWN_FIELDS = (
    "reasoning_effort",
    "reasoning",
    "reasoning_budget",
    "thinking",
    "thinking_token_budget",
    "max_thinking_tokens",
    "min_thinking_tokens",
)
_OWN_ARGUMENTS = (
    "enable_thinking",
    "thinking",
    "thinking_mode",
    "thinking_budget",
    "reasoning_budget",
    "reasoning_effort",
    "low_effort",
    "medium_effort",
)
_COMMON_SWITCHES = ("enable_thinking", "thinking")
# ``chat_template_args`` is Dynamo's name for the same.
_ARGUMENTS = ("chat_template_kwargs", "chat_template_args")
_SYSTEM = ("system", "developer")


def parse_reasoning_setting(value: object) -> ReasoningSetting | None:
    """Parse the setting ``thinking``; an empty value means unset.

    YAML reads a bare ``on`` as true, and a substituted variable comes as text.

    Raises:
        InvalidRequestError: It is none of on, off and a number of tokens.
    """
    if value is None or value == "":
        return None
    word = str(value).strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    if isinstance(value, int | str) and word.isdecimal() and int(word) > 0:
        return int(word)
    raise invalid(
        "thinking",
        f"is {value!r}: it must be on, off, or the maximum of reasoning tokens (1 or more; off "
        "for none)",
    )


def apply_reasoning(
    body: Mapping[str, Any], setting: ReasoningSetting | None, profile: Profile, dialect: Dialect
) -> JSONObject:
    """Return the request with reasoning switched or limited as the setting says.

    A request that sets its reasoning itself is returned as it is. ``off`` needs nothing where
    the model never reasons, nor does ``on`` where it always does.

    Args:
        body: A chat request from ``map_fields`` for this dialect.
        setting: From ``parse_reasoning_setting``.
        profile: What the model can do.
        dialect: Who reads the request.

    Raises:
        InvalidRequestError: There is nothing to send that would have the effect: the setting
            would be ignored silently. The text names the model, the dialect and a way out.
    """
    if setting is None or _sets_reasoning_itself(body, profile):
        return dict(body)
    switch = profile.reasoning
    problem = _obstacle(body, setting, switch, dialect)
    if problem or switch is None:
        raise _refusal(problem or "", body, setting, dialect)
    written = _switched(body, switch, on=setting != "off")
    if isinstance(setting, int):
        budget = switch.budgets[dialect]
        written = _with(written, budget.path, setting)
        written |= budget.beside
    return written


def is_reasoning_enabled(body: Mapping[str, Any], profile: Profile) -> bool | None:
    """Return whether a request has the model reason; None where it does not say.

    OpenAI's ``reasoning_effort: none`` says it for every model that may reason: the Responses API
    of Llama Stack has no other word for it.
    """
    asked = False if _asks_for_none(body) else None
    match profile.reasoning and profile.reasoning.form:
        case Always():
            return True
        case Never():
            return False
        case TemplateArgument(key=key, on=on, off=off):
            value = _arguments(body).get(key)
            return True if value == on else False if value == off else asked
        case Effort(off=off):
            effort = body.get("reasoning_effort")
            return None if effort is None else effort != off
        case SystemText() as text:
            known = _system_setting(body, text)
            return asked if known is None else known
    # Of an unknown model, the switches that most templates have.
    is_off = any(_arguments(body).get(key) is False for key in _COMMON_SWITCHES)
    return False if is_off else asked


def _asks_for_none(body: Mapping[str, Any]) -> bool:
    """Return whether a request asks for no reasoning, whatever its model is switched by.

    ``thinking`` is Dynamo's field, a bool or an object with a ``type``.
    """
    thinking = body.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    return body.get("reasoning_effort") == "none" or thinking is False or kind == "disabled"


def _obstacle(
    body: Mapping[str, Any],
    setting: ReasoningSetting,
    switch: ReasoningSwitch | None,
    dialect: Dialect,
) -> str | None:
    """Return why a setting would have no effect, and the remedy; None if it has one."""
    if "messages" not in body:
        return "a text completion has no chat template that could switch it: send a chat"
    if switch is None:
        return (
            "how this model is switched is not known: leave `thinking` unset for it, or say it "
            "under `model_overrides`"
        )
    match switch.form:
        case Never() if setting != "off":
            return "this model does not reason: leave `thinking` unset for it, or choose another"
        case Always(workaround=workaround) if setting == "off":
            return f"this model always reasons: {workaround}"
        case TemplateArgument(key=key) if dialect is Dialect.GENERIC:
            return (
                f"it is switched by `chat_template_kwargs.{key}`, which only NIMs are known to "
                "take: set `dialect` to what answers there, or send that field yourself"
            )
    if setting != "off" and body.get("tools") and not switch.with_tools:
        return "this model calls tools only while it does not reason: set `thinking` to off"
    if isinstance(setting, int):
        return _no_budget(switch.budgets.get(dialect), switch)
    return None


def _no_budget(budget: Budget | None, switch: ReasoningSwitch) -> str | None:
    if budget is not None:
        return None
    where = ", ".join(switch.budgets)
    elsewhere = f", or ask a NIM that has one ({where})" if where else ""
    return (
        "no such limit is known to hold there: set `thinking` to on or off, send the field "
        f"of your server for it yourself{elsewhere}"
    )


def _refusal(
    problem: str, body: Mapping[str, Any], setting: ReasoningSetting, dialect: Dialect
) -> InvalidRequestError:
    return invalid(
        "thinking",
        f"{setting} cannot be had of {body.get('model')} in the dialect {dialect}: {problem}",
        code="unsupported_field",
    )


def _switched(body: Mapping[str, Any], switch: ReasoningSwitch, *, on: bool) -> JSONObject:
    match switch.form:
        case SystemText() as text:
            messages = _with_first_line(body["messages"], text.on if on else text.off)
            return {**body, "messages": messages}
        case TemplateArgument() as argument:
            value = argument.on if on else argument.off
            return _with(body, f"chat_template_kwargs.{argument.key}", value)
        case Effort() as effort:
            return {**body, "reasoning_effort": effort.on if on else effort.off}
    return dict(body)


def _with(body: Mapping[str, Any], path: str, value: Any) -> JSONObject:
    top, _, inner = path.partition(".")
    return {**body, top: {**(body.get(top) or {}), inner: value} if inner else value}


def _with_first_line(messages: list[Any], line: str) -> list[Any]:
    """Prepend a line to the system message, which must be the first message."""
    first = messages[0] if messages else {}
    if first.get("role") not in _SYSTEM:
        return [{"role": "system", "content": line}, *messages]
    content = first.get("content")
    if isinstance(content, list):
        content = [{"type": "text", "text": line}, *content]
    else:
        content = f"{line}\n{content}" if content else line
    return [{**first, "content": content}, *messages[1:]]


def _sets_reasoning_itself(body: Mapping[str, Any], profile: Profile) -> bool:
    arguments = _arguments(body)
    limit = (body.get("nvext") or {}).get("max_thinking_tokens")
    if limit is not None or any(body.get(name) is not None for name in _OWN_FIELDS):
        return True
    if any(arguments.get(name) is not None for name in _OWN_ARGUMENTS):
        return True
    form = profile.reasoning and profile.reasoning.form
    return isinstance(form, SystemText) and _system_setting(body, form) is not None


def _arguments(body: Mapping[str, Any]) -> JSONObject:
    return {key: value for name in _ARGUMENTS for key, value in (body.get(name) or {}).items()}


def _system_setting(body: Mapping[str, Any], text: SystemText) -> bool | None:
    said = "\n".join(_system_texts(body))
    if _contains(said, text.off):
        return False
    return True if _contains(said, text.on) else None


def _contains(said: str, words: str) -> bool:
    # As words of their own: "/think" is no part of a path such as "docs/think/index.md".
    return bool(re.search(rf"(?<!\S){re.escape(words)}(?![\w/])", said))


def _system_texts(body: Mapping[str, Any]) -> Iterator[str]:
    for message in body.get("messages") or ():
        if message.get("role") in _SYSTEM:
            content = message.get("content") or ""
            if isinstance(content, str):
                yield content
            else:
                yield from (str(part.get("text") or "") for part in content)
