"""Registration of this package's errors with the error classes of the installed stack."""

from ..nim.errors import AuthenticationError, ModelNotFoundError, ModelWithdrawnError
from . import imports


def tie_errors() -> None:
    """Let our errors be of the stack's classes too, where the installed release has them."""
    if (authentication_required := imports.find("AuthenticationRequiredError")) is not None:
        AuthenticationError.also_as(authentication_required)
    if (not_found := imports.find("ResourceNotFoundError")) is not None:
        ModelNotFoundError.also_as(not_found)
        ModelWithdrawnError.also_as(not_found)


def not_found_error() -> type[Exception]:
    """Return the stack's error for what is not there: a ``ValueError`` before 0.2.18."""
    error: type[Exception] = imports.find("ResourceNotFoundError") or ValueError
    return error
