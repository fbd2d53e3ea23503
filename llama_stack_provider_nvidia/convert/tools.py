"""Convert tool definitions and tool choices."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from .. import stack
from ..nim.errors import invalid
from ..nim.json_types import JSONObject
from .messages import tool_name
from .native_types import ToolConfig, ToolDefinition
from .param_types import json_schema_type

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionToolParam
    from openai.types.shared_params import FunctionDefinition

# The parameter of each built-in tool of Llama models; the stack's definitions may leave it out.
_BUILTIN_PARAMETERS = {
    "brave_search": "query",
    "wolfram_alpha": "query",
    "photogen": "query",
    "code_interpreter": "code",
}


def convert_tool_definition(tool: ToolDefinition, field: str = "tool") -> "ChatCompletionToolParam":
    """Convert a tool definition to a function tool.

    Raises:
        InvalidRequestError: A parameter's type is no type; the text names the parameter.
    """
    function: FunctionDefinition = {"name": tool_name(tool.tool_name)}
    if not function["name"]:
        raise invalid(f"{field}.tool_name", "is empty")
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = _parameters(tool, field)
    return {"type": "function", "function": function}


def _parameters(tool: ToolDefinition, field: str) -> JSONObject:
    # An object without properties is what a tool without parameters takes; hosted models want
    # to be told so.
    properties: JSONObject = {}
    required = []
    if not tool.parameters and isinstance(tool.tool_name, Enum):
        name = _BUILTIN_PARAMETERS[tool.tool_name.value]
        return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    for name, parameter in (tool.parameters or {}).items():
        schema = json_schema_type(parameter.param_type, f"{field}.parameters[{name!r}].param_type")
        if parameter.description:
            schema["description"] = parameter.description
        if parameter.default is not None:
            schema["default"] = parameter.default
        if parameter.required:
            required.append(name)
        properties[name] = schema
    schema = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def convert_tools(tools: Sequence[ToolDefinition] | None, config: ToolConfig | None) -> JSONObject:
    """Convert the tools of a request and the choice among them.

    Returns:
        ``tools`` and ``tool_choice``, or nothing where there are no tools: servers refuse a
        choice without tools, and an empty list.

    Raises:
        InvalidRequestError: Two tools share a name, the chosen one does not exist, or the
            system message is to replace what the NIM's chat template writes.
    """
    if not tools:
        choice = config.tool_choice if config is not None else None
        shown = choice.value if isinstance(choice, Enum) else choice
        if not (choice is None or (isinstance(choice, Enum) and shown in ("auto", "none"))):
            raise invalid("tool_config.tool_choice", f"is `{shown}`, but there are no tools")
        return {}
    converted = [convert_tool_definition(tool, f"tools[{n}]") for n, tool in enumerate(tools)]
    names = [tool["function"]["name"] for tool in converted]
    for n, name in enumerate(names):
        if name in names[:n]:
            raise invalid(f"tools[{n}].tool_name", f"{name!r} stands twice: names must differ")
    if config is not None and config.system_message_behavior == stack.SystemMessageBehavior.replace:
        raise invalid(
            "tool_config.system_message_behavior",
            "`replace` cannot be had from a NIM: its chat template always tells the model about "
            "the tools. Use `append`, or send no tools",
        )
    return {"tools": converted, "tool_choice": _choice(config, names)}


def _choice(config: ToolConfig | None, names: list[str]) -> str | JSONObject:
    choice = config.tool_choice if config is not None else None
    if choice is None:
        return "auto"
    if isinstance(choice, Enum) and choice.value in ("auto", "required", "none"):
        return str(choice.value)
    chosen = tool_name(choice)
    if chosen not in names:
        raise invalid(
            "tool_config.tool_choice", f"{chosen!r} is none of the tools {', '.join(names)}"
        )
    return {"type": "function", "function": {"name": chosen}}
