"""The fields of a call, whichever way the stack hands them over."""

from enum import Enum
from typing import Any

from pydantic import BaseModel


def plain_fields(params: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Reduce both call styles to plain data: keywords up to 0.2.24, one object since."""
    # Not the object's own dump: it would drop what a message's class adds to the declared one.
    given = fields if params is None else dict(params)
    return {name: _plain(value) for name, value in given.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
