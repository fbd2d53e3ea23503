"""Polling for responses of NVIDIA's cloud functions (NVCF) that are not ready: status 202."""

import asyncio
import re
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai

from .. import errors
from ..dialect import is_hosted

_STATUS_HOST = "https://api.nvcf.nvidia.com"
_STATUS_PATH = "/v2/nvcf/pexec/status/"
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 2.0
# Asking how it stands costs nothing and changes nothing.
_STATUS_RETRIES = 2
# It becomes part of a URL that the key is sent to.
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,128}")


async def poll_until_ready(
    client: openai.AsyncOpenAI,
    response: httpx.Response,
    *,
    endpoint: str,
    limit: float,
) -> httpx.Response:
    """Wait for the response to a request that the hosted catalogue has only accepted.

    NVIDIA's cloud functions answer 202 with an ``NVCF-REQID`` header while a model is busy or
    starting; the same key then gets the response from a status address.

    Args:
        client: The client that sent the request.
        response: Its response; anything but a 202 is given back as it is.
        endpoint: Address of the NIM: behind a proxy, the proxy has the status route too.
        limit: Seconds to wait at most.

    Returns:
        The response, with its body yet to be read.

    Raises:
        NIMTimeoutError: It did not come in that time.
        ServerError: The 202 does not say what to ask for.
    """
    waited_since = time.monotonic()
    wait = _FIRST_WAIT
    while response.status_code == 202:
        request_id = response.headers.get("nvcf-reqid", "")
        await response.aclose()
        if not _REQUEST_ID.fullmatch(request_id):
            raise errors.malformed("The NIM accepted the request and gave no id to ask for it.")
        if time.monotonic() - waited_since + wait > limit:
            raise errors.make(
                "hosted_result_timeout",
                f"The hosted model was not ready within {limit:g} seconds.",
                request_id=request_id,
            )
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
        polled: Any = await client.get(
            f"{_status_origin(endpoint)}{_STATUS_PATH}{request_id}",
            cast_to=httpx.Response,
            options={"max_retries": _STATUS_RETRIES},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        response = polled
    return response


def _status_origin(endpoint: str) -> str:
    if is_hosted(endpoint):
        return _STATUS_HOST
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"
