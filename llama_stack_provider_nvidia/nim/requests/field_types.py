"""Types of the request fields that are read here; a NIM validates all others.

Servers check the fields of OpenAI's API, and hand on others as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import invalid


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int)


_FieldType = tuple[Callable[[Any], bool], str]
_OBJECT: _FieldType = (_is_object, "an object")
_TEXT: _FieldType = (_is_text, "a string")
_TEXTS: _FieldType = (_is_texts, "a list of strings")
_OBJECTS: _FieldType = (_is_objects, "a list of objects")

_FIELD_TYPES: Mapping[str, _FieldType] = {
    "messages": _OBJECTS,
    "tools": _OBJECTS,
    "n": (_is_count, "a number"),
    "response_format": _OBJECT,
    "stream_options": _OBJECT,
    "structured_outputs": _OBJECT,
    "nvext": _OBJECT,
    "chat_template_kwargs": _OBJECT,
    "chat_template_args": _OBJECT,
}
_CONSTRAINTS: Mapping[str, _FieldType] = {"regex": _TEXT, "choice": _TEXTS, "grammar": _TEXT}
_GUIDED = {f"guided_{name}": kind for name, kind in _CONSTRAINTS.items()}


def validate_field_types(body: Mapping[str, Any]) -> None:
    """Validate the fields that are read here, wherever a generation of NIM has them.

    Raises:
        InvalidRequestError: One is of another type; the text names it.
    """
    for field, value, (fits, expected) in _typed_fields(body):
        if value is not None and not fits(value):
            raise invalid(field, f"must be {expected}")


def _typed_fields(body: Mapping[str, Any]) -> Iterator[tuple[str, Any, _FieldType]]:
    for name, kind in {**_FIELD_TYPES, **_GUIDED}.items():
        if name in body:
            yield name, body[name], kind
    for holder, kinds in (("structured_outputs", _CONSTRAINTS), ("nvext", _GUIDED)):
        for name, kind in kinds.items():
            if name in (body.get(holder) or ()):
                yield f"{holder}.{name}", body[holder][name], kind
    for n, message in enumerate(body.get("messages") or ()):
        content = message.get("content")
        if isinstance(content, list):
            yield f"messages[{n}].content", content, _OBJECTS
    for n, tool in enumerate(body.get("tools") or ()):
        if tool.get("type", "function") == "function":
            function = tool.get("function")
            yield f"tools[{n}].function", function or "", _OBJECT
            yield f"tools[{n}].function.name", function.get("name") or 0, _TEXT
