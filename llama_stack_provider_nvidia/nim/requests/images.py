"""Images in chat messages: what a NIM takes, and fetching them for one without internet."""

import asyncio
import base64
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from ..errors import InvalidRequestError, invalid
from .public_web import NotPublicError, Resolver, open_client, resolve

_MAX_REDIRECTS = 3
_MAX_DOWNLOADS = 4
_IDENTITY = {
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


HOSTED_INLINE = 180_000
"""Characters of base64 in one image on NVIDIA's API catalogue, where a model states no other limit
(client code and schemas, 2024)."""


def image_type(head: bytes) -> str | None:
    """Tell the media type of an image that vision models read, by its first bytes."""
    return next((kind for signature, kind in _SIGNATURES if signature.match(head)), None)


def check_images(
    messages: Sequence[Any], *, most: int | None = None, inline: int | None = None
) -> None:
    """Find images that a NIM would refuse, before they are sent.

    Args:
        messages: OpenAI chat messages, as dicts.
        most: Images that the model takes in a request; None for no limit that is known.
        inline: Characters of base64 that it takes in one data URL; None likewise.

    Raises:
        InvalidRequestError: There are too many images, one is too large, or a data URL is not
            one of an image. Its ``field`` says which.
    """
    for number, (i, j, url) in enumerate(_images(messages), 1):
        field = _field(i, j)
        if most is not None and number > most:
            raise invalid(
                field,
                f"this is image number {number}, and the model takes {most} in a "
                "request: leave images of earlier turns out, or choose another model",
            )
        if not isinstance(url, str) or not url:
            raise invalid(field, "must hold an address or a data URL under `url`")
        if url[:5].lower() == "data:":
            _check_data_url(url, field, inline)


def _check_data_url(url: str, field: str, inline: int | None) -> None:
    head = _DATA_URL.match(url)
    if head is None:
        raise invalid(field, "is no data URL: it must begin data:image/<type>;base64,")
    if not re.fullmatch(r"image/[\w.+-]+", head[1].strip()):
        kind = f"{head[1][:60]!r}" if head[1] else "no type"
        raise invalid(field, f"a data URL of an image must begin data:image/<type>, and has {kind}")
    if not head[2].lower().endswith(";base64"):
        raise invalid(field, "must hold its data as base64: data:image/<type>;base64,...")
    size = len(url) - head.end()
    if inline is not None and size > inline:
        raise invalid(
            field,
            f"the image has {size:,} characters of base64, and this NIM takes {inline:,}: "
            "make the image smaller (fewer pixels, or JPEG), or use a NIM of your own, which "
            "takes larger ones",
        )
    if not _BASE64.fullmatch(url, head.end()) or size % 4:
        raise invalid(field, "what follows `base64,` is empty, cut off or no base64")


async def inline_images(
    messages: Sequence[Any],
    *,
    fetch_limit_bytes: int,
    timeout: float,  # noqa: ASYNC109 (it bounds all downloads together, and names the image)
    allow_private: bool = False,
    resolver: Resolver = resolve,
    verify: bool | ssl.SSLContext = True,
) -> list[Any]:
    """Fetch the images that messages give by address, and put data URLs in their place.

    Addresses come from whoever sent the request, so only hosts of the public internet are
    asked, without credentials and without what the environment says about proxies. At most
    four downloads run at once; an address that occurs again is fetched once.

    Args:
        messages: OpenAI chat messages, as dicts. They are left as they are.
        fetch_limit_bytes: Size of the largest image.
        timeout: Seconds for all downloads together.
        allow_private: Ask hosts of private networks too. For a closed network whose users may
            reach all of it anyway.
        resolver: Finds the addresses of hosts.
        verify: Whether, or by what, the certificates of servers are checked.

    Returns:
        The messages; those with images that were fetched are new.

    Raises:
        InvalidRequestError: An address is not allowed, or does not give an image in time. Its
            ``field`` says which.
    """
    wanted: dict[str, str] = {}
    for i, j, url in _images(messages):
        if not isinstance(url, str):
            raise invalid(_field(i, j), "must hold an address or a data URL under `url`")
        if url[:5].lower() != "data:":
            wanted.setdefault(url, _field(i, j))
    if not wanted:
        return list(messages)
    for url, field in wanted.items():
        _checked(url, field)
    deadline = asyncio.get_running_loop().time() + timeout
    slots = asyncio.Semaphore(_MAX_DOWNLOADS)
    async with open_client(allow_private=allow_private, resolver=resolver, verify=verify) as client:
        fetch = _Fetch(client, slots, deadline, fetch_limit_bytes, timeout)
        tasks = [asyncio.create_task(fetch(url, field)) for url, field in wanted.items()]
        try:
            fetched = dict(zip(wanted, await asyncio.gather(*tasks), strict=True))
        finally:
            # One that failed ends the request, so the others are not needed.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return [_with(fetched, message) for message in messages]


@dataclass(frozen=True)
class _Fetch:
    """Downloads one image, within what all of them share."""

    client: httpx.AsyncClient
    slots: asyncio.Semaphore
    deadline: float
    limit: int
    timeout: float

    async def __call__(self, url: str, field: str) -> str:
        try:
            async with asyncio.timeout_at(self.deadline), self.slots:
                kind, data = await self._follow(url, field)
        except TimeoutError as error:
            raise invalid(
                field, f"the image did not arrive within {self.timeout:g} s: send it as data"
            ) from error
        except NotPublicError as error:
            raise invalid(field, f"{error}: send the image as data") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise invalid(
                field, f"the image cannot be fetched: {said}: check the address, or send it as data"
            ) from error
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    async def _follow(self, url: str, field: str) -> tuple[str, bytes]:
        address = _checked(url, field)
        for _ in range(_MAX_REDIRECTS + 1):
            request = httpx.Request("GET", address, headers=_IDENTITY)
            # The deadline bounds every step; the client's own limits would only hide it.
            request.extensions["timeout"] = httpx.Timeout(None).as_dict()
            response = await self.client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    return await self._read(response, field)
                # Each hop is checked as the first address was.
                address = _checked(str(address.join(response.headers["location"])), field)
            finally:
                await response.aclose()
        raise invalid(field, f"the address redirects more than {_MAX_REDIRECTS} times")

    async def _read(self, response: httpx.Response, field: str) -> tuple[str, bytes]:
        if response.status_code != 200:
            raise invalid(field, f"its server answered {response.status_code}, not with an image")
        said = response.headers.get("content-type", "")
        if not said.lower().startswith("image/"):
            raise invalid(field, f"is no image: its server says it is {said[:60] or 'of no type'}")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise invalid(field, "its server sends the image compressed, although not asked to")
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length) > self.limit:
            raise self._too_large(field)
        data = bytearray()
        async for piece in response.aiter_raw():
            data += piece
            if len(data) > self.limit:
                raise self._too_large(field)
        kind = image_type(bytes(data[:16]))
        if kind is None:
            raise invalid(field, "is no PNG, JPEG, GIF, WebP or BMP, whatever its server says")
        return kind, bytes(data)

    def _too_large(self, field: str) -> InvalidRequestError:
        return invalid(
            field, f"the image is larger than {self.limit:,} bytes: make it smaller before sending"
        )


