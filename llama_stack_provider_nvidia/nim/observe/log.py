"""One record in Python's log for each request to a NIM."""

import logging
from typing import Any

from ..error_bodies import printable
from ..transport.exchange import Exchange, Outcome

LOGGER = "llama_stack_provider_nvidia.requests"
"""The name of the logger: answers are INFO, and failures WARNING."""

_logger = logging.getLogger(LOGGER)


class RequestLog:
    """Writes the records."""

    def ended(self, exchange: Exchange) -> None:
        """Write the record of a request."""
        level = logging.WARNING if exchange.outcome is Outcome.FAILED else logging.INFO
        if _logger.isEnabledFor(level):
            fields = fields_of(exchange)
            # Names in it are the caller's and the NIM's: none of them begins a new line.
            _logger.log(level, printable(text_of(fields)), extra=fields)


REQUEST_LOG = RequestLog()


def fields_of(exchange: Exchange) -> dict[str, Any]:
    """Give what a record has beside its text; None stands for what is not known."""
    read, written = exchange.tokens
    return {
        "nim_operation": str(exchange.operation),
        "nim_model": exchange.model,
        "nim_endpoint": exchange.endpoint,
        "nim_dialect": None if exchange.dialect is None else str(exchange.dialect),
        "nim_stream": exchange.streamed,
        "nim_outcome": str(exchange.outcome),
        "nim_status": exchange.status,
        "nim_error": exchange.error,
        "nim_tries": exchange.tries,
        "nim_first_token_s": _rounded(exchange.first_s),
        "nim_duration_s": _rounded(exchange.duration_s),
        "nim_prompt_tokens": read,
        "nim_completion_tokens": written,
        "nim_finish_reason": ",".join(exchange.finish_reasons) or None,
        "nim_request_id": exchange.request_id,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


_HOW = {Outcome.OK: "answered", Outcome.FAILED: "failed", Outcome.LEFT: "left by the caller"}


def text_of(fields: dict[str, Any]) -> str:
    """Write a record's fields for people.

    Free of square brackets, which some servers' consoles take for markup.
    """
    get = fields.__getitem__
    dialect = f" ({get('nim_dialect')})" if get("nim_dialect") else ""
    how = f"{_HOW[get('nim_outcome')]} after {get('nim_duration_s'):.3f} s"
    parts = [how]
    if get("nim_error"):
        parts.append(get("nim_error"))
    if get("nim_status") is not None:
        parts.append(f"status {get('nim_status')}")
    if get("nim_tries") > 1:
        parts.append(f"{get('nim_tries')} tries")
    if get("nim_first_token_s") is not None:
        parts.append(f"first token after {get('nim_first_token_s'):.3f} s")
    if get("nim_prompt_tokens") is not None:
        parts.append(f"{get('nim_prompt_tokens')} prompt tokens")
    if get("nim_completion_tokens") is not None:
        parts.append(f"{get('nim_completion_tokens')} completion tokens")
    if get("nim_finish_reason"):
        parts.append(f"finish {get('nim_finish_reason')}")
    if get("nim_request_id"):
        parts.append(f"request id {get('nim_request_id')}")
    kind = "streamed " if get("nim_stream") else ""
    where = f"{kind}{get('nim_operation')} {get('nim_model')} at {get('nim_endpoint')}{dialect}"
    return f"{where}: {', '.join(parts)}"
