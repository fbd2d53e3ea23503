"""Reading a whole answer."""

import contextlib
from collections.abc import Iterator

import httpx

from .. import errors
from ..transport.exchange import Exchange, exchange_of


@contextlib.contextmanager
def reading(model: str | None, endpoint: str, response: httpx.Response) -> Iterator[Exchange]:
    """Read a whole answer inside; its end is the exchange's, and so are its errors.

    Args:
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        response: With its body.

    Yields:
        The exchange, to be told what has been read.
    """
    exchange = exchange_of(response)
    try:
        with errors.translated(model, endpoint, response):
            yield exchange
    except BaseException as error:
        exchange.finish(error)
        raise
    exchange.finish()
