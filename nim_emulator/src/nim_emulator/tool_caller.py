"""Chooses the tools that are called and makes up their arguments."""

from __future__ import annotations

import random
import re
from typing import Any

from .constrained_output import Hints, UnsatisfiableError, instance_for, merge, validator_for
from .errors import RefusalError
from .generation_request import GenerationRequest, Prompt, ToolSpec, seeded_random

_WORD = re.compile(r"[^\W\d_]{4,}")
_MOST_CALLS = 8


def decide_calls(
    request: GenerationRequest, prompt: Prompt, index: int
) -> list[tuple[str, dict[str, Any]]]:
    """Decide which tools are called.

    With ``auto``, a tool is called when the user has the last word and that text has a word of
    more than three letters in common with the tool's name or description. ``required`` and a
    named tool always give a call. A tool with exactly one required text argument is called
    once per name in the text, where the request allows parallel calls.

    Args:
        request: The request.
        prompt: Its prompt.
        index: Number of the response, for several responses to one request.

    Returns:
        Pairs of name and arguments; empty when a text is to be written.

    Raises:
        RefusalError: The parameters of a tool are not a valid schema, or allow no arguments.
    """
    tools = [tool for tool in request.tools if request.tool_choice != "auto" or _fits(tool, prompt)]
    if request.tool_choice != "auto" and request.tools:
        tools = [tool for tool in tools if _fits(tool, prompt)] or [request.tools[0]]
    elif prompt.tool_results or request.constraint is not None:
        return []
    hints = Hints.of(prompt.text)
    calls: list[tuple[str, dict[str, Any]]] = []
    for tool in tools:
        sets = _argument_sets(tool, hints, seeded_random(request, prompt, "tool", index))
        calls += [(tool.name, arguments) for arguments in sets]
    return calls[: _MOST_CALLS if request.parallel_tool_calls else 1]


def _fits(tool: ToolSpec, prompt: Prompt) -> bool:
    text = prompt.text.lower()
    offered = re.sub(r"[_\W]", " ", f"{tool.name} {tool.description}").lower()
    said = set(_WORD.findall(text))
    return tool.name.lower() in text or bool(said & set(_WORD.findall(offered)) - _EMPTY_WORDS)


# Words of most descriptions and of most questions: they say nothing about the tool.
_EMPTY_WORDS = frozenset(
    _WORD.findall(
        "with from this that what when where which your have will would about given into gets "
        "returns return does some tell please using"
    )
)


def _argument_sets(tool: ToolSpec, hints: Hints, random_: random.Random) -> list[dict[str, Any]]:
    schema = merge({"type": "object"}, tool.parameters)
    try:
        validator = validator_for(schema)
        instance = instance_for(schema, hints, random_, optional=False)
    except UnsatisfiableError as error:
        raise RefusalError(
            f"Invalid parameters of tool '{tool.name}': {error}.", param="tools"
        ) from None
    slot = _text_slot(tool.parameters)
    if slot is None or len(hints.names) < 2:
        return [instance]
    sets = [{**instance, slot: name} for name in hints.names]
    return [item for item in sets if validator.is_valid(item)] or [instance]


def _text_slot(schema: dict[str, Any] | bool) -> str | None:
    """Return the one required free-text argument, None when there is not exactly one."""
    if not isinstance(schema, dict):
        return None
    properties = schema.get("properties", {})
    slots = [
        name
        for name in schema.get("required", ())
        if isinstance(properties.get(name), dict)
        and properties[name].get("type") == "string"
        and not properties[name].keys() & {"enum", "const", "format", "pattern"}
    ]
    return slots[0] if len(slots) == 1 else None
