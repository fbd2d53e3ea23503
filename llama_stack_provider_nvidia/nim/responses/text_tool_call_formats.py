"""Decode the tool calls in a model's text: JSON, Python or a mixture of them."""

import ast
import json
import warnings
from collections.abc import Collection
from typing import Any, Literal, NoReturn

Call = tuple[str, str]
"""A tool's name, and the JSON text of its arguments."""
Kind = Literal["json", "function", "python", "dotted"]
"""How a call is written: see ``text_tool_call_parser``, which finds where it begins and ends."""

CODE_TOOL = "code_interpreter"
# A tool's definition has a name and parameters too, and a description, which no call has.
_CALL_FIELDS = {"type", "id", "name", "function", "parameters", "arguments"}


def calls_in(
    kind: Kind, whole: str, body: str, offered: Collection[str], *, name: str, bare: bool
) -> list[Call]:
    """Read a call, or several that are written as one.

    Args:
        kind: How it is written.
        whole: Its text.
        body: The part in brackets, with the brackets.
        offered: Names of the tools in the request.
        name: The tool, where a tag names it.
        bare: It stands without a tag, and so must have arguments.

    Returns:
        The calls; none if it is not readable, or if one of the tools was not offered.
    """
    try:
        # What looks like Python may hold escapes that Python warns of.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            match kind:
                case "json":
                    calls = _of_json(body, bare=bare)
                case "function":
                    calls = [(name, _json_or_python(body))]
                case "python":
                    calls = _of_python(whole)
                case _:
                    calls = _of_dotted(whole)
        known = all(tool in offered for tool, _ in calls)
        return [(tool, _dumped(arguments)) for tool, arguments in calls] if known else []
    # Reading a text that only resembles JSON or Python fails in all of these ways. A SystemError
    # is Python's own fault, which its parser has when several threads use it.
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, SystemError):
        return []


def code_call(text: str) -> list[Call]:
    """Return the call of the code interpreter; none if there is no code."""
    code = text.strip()
    return [(CODE_TOOL, _dumped({"code": code}))] if code else []


def _of_json(text: str, *, bare: bool) -> list[tuple[str, Any]]:
    """Read a call or a list of them; a bare one, without a tag, must have arguments."""
    value = _decoded(text)
    return [_of_object(item, bare) for item in (value if isinstance(value, list) else [value])]


def _of_object(value: Any, bare: bool) -> tuple[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no call")
    inner = value["function"] if isinstance(value.get("function"), dict) else value
    given = [inner[key] for key in ("parameters", "arguments") if key in inner]
    name = inner.get("name")
    if (
        not isinstance(name, str)
        or len(given) > 1
        or (bare and not given)
        or not value.keys() | inner.keys() <= _CALL_FIELDS
    ):
        raise ValueError("no call, or more than one")
    arguments = given[0] if given else None
    if isinstance(arguments, str):
        arguments = _decoded(arguments)
    return name, {} if arguments is None else arguments


def _json_or_python(text: str) -> Any:
    try:
        return _decoded(text)
    except ValueError:
        return ast.literal_eval(text)  # {'a': 'x'}


def _of_python(text: str) -> list[tuple[str, Any]]:
    # llama_models reads this form and the next well. Of the others it finds the first call
    # only, and changes apostrophes in arguments. Imported here: few texts come this way, and
    # the import takes half a second.
    from llama_models.llama3 import tool_utils

    if not tool_utils.is_valid_python_list(text):
        return []
    calls: list[tuple[str, Any]] = tool_utils.parse_python_list_for_function_calls(text)
    return calls


def _of_dotted(text: str) -> list[tuple[str, Any]]:
    from llama_models.llama3.tool_utils import ToolUtils

    found = ToolUtils.maybe_extract_builtin_tool_call(text)
    if found is None or text != f'{found[0]}.call(query="{found[1]}")':
        return []
    return [(found[0], {"query": found[1]})]


def _decoded(text: str) -> Any:
    """Decode JSON; models break lines within strings, which JSON does not allow."""
    return json.loads(text, strict=False, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _dumped(arguments: Any) -> str:
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise TypeError("arguments must be an object")
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair cannot be sent but escaped.
    return text if text.isascii() or _is_sendable(text) else json.dumps(arguments)


def _is_sendable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
