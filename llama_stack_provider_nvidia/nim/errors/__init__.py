"""Errors: the tree of classes, the table of codes, and the mapping from HTTP responses."""

from .factory import invalid, make, malformed
from .from_http import from_report, from_status, translated
from .types import (
    AuthenticationError,
    InvalidRequestError,
    ModelNotFoundError,
    ModelWithdrawnError,
    NIMConnectionError,
    NIMError,
    NIMTimeoutError,
    PermissionDeniedError,
    Quote,
    RateLimitError,
    ServerError,
)

__all__ = [
    "AuthenticationError",
    "InvalidRequestError",
    "ModelNotFoundError",
    "ModelWithdrawnError",
    "NIMConnectionError",
    "NIMError",
    "NIMTimeoutError",
    "PermissionDeniedError",
    "Quote",
    "RateLimitError",
    "ServerError",
    "from_report",
    "from_status",
    "invalid",
    "make",
    "malformed",
    "translated",
]
