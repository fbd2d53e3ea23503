"""Explanations of a NIM's refusals by the known limits of the model.

Facts age, so a request is never refused for them. It is sent, and when the NIM refuses it, the
error says what is known and since when.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..dialect import Dialect
from ..model_facts.profile import ImageLimits, Profile
from .grammar import explain_grammar_refusal

HOSTED_INLINE_LIMIT = 180_000
"""Characters of base64 in one image on NVIDIA's hosted catalogue, where a model states no other
limit (client code and schemas, 2024)."""

_MAX_CONFLICTS = 3
_OTHER_MODEL = "choose another model"
_OWN_NIM = "use a NIM of your own"


_SENT_UNSURE: Mapping[Dialect, str] = {
    Dialect.NIM1: "NIM 1.x does not document it: leave it out, or use NIM 2.x",
    Dialect.HOSTED: f"the published schemas do not have it: leave it out, or {_OWN_NIM}",
}
"""The known facts about fields that are sent although the dialect may refuse them."""
_EXTENSIONS = frozenset(
    {
        "top_k",
        "repetition_penalty",
        "ignore_eos",
        "min_p",
        "min_tokens",
        "stop_token_ids",
        "length_penalty",
    }
)
_UNKNOWN = re.compile(r"extra_forbidden|extra inputs|unknown|unsupported|not permitted", re.I)


class Explanation(NamedTuple):
    """The known facts about a refusal.

    Attributes:
        text: Sentences with the field, the problem, a way out and the date of the knowledge.
        field: The request's field, where the text names a single one.
    """

    text: str
    field: str | None


def explanation_of(
    body: Mapping[str, Any],
    profile: Profile,
    dialect: Dialect,
    release: str | None = None,
    *,
    said: str = "",
) -> Explanation | None:
    """Return what is known that may explain why a NIM refused a request, None for nothing.

    Args:
        body: The request as it was sent.
        profile: What the model can do.
        dialect: Who refused it.
        release: The NIM's release, if it says.
        said: What the NIM gave as its reason.
    """
    texts = [text for text in (explain_refusal(body, profile, dialect, release),) if text]
    texts += _unknown_extensions(body, dialect, said)
    fields = dict.fromkeys(field for text in texts for field in _FIELD.findall(text))
    fields.pop("model_overrides", None)
    only = next(iter(fields)) if len(fields) == 1 else None
    return Explanation(" ".join(texts), only) if texts else None


# As the texts here name a field, such as `messages[0].role`.
_FIELD = re.compile(r"`([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*)`")


def _unknown_extensions(body: Mapping[str, Any], dialect: Dialect, said: str) -> Iterator[str]:
    """Yield what is known of fields that the NIM names as unknown."""
    known = _SENT_UNSURE.get(dialect)
    if known is None or not _UNKNOWN.search(said):
        return
    for name in sorted(_EXTENSIONS & body.keys()):
        if re.search(rf"\b{name}\b", said):
            yield f"Of `{name}`, by 2026-10: {known}."


def explain_refusal(
    body: Mapping[str, Any], profile: Profile, dialect: Dialect, release: str | None = None
) -> str | None:
    """Return what is known that may explain why a NIM refused a request.

    Args:
        body: The request as it was sent.
        profile: What the model can do.
        dialect: Who refused it.
        release: The NIM's release, if it says.

    Returns:
        Sentences with the field, the problem, a way out and the date of the knowledge; None
        where nothing is known that the request does not fit.
    """
    hosted = dialect is Dialect.HOSTED
    conflicts = list(_hosted_conflicts(body, profile) if hosted else _conflicts(body, profile))
    known = []
    if conflicts:
        source = "the published schema of" if hosted else "what was published by"
        known.append(
            f"By {source} {profile.date or 'an unknown date'}, {body.get('model')} "
            f"{'; '.join(conflicts[:_MAX_CONFLICTS])}. If that has changed, correct it under "
            "`model_overrides` in run.yaml."
        )
    if grammar := explain_grammar_refusal(body, dialect, release):
        known.append(f"{grammar[0].upper()}{grammar[1:]}.")
    return " ".join(known) or None


def _conflicts(body: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    """Yield what the request asks that the model is not known for, on any NIM."""
    if body.get("tools") and profile.tools is False:
        yield f"was not made to call tools (`tools`): {_OTHER_MODEL}"
    images = list(_images(body))
    if not images:
        return
    if profile.vision is False:
        yield f"sees no images (`{images[0][0]}`): choose a model that can see"
    elif profile.images:
        yield from _too_many_images(images, profile.images)
        yield from _system_beside_image(body, profile.images)


def _hosted_conflicts(body: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    """Yield what the request asks that the catalogue's schema does not have."""
    rules = profile.hosted
    if "prompt" in body and profile.date and profile.task != "completion":
        yield f"has no text completion (`prompt`): ask for a chat completion, or {_OWN_NIM}"
    if body.get("tools"):
        yield from _hosted_tool_conflicts(body, profile)
    yield from _hosted_message_conflicts(body, profile)
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if rules.max_tokens is not None and isinstance(value, int) and value > rules.max_tokens:
            yield f"takes {rules.max_tokens} at most for `{name}`: lower it, or {_OWN_NIM}"
    seed = body.get("seed")
    if isinstance(seed, int) and seed < 0:
        yield "takes no negative `seed`: it must be 0 or more"
    temperature, allowed = body.get("temperature"), rules.temperature
    if allowed and isinstance(temperature, int | float) and temperature > allowed.highest:
        yield f"takes {allowed.highest} at most for `temperature`: lower it, or {_OWN_NIM}"
    yield from _budget_conflicts(body, profile)


