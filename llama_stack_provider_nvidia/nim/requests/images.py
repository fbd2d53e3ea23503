"""Images in requests: validation of data URLs, and downloads for a NIM without internet access."""

import asyncio
import base64
import dataclasses
import re
import ssl
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from ..errors import InvalidRequestError, invalid
from .ssrf_guard import NotPublicError, Resolver, open_client, resolve

_MAX_REDIRECTS = 3
_MAX_DOWNLOADS = 4
_MAX_REQUESTS = 8
"""Requests of this server whose images are downloaded at a time; others wait."""
_HEADERS = {
    "Accept": "image/*",
    # A small compressed body can hold a large image of nothing.
    "Accept-Encoding": "identity",
    "User-Agent": "llama-stack-provider-nvidia",
}
_DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"BM"), "image/bmp"),
)


@dataclass(frozen=True)
class DownloadLimits:
    """Limits of the downloads of one request.

    Attributes:
        image_bytes: Size of the largest image.
        request_bytes: Size of all images of the request, each as often as it occurs.
        seconds: Time for all of them, waiting included.
        allow_private: Hosts of private networks may be asked too: for a closed network whose
            users may reach all of it anyway.
    """

    image_bytes: int = 20 * 1024 * 1024
    request_bytes: int = 64 * 1024 * 1024
    seconds: float = 30.0
    allow_private: bool = False


def image_type(head: bytes) -> str | None:
    """Return the media type of an image that vision models read, by its first bytes."""
    return next((kind for signature, kind in _SIGNATURES if signature.match(head)), None)


def validate_images(messages: Sequence[Any]) -> None:
    """Validate the images of OpenAI chat messages.

    Raises:
        InvalidRequestError: A data URL is not one of an image; ``field`` says which.
    """
    for i, j, url in _images(messages):
        validate_image(url, _field(i, j))


def validate_image(url: Any, field: str) -> None:
    """Validate the URL of one image.

    Args:
        url: An address, or a data URL.
        field: What the caller calls it.

    Raises:
        InvalidRequestError: It is neither; a data URL must hold an image as base64.
    """
    if not isinstance(url, str) or not url:
        raise invalid(
            field, "must hold an address or a data URL under `url`", code="invalid_image_url"
        )
    if not is_data_url(url):
        return
    head = _DATA_URL.match(url)
    if head is None:
        raise invalid(
            field,
            "is no data URL: it must begin data:image/<type>;base64,",
            code="invalid_image_url",
        )
    if not re.fullmatch(r"image/[\w.+-]+", head[1].strip()):
        kind = f"{head[1][:60]!r}" if head[1] else "no type"
        raise invalid(
            field,
            f"a data URL of an image must begin data:image/<type>, and has {kind}",
            code="invalid_image_url",
        )
    if not head[2].lower().endswith(";base64"):
        raise invalid(
            field,
            "must hold its data as base64: data:image/<type>;base64,...",
            code="invalid_base64_image",
        )
    if not _BASE64.fullmatch(url, head.end()) or (len(url) - head.end()) % 4:
        raise invalid(
            field,
            "what follows `base64,` is empty, cut off or no base64",
            code="invalid_base64_image",
        )


def is_data_url(url: str) -> bool:
    """Return whether a URL is a data URL."""
    return url[:5].lower() == "data:"


async def inline_images(
    messages: Sequence[Any],
    *,
    limits: DownloadLimits | None = None,
    resolver: Resolver = resolve,
    verify: bool | ssl.SSLContext = True,
) -> list[Any]:
    """Download the images that messages give by address, and replace them by data URLs.

    Args:
        messages: OpenAI chat messages, as dicts. They are not changed.
        limits: Limits of the downloads.
        resolver: Finds the addresses of hosts.
        verify: Whether, or by what, the certificates of servers are checked.

    Returns:
        The messages; those with images that were downloaded are new.

    Raises:
        InvalidRequestError: As from ``download_images``.
    """
    wanted = [(url, _field(i, j)) for i, j, url in _images(messages)]
    downloaded = await download_images(wanted, limits=limits, resolver=resolver, verify=verify)
    return [_with(downloaded, message) for message in messages]


