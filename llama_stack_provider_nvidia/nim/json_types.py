"""Names for JSON as it travels to and from a NIM."""

from typing import Any

JSONObject = dict[str, Any]
"""A JSON object: a request body, a schema, a message."""