def _hosted_tool_conflicts(body: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    if not profile.hosted.tools or profile.tools is False:
        yield f"has no tools (`tools`): {_OTHER_MODEL}, or {_OWN_NIM}"
        return
    choice = body.get("tool_choice", "auto")
    known = profile.hosted.tool_choices
    if known is not None and (choice if isinstance(choice, str) else "named") not in known:
        yield f"does not have this `tool_choice`: it takes {', '.join(sorted(known))}"


def _hosted_message_conflicts(body: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    roles = profile.hosted.roles
    for n, message in enumerate(body.get("messages") or ()):
        role = message.get("role")
        if roles is not None and str(role) not in roles:
            yield (
                f"has no role {role} (`messages[{n}].role`): put its text into a user message, "
                f"{_OTHER_MODEL}, or {_OWN_NIM}"
            )
    images = list(_images(body))
    if not images:
        return
    first, role, _ = images[0]
    if profile.hosted.string_content or profile.vision is False:
        yield f"takes only text (`{first}`): choose a model that can see"
        return
    for field, role, _ in images:
        if role != "user":
            yield f"takes only text of the role {role} (`{field}`): put it into a user message"
    limits = profile.images or ImageLimits()
    yield from _too_many_images(images, limits)
    yield from _system_beside_image(body, limits)
    most = limits.inline or HOSTED_INLINE_LIMIT
    for field, _, url in images:
        size = len(url.partition(",")[2]) if url.startswith("data:") else 0
        if size > most:
            yield (
                f"takes {most:,} characters of base64 for an image, and `{field}` has {size:,}: "
                f"make the image smaller (fewer pixels, or JPEG), send its URL, or {_OWN_NIM}"
            )


def _too_many_images(images: list[tuple[str, Any, str]], limits: ImageLimits) -> Iterator[str]:
    if limits.most is not None and len(images) > limits.most:
        yield (
            f"takes {limits.most} image(s) in a request, and there are {len(images)} "
            f"(`{images[limits.most][0]}`): leave images of earlier turns out, or {_OTHER_MODEL}"
        )


def _system_beside_image(body: Mapping[str, Any], limits: ImageLimits) -> Iterator[str]:
    if not limits.with_system and any(m.get("role") == "system" for m in body["messages"]):
        yield "takes no system message with an image: put its text before the image"


def _budget_conflicts(body: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    budget = profile.reasoning.budgets.get(Dialect.HOSTED) if profile.reasoning else None
    value = body.get(budget.path) if budget else None
    if budget and budget.most is not None and isinstance(value, int) and value > budget.most:
        yield f"takes {budget.most} at most for `{budget.path}`: lower `thinking`, or set it to on"


def _images(body: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield each image's field, its message's role, and its URL."""
    for n, message in enumerate(body.get("messages") or ()):
        content = message.get("content")
        for m, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                image = part.get("image_url")
                url = image.get("url") if isinstance(image, dict) else image
                yield f"messages[{n}].content[{m}]", message.get("role"), str(url)
