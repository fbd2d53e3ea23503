"""Convert the parameter types of tool definitions to JSON Schema."""

import ast
import json
import math

from ..nim.errors import InvalidRequestError, invalid
from ..nim.json_types import JSONObject
from ..nim.texts import shorten
from .structured import check_schema

_TYPES = {
    "array": "array",
    "bool": "boolean",
    "bytes": "string",
    "boolean": "boolean",
    "dict": "object",
    "double": "number",
    "float": "number",
    "frozenset": "array",
    "int": "integer",
    "integer": "integer",
    "iterable": "array",
    "list": "array",
    "long": "integer",
    "map": "object",
    "mapping": "object",
    "nonetype": "null",
    "null": "null",
    "number": "number",
    "object": "object",
    "path": "string",
    "sequence": "array",
    "set": "array",
    "str": "string",
    "string": "string",
    "text": "string",
    "tuple": "array",
}
_FORMATS = {
    "date": "date",
    "datetime": "date-time",
    "date-time": "date-time",
    "email": "email",
    "time": "time",
    "uri": "uri",
    "url": "uri",
    "uuid": "uuid",
}
# `None` is what a tool without a declared type has after Llama Stack turned it into text.
_ANYTHING = frozenset({"", "any", "none"})


def json_schema_type(param_type: str, field: str) -> JSONObject:
    """Convert a parameter's type to JSON Schema.

    Args:
        param_type: A JSON Schema type (``integer``), a Python type (``int``, ``list[str]``,
            ``str | None``, ``Literal['a', 'b']``), the text of a list of types, or a JSON schema
            as JSON text.
        field: Where it stands in the request, for the error.

    Raises:
        InvalidRequestError: It is none of these.
    """
    text = param_type.strip()
    if text.startswith("{"):
        return _schema(text, field)
    if text.lower() in _FORMATS or text.lower() in _ANYTHING:
        return _named(text, field)
    try:
        return _from_node(ast.parse(text, mode="eval").body, field)
    except InvalidRequestError:
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise _unknown(param_type, field) from error


def _schema(text: str, field: str) -> JSONObject:
    try:
        schema: JSONObject = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(field, f"is not a JSON schema: {error}") from error
    if schema:
        check_schema(schema, field)
    return schema


def _from_node(node: ast.expr, field: str) -> JSONObject:
    match node:
        case ast.Name(id=name):
            return _named(name, field)
        case ast.Attribute(attr=name):  # typing.List, datetime.date
            return _named(name, field)
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(name)):  # a forward reference
            return _named(name, field)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([_from_node(left, field), _from_node(right, field)])
        case ast.List(elts=elements) if elements:
            return _union([_from_node(element, field) for element in elements])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            arguments = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
            if arguments:
                return _generic(name, arguments, field)
    raise _unknown(ast.unparse(node), field)


def _generic(name: str, arguments: list[ast.expr], field: str) -> JSONObject:
    kind = name.lower()
    if kind == "literal":
        values = [ast.literal_eval(argument) for argument in arguments]
        types = {_JSON_NAMES.get(type(value)) for value in values}
        if None in types or any(value in (math.inf, -math.inf) for value in values):
            raise _unknown(name, field)
        schema: JSONObject = {"enum": values}
        return {"type": types.pop(), **schema} if len(types) == 1 else schema
    if kind == "annotated":
        return _from_node(arguments[0], field)
    if kind == "optional":
        return _union([_from_node(arguments[0], field), {"type": "null"}])
    inner = [
        _from_node(argument, field)
        for argument in arguments
        if not (isinstance(argument, ast.Constant) and argument.value is ...)
    ]
    if kind == "union":
        return _union(inner)
    schema = _named(name, field)
    if schema.get("type") == "array" and len(inner) > 1:
        schema["prefixItems"] = inner
    elif schema.get("type") == "array" and any(inner):
        schema["items"] = inner[0]
    elif schema.get("type") == "object" and len(inner) == 2 and inner[1]:
        schema["additionalProperties"] = inner[1]
    return schema


_JSON_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _named(name: str, field: str) -> JSONObject:
    kind = name.lower()
    if kind in _ANYTHING:
        return {}
    if kind in _FORMATS:
        return {"type": "string", "format": _FORMATS[kind]}
    if kind in _TYPES:
        return {"type": _TYPES[kind]}
    raise _unknown(name, field)


def _union(schemas: list[JSONObject]) -> JSONObject:
    if not all(schemas):
        return {}
    members: list[JSONObject] = []
    for schema in schemas:
        for member in _members(schema):
            if member not in members:
                members.append(member)
    if len(members) == 1:
        return members[0]
    if all(set(member) == {"type"} and isinstance(member["type"], str) for member in members):
        return {"type": [member["type"] for member in members]}
    return {"anyOf": members}


def _members(schema: JSONObject) -> list[JSONObject]:
    if "anyOf" in schema:
        return list(schema["anyOf"])
    types = schema.get("type")
    return [{"type": name} for name in types] if isinstance(types, list) else [schema]


def _unknown(text: str, field: str) -> InvalidRequestError:
    shown = shorten(text, 80)
    return invalid(
        field,
        f"{shown!r} is not a type: use a JSON Schema type (string, integer, number, boolean, "
        "array, object), a Python type such as list[str], or a JSON schema",
    )