def _checked(url: str, field: str) -> httpx.URL:
    """Read an address and see that it may be asked.

    Raises:
        InvalidRequestError: Its scheme is not HTTP's, it names no host, or has credentials.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise invalid(field, f"the address cannot be read: {error}") from error
    if address.scheme not in ("http", "https"):
        raise invalid(
            field,
            f"images are fetched by http and https only, not by {address.scheme[:20] or 'a path'}: "
            "send the image as data",
        )
    if not address.host:
        raise invalid(field, "the address names no host")
    if address.userinfo:
        raise invalid(field, "an address with a name and password in it is not used: take them out")
    return address


def _images(messages: Sequence[Any]) -> Iterator[tuple[int, int, Any]]:
    """Give each image's message, its place among the message's parts, and its address."""
    for i, message in enumerate(messages):
        content = message.get("content") if isinstance(message, Mapping) else None
        for j, part in enumerate(content if isinstance(content, list | tuple) else ()):
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                image = part.get("image_url")
                # NVIDIA's early vision models took the address itself.
                yield i, j, image.get("url") if isinstance(image, Mapping) else image


def _field(i: int, j: int) -> str:
    return f"messages[{i}].content[{j}].image_url"


def _with(fetched: Mapping[str, str], message: Any) -> Any:
    changed = {j: fetched[url] for _, j, url in _images([message]) if url in fetched}
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