async def download_images(
    images: Sequence[tuple[Any, str]],
    *,
    limits: DownloadLimits | None = None,
    resolver: Resolver = resolve,
    verify: bool | ssl.SSLContext = True,
) -> dict[str, str]:
    """Download images by their addresses.

    Addresses come from whoever sent the request, so only hosts of the public internet are
    asked, without credentials and without the environment's proxies. Four images of a request
    are downloaded at a time, and those of eight requests; an address that occurs again is
    downloaded once.

    Args:
        images: The URL of each image, and what the caller calls it. Data URLs are left out.
        limits: Limits of the downloads.
        resolver: Finds the addresses of hosts.
        verify: Whether, or by what, the certificates of servers are checked.

    Returns:
        Data URLs by address.

    Raises:
        InvalidRequestError: An address is not allowed, does not give an image in time, or the
            images are too large. ``field`` says which.
    """
    limits = limits or DownloadLimits()
    wanted: dict[str, str] = {}
    for url, field in images:
        if not isinstance(url, str):
            raise invalid(
                field, "must hold an address or a data URL under `url`", code="invalid_image_url"
            )
        if not is_data_url(url):
            wanted.setdefault(url, field)
    if not wanted:
        return {}
    for url, field in wanted.items():
        _parse(url, field)
    deadline = asyncio.get_running_loop().time() + limits.seconds
    try:
        async with asyncio.timeout_at(deadline):
            await _request_slots().acquire()
    except TimeoutError as error:
        raise _late(next(iter(wanted.values())), limits) from error
    try:
        async with open_client(
            allow_private=limits.allow_private, resolver=resolver, verify=verify
        ) as client:
            occurrences = Counter(url for url, _ in images)
            download = _Download(client, deadline, limits, occurrences)
            tasks = [asyncio.create_task(download(url, field)) for url, field in wanted.items()]
            try:
                return dict(zip(wanted, await asyncio.gather(*tasks), strict=True))
            finally:
                # One that failed ends the request, so the others are not needed.
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        _request_slots().release()


_slots: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = (
    weakref.WeakKeyDictionary()
)


def _request_slots() -> asyncio.Semaphore:
    """Return the semaphore of the running loop: one cannot be shared between loops."""
    return _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MAX_REQUESTS))


def _late(field: str, limits: DownloadLimits) -> InvalidRequestError:
    return invalid(field, f"the image did not arrive within {limits.seconds:g} s: send it as data")


