"""Copies of the openai SDK's requests: the first one to a path is the pattern of the others.

The SDK works out address, headers and time limits anew for each request, in a third of the time
that a request takes. They do not change, as long as its client does not.
"""

import json
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import openai

# The form in which httpx and the SDK write JSON.
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class _Pattern:
    """The common part of the requests of one client to one path."""

    def __init__(
        self, client: openai.AsyncOpenAI, request: httpx.Request, own_headers: Iterable[str]
    ) -> None:
        self.owner = _state(client)
        self.url = request.url
        self.extensions = request.extensions
        self.headers = request.headers.copy()
        for name in ("Content-Length", *own_headers):
            del self.headers[name]


def _state(client: openai.AsyncOpenAI) -> tuple[object, ...]:
    return client.api_key, client.base_url, client.timeout


class SDKRequests:
    """Makes POST requests as the clients of the openai SDK do."""

    def __init__(self) -> None:
        self._patterns: weakref.WeakKeyDictionary[openai.AsyncOpenAI, dict[str, _Pattern]] = (
            weakref.WeakKeyDictionary()
        )

    def copy(
        self,
        client: openai.AsyncOpenAI,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
    ) -> httpx.Request | None:
        """Return a request like the one before, or None: then the SDK has to make it.

        Args:
            client: Has the address, the key, the headers and the time limits.
            path: Below the client's address, or a full URL.
            body: To be written as JSON.
            headers: Of this request alone.

        Raises:
            ValueError: The body cannot be written as JSON.
        """
        pattern = self._patterns.get(client, {}).get(path)
        if pattern is None or pattern.owner != _state(client):
            return None
        try:
            content = _encoder.encode(body).encode()
        except TypeError:  # something that the SDK may know how to write
            return None
        # Of content, httpx would work out the headers that are known here.
        request = httpx.Request(
            "POST",
            pattern.url,
            headers=pattern.headers,
            stream=httpx.ByteStream(content),
            extensions=dict(pattern.extensions),
        )
        request.headers["Content-Length"] = str(len(content))
        if headers:
            request.headers.update(headers)
        return request

    def learn(
        self,
        client: openai.AsyncOpenAI,
        path: str,
        request: httpx.Request,
        headers: Mapping[str, str],
    ) -> None:
        """Take a request that the SDK has made as the pattern of those to come.

        Args:
            client: The SDK's client that made it.
            path: As that was asked for.
            request: With all headers that it was sent with.
            headers: Those that are of this request alone.
        """
        always = {name.lower() for name in client.default_headers}
        if not any(name.lower() in always for name in headers):
            self._patterns.setdefault(client, {})[path] = _Pattern(client, request, headers)
