"""What came in place of an answer: an error report, or nothing that is known."""

import msgspec

from .. import error_bodies, errors

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoders raise for bytes that they cannot read."""


def unreadable(data: bytes, error: Exception) -> errors.ServerError:
    """Make the error for a body that a decoder cannot read."""
    return errors.malformed(
        f"The NIM's answer cannot be read: {error}. It begins with {data[:80]!r}."
    )


def reported(data: bytes, missing: str) -> errors.NIMError:
    """Make the error for JSON that is an error report, or nothing known.

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
    return errors.malformed(f"The NIM sent an answer without {missing}: {data[:80]!r}.")
