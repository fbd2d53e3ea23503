"""One record in Python's log for each request to a NIM."""

import logging

from ..errors.redact import printable
from ..json_types import JSONObject
from ..transport.request_record import Outcome, RequestRecord

LOGGER = "llama_stack_provider_nvidia.requests"
"""The name of the logger: responses are INFO, and failures WARNING."""

_logger = logging.getLogger(LOGGER)


class RequestLog:
    """Writes a record when a request has ended."""

    def on_end(self, record: RequestRecord) -> None:
        """Write the log record of a request."""
        level = logging.WARNING if record.outcome is Outcome.FAILED else logging.INFO
        if _logger.isEnabledFor(level):
            fields = fields_of(record)
            # Names in it are the caller's and the NIM's: none of them begins a new line.
            _logger.log(level, printable(text_of(fields)), extra=fields)


REQUEST_LOG = RequestLog()


def fields_of(record: RequestRecord) -> JSONObject:
    """Return the fields of a log record beside its text; None stands for what is not known."""
    read, written = record.tokens
    return {
        "nim_operation": str(record.operation),
        "nim_model": record.model,
        "nim_endpoint": record.endpoint,
        "nim_dialect": None if record.dialect is None else str(record.dialect),
        "nim_stream": record.streamed,
        "nim_outcome": str(record.outcome),
        "nim_status": record.status,
        "nim_error": record.error,
        "nim_error_code": record.error_code,
        "nim_tries": record.attempts,
        "nim_first_token_s": _rounded(record.first_s),
        "nim_duration_s": _rounded(record.duration_s),
        "nim_prompt_tokens": read,
        "nim_completion_tokens": written,
        "nim_finish_reason": ",".join(record.finish_reasons) or None,
        "nim_request_id": record.request_id,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


_HOW = {Outcome.OK: "answered", Outcome.FAILED: "failed", Outcome.LEFT: "left by the caller"}


def text_of(fields: JSONObject) -> str:
    """Return the text of a log record with these fields.

    It has no square brackets, which some servers' consoles take for markup.
    """
    get = fields.__getitem__
    dialect = f" ({get('nim_dialect')})" if get("nim_dialect") else ""
    how = f"{_HOW[get('nim_outcome')]} after {get('nim_duration_s'):.3f} s"
    parts = [how]
    if get("nim_error"):
        parts.append(get("nim_error"))
    if get("nim_error_code"):
        parts.append(f"code {get('nim_error_code')}")
    if get("nim_status") is not None:
        parts.append(f"status {get('nim_status')}")
    if get("nim_tries") > 1:
        parts.append(f"{get('nim_tries')} attempts")
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
