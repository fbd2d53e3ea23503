import logging
import sys

import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.stack import tracebacks


class Drawing(logging.Handler):
    """As rich's handler: it keeps what it is to draw."""

    rich_tracebacks = True

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append((record.msg, record.exc_info))


@pytest.fixture
def handler(monkeypatch):
    made = Drawing()
    monkeypatch.setattr(logging.getLogger(), "handlers", [made, logging.NullHandler()])
    tracebacks.leave_out_tracebacks.cache_clear()
    tracebacks.leave_out_tracebacks()
    yield made
    tracebacks.leave_out_tracebacks.cache_clear()


def log(error, message="Exception in %s\n", *args):
    logger = logging.getLogger("tests.server")
    try:
        raise error
    except Exception:
        logger.error(message, *args, exc_info=True)


def test_our_errors_are_shown_by_their_text(handler):
    log(errors.make("nim_failed", "NIM answered 500."), "Exception in %s\n", "ASGI")
    ((message, exc_info),) = handler.seen
    assert exc_info is None
    assert message.startswith("Exception in ASGI: ServerError: NIM answered 500.")
    assert "(code nim_failed)" in message


def test_a_record_of_structlog_stays_one(handler):
    error = errors.invalid("stop", "is empty")
    log(error, {"event": "Error in SSE generator", "category": "server", "exc_info": True})
    ((message, exc_info),) = handler.seen
    assert exc_info is None
    assert message == {
        "event": f"Error in SSE generator: InvalidRequestError: {error}",
        "category": "server",
    }


def test_other_errors_keep_their_traceback(handler):
    log(ValueError("not ours"), "Exception")
    ((message, exc_info),) = handler.seen
    assert message == "Exception"
    assert exc_info[0] is ValueError


def test_other_handlers_are_left_alone(handler):
    assert handler.filters
    assert not any(one.filters for one in logging.getLogger().handlers if one is not handler)


def test_a_record_without_an_error_is_left_alone(handler):
    logging.getLogger("tests.server").warning("well")
    assert handler.seen == [("well", None)]
    assert sys.exc_info() == (None, None, None)
