"""Requests as NVIDIA's hosted catalogue takes them: its schemas are closed, one per model.

What can be written in another way without meaning anything else is rewritten; what cannot be
asked of a model is refused here, with the way out, and not after a round trip.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidRequestError, invalid
from .profiles import HostedRules, ImageLimits, Profile

# A list or mapping of nothing means as much as none, and some schemas refuse it.
_MAY_BE_EMPTY = frozenset({"stop", "tools", "logit_bias"})
# These say how tools are used, and nothing without any.
_ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})
_NO_MATTER = ("auto", "none", True, False)
_REASONING = ("reasoning_content", "reasoning")
# What a function's definition means that leaves a field out, as OpenAI's reference has it.
_UNSAID: Mapping[str, Any] = {"description": "", "parameters": {"type": "object", "properties": {}}}
# The most probable token, always, for schemas without temperature 0: at 0.01 it has next to all
# of the probability, and then nucleus sampling keeps none but it.
_GREEDY = {"temperature": 0.01, "top_p": 0.01}

_OTHER_MODEL = "choose another model"
_OWN_NIM = "use a NIM of your own"


def check_hosted(body: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """Write a request as the hosted catalogue takes it of one family.

    Rewritten, with the same meaning:

    * nulls, and empty ``stop``, ``tools`` and ``logit_bias``, are left out, as is what says how
      tools are used where there are none;
    * ``stream`` is always said: some models stream by default;
    * lists of nothing but text become one string, a part per line;
    * the role ``developer`` becomes ``system``, its older name;
    * earlier thinking in the history is left out, or goes by ``reasoning_content`` where the
      schema has it: chat templates take it out as well;
    * a tool's missing ``description`` or ``parameters`` are written out where they must be;
    * temperature 0 becomes another way to choose the most probable token where 0 is refused.

    Args:
        body: A chat or text completion request as ``place`` writes it.
        profile: What the model can do.

    Returns:
        A new body.

    Raises:
        InvalidRequestError: The model cannot be asked that: a role, an image, a tool, a tool
            choice or a number that its schema refuses.
    """
    shaped = {key: value for key, value in body.items() if not _says_nothing(key, value)}
    if "tools" not in shaped:
        for name in _ABOUT_TOOLS & shaped.keys():
            if shaped[name] in _NO_MATTER:
                del shaped[name]
    shaped.setdefault("stream", False)
    model = _Asked(str(body.get("model")), profile)
    if "messages" in shaped:
        shaped["messages"] = [
            model.message(message, f"messages[{n}]") for n, message in enumerate(shaped["messages"])
        ]
        model.check_images(shaped["messages"])
    if "tools" in shaped:
        shaped["tools"] = model.tools(shaped)
    return model.numbers(shaped)


def _says_nothing(name: str, value: Any) -> bool:
    return value is None or (name in _MAY_BE_EMPTY and value in ([], {}))


class _Asked:
    """A model that is asked something, by name and profile."""

    def __init__(self, name: str, profile: Profile) -> None:
        self._name = name
        self._profile = profile
        self._rules: HostedRules = profile.hosted

    def _refused(self, field: str, problem: str, instead: str) -> InvalidRequestError:
        return invalid(field, f"{self._name} on NVIDIA's hosted catalogue {problem}: {instead}")

    def message(self, message: Mapping[str, Any], field: str) -> dict[str, Any]:
        """Write one message."""
        role = message.get("role")
        role = "system" if role == "developer" else role
        if self._rules.roles is not None and role not in self._rules.roles:
            raise self._refused(
                f"{field}.role",
                f"takes no message of the role {role}",
                f"put its text into a user message, {_OTHER_MODEL} or {_OWN_NIM}",
            )
        written = {
            key: value
            for key, value in message.items()
            if key not in _REASONING and (value is not None or key == "content")
        }
        written["role"] = role
        if isinstance(written.get("content"), list):
            written["content"] = self._content(written["content"], role, f"{field}.content")
        thought = next((message[name] for name in _REASONING if message.get(name)), None)
        if thought and self._profile.echo_reasoning:
            written["reasoning_content"] = thought
        return written

    def _content(self, parts: list[Any], role: Any, field: str) -> str | list[Any]:
        media = [n for n, part in enumerate(parts) if part.get("type") != "text"]
        if not media:
            return "\n".join(str(part.get("text") or "") for part in parts)
        where = f"{field}[{media[0]}]"
        if role != "user":
            raise self._refused(
                where, f"takes only text of the role {role}", "put it into a user message"
            )
        if self._rules.string_content or self._profile.vision is False:
            kind = parts[media[0]].get("type")
            raise self._refused(
                where, f"takes only text, and no {kind}", "choose a model that can see"
            )
        return parts

    def check_images(self, messages: list[dict[str, Any]]) -> None:
        """Compare the images of a request with what the model takes."""
        limits = self._profile.images
        images = list(_images(messages))
        if limits is None or not images:
            return
        if limits.most is not None and len(images) > limits.most:
            raise self._refused(
                images[limits.most][0],
                f"takes {limits.most} in a request, and there are {len(images)}",
                f"send them one after another, or {_OTHER_MODEL}",
            )
        for place, url in images:
            self._check_inline(place, url, limits)
        if not limits.with_system and any(m["role"] == "system" for m in messages):
            raise self._refused(
                "messages", "takes no system message with an image", "put its text before the image"
            )

    def _check_inline(self, place: str, url: str, limits: ImageLimits) -> None:
        size = len(url.partition(",")[2]) if url.startswith("data:") else 0
        if limits.inline is not None and size > limits.inline:
            raise self._refused(
                place,
                f"takes {limits.inline} characters of base64 for an image, and it has {size}",
                f"make it smaller, send its URL, or {_OWN_NIM}",
            )

    def tools(self, body: Mapping[str, Any]) -> list[Any]:
        """Write the tools on offer."""
        if not self._rules.tools:
            raise self._refused("tools", "takes no tools", f"{_OTHER_MODEL} or {_OWN_NIM}")
        choice = body.get("tool_choice", "auto")
        known = self._rules.tool_choices
        if known is not None and (choice if isinstance(choice, str) else "named") not in known:
            raise self._refused(
                "tool_choice", f"does not have {choice!r}", f"it takes {', '.join(sorted(known))}"
            )
        return [self._tool(tool) for tool in body["tools"]]

    def _tool(self, tool: Any) -> Any:
        function = tool.get("function")
        if not isinstance(function, dict):
            return tool
        missing = {
            name: _UNSAID[name]
            for name in sorted(self._rules.tool_fields)
            if function.get(name) is None
        }
        return {**tool, "function": {**function, **missing}}

    def numbers(self, body: dict[str, Any]) -> dict[str, Any]:
        """Compare numbers with their ranges."""
        for name in ("max_tokens", "max_completion_tokens"):
            most, value = self._rules.max_tokens, body.get(name)
            if most is not None and isinstance(value, int) and value > most:
                raise self._refused(
                    name, f"takes {most} at most, and it is {value}", f"lower it, or {_OWN_NIM}"
                )
        seed = body.get("seed")
        if isinstance(seed, int) and seed < 0:
            raise self._refused("seed", f"takes no {seed}", "it must be 0 or more")
        temperature, allowed = body.get("temperature"), self._rules.temperature
        if allowed is None or not isinstance(temperature, int | float):
            return body
        if temperature > allowed.highest:
            raise self._refused(
                "temperature",
                f"takes {allowed.highest} at most, and it is {temperature}",
                f"lower it, or {_OWN_NIM}",
            )
        return {**body, **_GREEDY} if temperature == 0 and not allowed.zero else body


def _images(messages: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Find the images: where each stands, and its URL."""
    for n, message in enumerate(messages):
        content = message.get("content")
        for m, part in enumerate(content if isinstance(content, list) else ()):
            if part.get("type") == "image_url":
                image = part.get("image_url")
                url = image.get("url") if isinstance(image, dict) else image
                yield f"messages[{n}].content[{m}]", str(url)
