"""Errors for bodies that are not a completion."""

import msgspec

from .. import errors
from ..errors import body as error_bodies
from ..json_types import UNREADABLE


def unreadable(data: bytes, error: Exception) -> errors.ServerError:
    """Return the error for a body that a decoder cannot read."""
    return errors.malformed(
        f"The NIM's response cannot be read: {error}. It begins with '{{quote}}'.", quote=data
    )


def reported(data: bytes, missing: str) -> errors.NIMError:
    """Return the error for JSON that is an error report, or nothing known.

    Args:
        data: The body.
        missing: What an answer would have, such as ``choices``.
    """
    try:
        body = msgspec.json.decode(data)
    except UNREADABLE as error:  # the decoder of structs passes over what it has no field for
        return unreadable(data, error)
    if error_bodies.message_in(body):
        return errors.from_report(body)
    return errors.malformed(f"The NIM sent a response without {missing}: '{{quote}}'.", quote=data)
