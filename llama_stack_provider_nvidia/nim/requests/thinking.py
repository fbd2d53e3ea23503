"""One setting for thinking, written the way each model family and dialect wants it.

Requests here have the form that ``place`` gives them: apply these functions after it. They
never change the body they are given.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ..dialect import Dialect
from ..errors import InvalidRequestError, invalid
from .profiles import (
    Always,
    Budget,
    Effort,
    Never,
    Profile,
    SystemText,
    TemplateArgument,
    ThinkingSwitch,
)

Setting = Literal["on", "off"] | int
"""Think, do not, or think for at most so many tokens."""

_WORDS: Mapping[str, Literal["on", "off"]] = {
    **dict.fromkeys(("on", "true", "yes"), "on"),
    **dict.fromkeys(("off", "false", "no"), "off"),
}

# What else asks a model to think or limits it, by anyone's name for it. A request that holds one
# of these has decided for itself.
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
# ``chat_template_args`` is Dynamo's name for the same.
_ARGUMENTS = ("chat_template_kwargs", "chat_template_args")
_SYSTEM = ("system", "developer")


def parse_setting(value: object) -> Setting | None:
    """Read the setting as people write it; empty means unset.

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
        f"is {value!r}: it must be on, off, or the most tokens to think (1 or more; off for none)",
    )


def apply_thinking(
    body: Mapping[str, Any], setting: Setting | None, profile: Profile, dialect: Dialect
) -> dict[str, Any]:
    """Have the model think as the setting says.

    A request that says something about thinking itself stays as it is. ``off`` is granted where
    the model never thinks, and ``on`` where it always does, with nothing to send.

    Args:
        body: A chat request as ``place`` writes it for this dialect.
        setting: As ``parse_setting`` gives it.
        profile: What the model can do.
        dialect: Who will read the request.

    Returns:
        A new body.

    Raises:
        InvalidRequestError: The model or the dialect has no such switch or limit. The text names
            both and says what can be done.
    """
    if setting is None or _decides_itself(body, profile):
        return dict(body)
    switch = profile.thinking
    problem = _obstacle(body, setting, switch, dialect)
    if problem or switch is None:
        raise _refusal(problem or "", body, setting, dialect)
    written = _switched(body, switch, on=setting != "off")
    if isinstance(setting, int):
        budget = switch.budgets[dialect]
        written = _with(written, budget.path, setting)
        written |= budget.beside
    return written


def is_thinking(body: Mapping[str, Any], profile: Profile) -> bool | None:
    """Tell whether a request has the model think; None where it does not say."""
    match profile.thinking and profile.thinking.form:
        case Always():
            return True
        case Never():
            return False
        case TemplateArgument(key=key, on=on, off=off):
            value = _arguments(body).get(key)
            return {on: True, off: False}.get(value) if isinstance(value, bool | str) else None
        case Effort(off=off):
            effort = body.get("reasoning_effort")
            return None if effort is None else effort != off
        case SystemText() as text:
            return _system_says(body, text)
    return None


def _obstacle(
    body: Mapping[str, Any], setting: Setting, switch: ThinkingSwitch | None, dialect: Dialect
) -> str | None:
    """Say why a setting cannot be carried out, and the way out; None if it can."""
    if "messages" not in body:
        return "a text completion has no chat template that could switch it: send a chat"
    if switch is None:
        return "how this model is switched is not known: leave `thinking` unset for it"
    match switch.form:
        case Never() if setting != "off":
            return "this model does not think: leave `thinking` unset for it, or choose another"
        case Always(instead=instead) if setting == "off":
            return f"this model always thinks: {instead}"
        case TemplateArgument(key=key) if dialect is Dialect.GENERIC:
            return (
                f"it is switched by `chat_template_kwargs.{key}`, which only NIMs are known to "
                "take: set `dialect` to what answers there, or send that field yourself"
            )
    if setting != "off" and body.get("tools") and not switch.with_tools:
        return "this model calls tools only while it does not think: set `thinking` to off"
    if isinstance(setting, int):
        return _over_budget(setting, switch.budgets.get(dialect), switch)
    return None


def _over_budget(tokens: int, budget: Budget | None, switch: ThinkingSwitch) -> str | None:
    if budget is None:
        where = ", ".join(switch.budgets)
        elsewhere = f", or ask a NIM that has one ({where})" if where else ""
        return (
            "no such limit is known to hold there: set `thinking` to on or off, send the field "
            f"of your server for it yourself{elsewhere}"
        )
    if budget.most is not None and tokens > budget.most:
        return f"the limit can be {budget.most} at most: lower it, or set `thinking` to on"
    return None


def _refusal(
    problem: str, body: Mapping[str, Any], setting: Setting, dialect: Dialect
) -> InvalidRequestError:
    return invalid(
        "thinking",
        f"{setting} cannot be had of {body.get('model')} in the dialect {dialect}: {problem}",
    )


def _switched(body: Mapping[str, Any], switch: ThinkingSwitch, *, on: bool) -> dict[str, Any]:
    match switch.form:
        case SystemText() as text:
            return {**body, "messages": _begun(body["messages"], text.on if on else text.off)}
        case TemplateArgument() as argument:
            value = argument.on if on else argument.off
            return _with(body, f"chat_template_kwargs.{argument.key}", value)
        case Effort() as effort:
            return {**body, "reasoning_effort": effort.on if on else effort.off}
    return dict(body)


def _with(body: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    top, _, inner = path.partition(".")
    return {**body, top: {**(body.get(top) or {}), inner: value} if inner else value}


def _begun(messages: list[Any], line: str) -> list[Any]:
    """Begin the system message with a line; it must be the first message."""
    first = messages[0] if messages else {}
    if first.get("role") not in _SYSTEM:
        return [{"role": "system", "content": line}, *messages]
    content = first.get("content")
    if isinstance(content, list):
        content = [{"type": "text", "text": line}, *content]
    else:
        content = f"{line}\n{content}" if content else line
    return [{**first, "content": content}, *messages[1:]]


def _decides_itself(body: Mapping[str, Any], profile: Profile) -> bool:
    arguments = _arguments(body)
    limit = (body.get("nvext") or {}).get("max_thinking_tokens")
    if limit is not None or any(body.get(name) is not None for name in _OWN_FIELDS):
        return True
    if any(arguments.get(name) is not None for name in _OWN_ARGUMENTS):
        return True
    form = profile.thinking and profile.thinking.form
    return isinstance(form, SystemText) and _system_says(body, form) is not None


def _arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for name in _ARGUMENTS for key, value in (body.get(name) or {}).items()}


def _system_says(body: Mapping[str, Any], text: SystemText) -> bool | None:
    said = "\n".join(_system_texts(body))
    if _found(text.off, said):
        return False
    return True if _found(text.on, said) else None


def _found(words: str, said: str) -> bool:
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
