"""JSON as it travels to and from a NIM: names of types, and of what cannot be read."""

from typing import Any

import msgspec

JSONObject = dict[str, Any]
"""A JSON object: a request body, a schema, a message."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The exceptions that decoders raise for bytes that they cannot read."""
