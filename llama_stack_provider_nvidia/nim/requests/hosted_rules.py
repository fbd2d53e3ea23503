"""Rewriting of requests for NVIDIA's hosted catalogue, whose schemas are closed, one per model.

What can be written in another way with the same meaning is rewritten. Nothing is refused here:
schemas change, so a request is sent, and ``refusals`` explains what the catalogue refuses.
"""

from collections.abc import Mapping
from typing import Any

from ..json_types import JSONObject
from ..model_facts.profile import HostedRules, Profile

# An empty list or mapping means as much as none, and some schemas refuse it.
_MAY_BE_EMPTY = frozenset({"stop", "tools", "logit_bias"})
# These say how tools are used, and nothing without any.
_ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})
NOOP_TOOL_CHOICES = ("auto", "none", True, False)
_REASONING_FIELDS = ("reasoning_content", "reasoning")
OPENAI_DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "parameters": {"type": "object", "properties": {}},
}
"""The defaults of fields that a function's definition leaves out, by OpenAI's API reference."""
# The most probable token, always, for schemas without temperature 0: at 0.01 it has next to all
# of the probability, and then nucleus sampling keeps none but it.
_GREEDY = {"temperature": 0.01, "top_p": 0.01}


def apply_hosted_rules(body: Mapping[str, Any], profile: Profile) -> JSONObject:
    """Return a request as the hosted catalogue takes it for one family.

    Rewritten, with the same meaning:

    * nulls, and empty ``stop``, ``tools`` and ``logit_bias``, are left out, as is what says how
      tools are used where there are none;
    * ``stream`` is always set: some models stream by default;
    * lists of text parts become one string, a part per line;
    * the role ``developer`` becomes ``system``, its older name;
    * earlier reasoning in the history is left out, or sent as ``reasoning_content`` where the
      schema has it: chat templates leave it out as well;
    * a tool's missing ``description`` or ``parameters`` are written out where they must be;
    * temperature 0 becomes another way to choose the most probable token where 0 is refused.

    Args:
        body: A chat or text completion request from ``map_fields``.
        profile: What the model can do.

    Returns:
        A new body.
    """
    written = {key: value for key, value in body.items() if not _says_nothing(key, value)}
    if "tools" not in written:
        for name in _ABOUT_TOOLS & written.keys():
            if written[name] in NOOP_TOOL_CHOICES:
                del written[name]
    written.setdefault("stream", False)
    request = HostedRequest(profile)
    if "messages" in written:
        written["messages"] = [request.message(message) for message in written["messages"]]
    if "tools" in written:
        written["tools"] = [request.tool(tool) for tool in written["tools"]]
    return request.sampling(written)


def _says_nothing(name: str, value: Any) -> bool:
    return value is None or (name in _MAY_BE_EMPTY and value in ([], {}))


class HostedRequest:
    """Rewrites the parts of a request to one model."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._rules: HostedRules = profile.hosted

    def message(self, message: Mapping[str, Any]) -> JSONObject:
        """Return one message as the catalogue takes it."""
        role = message.get("role")
        written = {
            key: value
            for key, value in message.items()
            if key not in _REASONING_FIELDS and (value is not None or key == "content")
        }
        written["role"] = "system" if role == "developer" else role
        content = written.get("content")
        if isinstance(content, list) and all(part.get("type") == "text" for part in content):
            written["content"] = "\n".join(str(part.get("text") or "") for part in content)
        reasoning = next((message[name] for name in _REASONING_FIELDS if message.get(name)), None)
        if reasoning and self._profile.accepts_reasoning_history:
            written["reasoning_content"] = reasoning
        return written

    def tool(self, tool: Any) -> Any:
        """Return one tool with the fields that its schema requires."""
        function = tool.get("function")
        if not isinstance(function, dict):
            return tool
        missing = {
            name: OPENAI_DEFAULTS[name]
            for name in sorted(self._rules.tool_fields)
            if function.get(name) is None
        }
        return {**tool, "function": {**function, **missing}}

    def sampling(self, body: JSONObject) -> JSONObject:
        """Return the body with greedy sampling written the way that the schema takes it."""
        temperature, allowed = body.get("temperature"), self._rules.temperature
        greedy = isinstance(temperature, int | float) and temperature == 0
        return {**body, **_GREEDY} if greedy and allowed and not allowed.zero else body
