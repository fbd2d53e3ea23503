"""What retrieval models read: a text, an image, or an image with a text."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import InvalidRequestError, invalid
from ..requests.images import check_images, inline_images
from ..requests.prepare import Settings

_PLACE = re.compile(r"messages\[(\d+)\]\.content\[0\]\.image_url")


class Content(NamedTuple):
    """A text, an image by its address or data URL, or both."""

    text: str | None = None
    image: str | None = None


async def with_images(
    contents: Sequence[Content], settings: Settings, field: str
) -> Sequence[Content]:
    """Check the images and, where the user has it so, fetch those given by their address.

    Args:
        contents: Those without an image are left as they are.
        settings: The user's.
        field: What the caller calls the list.

    Raises:
        InvalidRequestError: A data URL is not one of an image, or an image cannot be had. Its
            ``field`` says which.
    """
    if all(content.image is None for content in contents):
        return contents
    messages = [
        {"content": [{"type": "image_url", "image_url": {"url": content.image}}]}
        if content.image is not None
        else {}
        for content in contents
    ]
    try:
        if settings.download_images:
            messages = await inline_images(
                messages,
                fetch_limit_bytes=settings.image_bytes,
                timeout=settings.image_seconds,
                allow_private=settings.image_private_hosts,
            )
        check_images(messages)
    except InvalidRequestError as error:
        place = _PLACE.sub(rf"{field}[\1]", error.field or field)
        problem = error.message.removeprefix(f"{error.field}: ")
        raise invalid(place, problem) from None
    made = []
    for n, (content, message) in enumerate(zip(contents, messages, strict=True)):
        if content.image is not None:
            (part,) = message["content"]
            url = part["image_url"]["url"]  # type: ignore[index]
            if not url.startswith("data:"):
                raise invalid(
                    f"{field}[{n}]",
                    "is an image by its address, which retrieval NIMs do not fetch: send it as "
                    "data, or set download_images in run.yaml",
                )
            content = content._replace(image=url)
        made.append(content)
    return made
