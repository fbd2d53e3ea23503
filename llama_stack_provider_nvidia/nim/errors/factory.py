"""Factory of errors by code: class, status and remedy come from the table."""

from typing import Any, cast

from .troubleshooting import BY_CODE
from .types import InvalidRequestError, NIMError, Quote, ServerError


def make(code: str, problem: str, **context: Any) -> NIMError:
    """Return the error for a cause; its message is the problem and the table's remedy.

    Args:
        code: A row of ``troubleshooting``.
        problem: What happened, as a sentence.
        context: Further arguments of ``NIMError``, such as ``model``, ``endpoint`` and ``field``.
    """
    cause = BY_CODE[code]
    return _made(code, f"{_sentence(problem, context.get('quote'))} {cause.remedy}", **context)


def invalid(field: str, problem: str, *, code: str = "invalid_field") -> InvalidRequestError:
    """Return the error for a request field that cannot be used as it is.

    Args:
        field: Path of the field as the caller wrote it, such as ``messages[0].content``.
        problem: What is wrong and the way out: the message ends with it.
        code: A row of ``troubleshooting``.
    """
    return cast(InvalidRequestError, _made(code, f"{field}: {problem}", field=field))


def malformed(
    problem: str,
    *,
    code: str = "unreadable_response",
    endpoint: str | None = None,
    quote: str | bytes | None = None,
) -> ServerError:
    """Return the error for a response that is not what the NIM's API defines.

    Args:
        problem: What is wrong with it, as a sentence; ``{quote}`` stands for the quote.
        code: A row of ``troubleshooting``.
        endpoint: Address of the NIM, where ``translated`` does not fill it in.
        quote: The response: its beginning is shown, without the credentials that may be in it.
    """
    shown = None if quote is None else Quote(quote)
    return cast(ServerError, make(code, problem, endpoint=endpoint, quote=shown))


def _made(code: str, message: str, **context: Any) -> NIMError:
    cause = BY_CODE[code]
    assert cause.kind is not None, f"{code} is no error"
    context.setdefault("status_code", cause.own_status)
    context.setdefault("openai_code", cause.openai_code)
    return cause.kind(message, code=code, **context)


def _sentence(text: str, quote: Quote | None) -> str:
    end = quote.shown() if quote is not None and text.endswith("{quote}") else text
    return text if end.endswith((".", "!", "?")) else text + "."