@dataclass
class _Download:
    """Downloads the images of one request, within its limits."""

    client: httpx.AsyncClient
    deadline: float
    limits: DownloadLimits
    occurrences: Mapping[str, int]
    slots: asyncio.Semaphore = dataclasses.field(
        default_factory=lambda: asyncio.Semaphore(_MAX_DOWNLOADS)
    )
    received: int = 0

    async def __call__(self, url: str, field: str) -> str:
        try:
            async with asyncio.timeout_at(self.deadline), self.slots:
                kind, data = await self._follow(url, field)
        except TimeoutError as error:
            raise _late(field, self.limits) from error
        except NotPublicError as error:
            raise invalid(
                field, f"{error}: send the image as data", code="failed_to_download_image"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise invalid(
                field,
                f"the image cannot be fetched: {said}: check the address, or send it as data",
                code="failed_to_download_image",
            ) from error
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    async def _follow(self, url: str, field: str) -> tuple[str, bytes]:
        address = _parse(url, field)
        for _ in range(_MAX_REDIRECTS + 1):
            request = httpx.Request("GET", address, headers=_HEADERS)
            # The deadline bounds every step; the client's own limits would only hide it.
            request.extensions["timeout"] = httpx.Timeout(None).as_dict()
            response = await self.client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    return await self._read(response, field, self.occurrences[url])
                # Each hop is validated as the first address was.
                address = _parse(str(address.join(response.headers["location"])), field)
            finally:
                await response.aclose()
        raise invalid(
            field,
            f"the address redirects more than {_MAX_REDIRECTS} times",
            code="failed_to_download_image",
        )

    async def _read(
        self, response: httpx.Response, field: str, occurrences: int
    ) -> tuple[str, bytes]:
        if response.status_code != 200:
            raise invalid(
                field,
                f"its server answered {response.status_code}, not with an image",
                code="failed_to_download_image",
            )
        said = response.headers.get("content-type", "")
        if not said.lower().startswith("image/"):
            raise invalid(
                field,
                f"is no image: its server says it is {said[:60] or 'of no type'}",
                code="failed_to_download_image",
            )
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise invalid(
                field,
                "its server sends the image compressed, although not asked to",
                code="failed_to_download_image",
            )
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length) > self.limits.image_bytes:
            raise self._too_large(field)
        data = bytearray()
        async for piece in response.aiter_raw():
            data += piece
            self.received += len(piece) * occurrences
            if len(data) > self.limits.image_bytes:
                raise self._too_large(field)
            if self.received > self.limits.request_bytes:
                raise invalid(
                    field,
                    f"the images of the request are larger than {self.limits.request_bytes:,} "
                    "bytes in all: send fewer, or smaller ones",
                    code="failed_to_download_image",
                )
        kind = image_type(bytes(data[:16]))
        if kind is None:
            raise invalid(
                field,
                "is no PNG, JPEG, GIF, WebP or BMP, whatever its server says",
                code="failed_to_download_image",
            )
        return kind, bytes(data)

    def _too_large(self, field: str) -> InvalidRequestError:
        return invalid(
            field,
            f"the image is larger than {self.limits.image_bytes:,} bytes: make it smaller before "
            "sending",
            code="failed_to_download_image",
        )


def _parse(url: str, field: str) -> httpx.URL:
    """Parse and validate an address.

    Raises:
        InvalidRequestError: Its scheme is not HTTP's, it names no host, or has credentials.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise invalid(
            field, f"the address cannot be read: {error}", code="invalid_image_url"
        ) from error
    if address.scheme not in ("http", "https"):
        raise invalid(
            field,
            f"images are fetched by http and https only, not by {address.scheme[:20] or 'a path'}: "
            "send the image as data",
            code="invalid_image_url",
        )
    if not address.host:
        raise invalid(field, "the address names no host", code="invalid_image_url")
    if address.port is not None and not 0 < address.port < 65536:
        raise invalid(field, f"there is no port {address.port}", code="invalid_image_url")
    if address.userinfo:
        raise invalid(
            field,
            "an address with a name and password in it is not used: take them out",
            code="invalid_image_url",
        )
    return address


def _images(messages: Sequence[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield the index of each image's message, its index among the parts, and its URL."""
    for i, message in enumerate(messages):
        content = message.get("content") if isinstance(message, Mapping) else None
        for j, part in enumerate(content if isinstance(content, list | tuple) else ()):
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                image = part.get("image_url")
                # NVIDIA's early vision models took the address itself.
                yield i, j, image.get("url") if isinstance(image, Mapping) else image


def _field(i: int, j: int) -> str:
    return f"messages[{i}].content[{j}].image_url"


def _with(downloaded: Mapping[str, str], message: Any) -> Any:
    changed = {j: downloaded[url] for _, j, url in _images([message]) if url in downloaded}
    if not changed:
        return message
    parts = list(message["content"])
    for j, data in changed.items():
        image = parts[j]["image_url"]
        parts[j] = {
            **parts[j],
            "image_url": {**image, "url": data} if isinstance(image, Mapping) else data,
        }
    return {**message, "content": parts}
