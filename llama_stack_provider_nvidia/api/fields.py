"""Fields of an OpenAI-style call, passed as keyword arguments or as one object."""

from collections.abc import Mapping
from enum import Enum

from pydantic import BaseModel

from ..nim.json_types import JSONObject
from ..nim.transport.request_body import MAX_NESTING, unsendable


def plain_fields(params: BaseModel | None, fields: Mapping[str, object]) -> JSONObject:
    """Return the fields of a call as plain data, without those that are None.

    Args:
        params: The one object of releases from 0.3 on.
        fields: The keywords of releases up to 0.2.24.

    Raises:
        InvalidRequestError: A value cannot be written as JSON.
    """
    # Not the object's own dump: it would drop what a message's class adds to the declared one.
    given = fields if params is None else dict(params)
    try:
        return {name: _plain(value, 1) for name, value in given.items() if value is not None}
    except (ValueError, RecursionError) as error:
        raise unsendable(given, error) from None


def _plain(value: object, depth: int) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | dict):
        if depth > MAX_NESTING:
            raise ValueError
        if isinstance(value, list):
            return [_plain(item, depth + 1) for item in value]
        return {name: _plain(item, depth + 1) for name, item in value.items()}
    return value
