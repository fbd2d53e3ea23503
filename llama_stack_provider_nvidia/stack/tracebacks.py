"""Keep servers from drawing tracebacks of our errors.

Servers from 0.5 on, and OGX, log an error with rich's handler, which draws every frame of it with
its source lines: 5 CPU seconds for each refused request (measured on 0.7.3 and OGX 1.5.0), in which
the server answers nobody. The text of our errors says all, and the server prints the traceback by
itself as well.
"""

import functools
import logging

from ..nim.errors import NIMError


@functools.cache
def leave_out_tracebacks() -> None:
    """Let the server's log show our errors by their texts alone.

    To be called with the first request: until then a server may replace its handlers.
    """
    for handler in logging.getLogger().handlers:
        if getattr(handler, "rich_tracebacks", False):
            handler.addFilter(_show_text)


def _show_text(record: logging.LogRecord) -> bool:
    """Put an error's text in the place of its traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, NIMError):
        shown = f"{type(error).__name__}: {error}"
        if isinstance(record.msg, dict):  # structlog's records
            kept = {name: value for name, value in record.msg.items() if name != "exc_info"}
            record.msg = {**kept, "event": f"{kept.get('event', '')}: {shown}"}
        else:
            record.msg = f"{record.getMessage().rstrip()}: {shown}"
            record.args = None
        record.exc_info = record.exc_text = None
    return True
