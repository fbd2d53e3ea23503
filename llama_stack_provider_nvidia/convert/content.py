"""Convert interleaved content: text and images."""

import base64
import binascii
from typing import TYPE_CHECKING

from .. import stack
from ..nim.errors import invalid
from ..nim.requests.images import image_type
from .native_types import Content, Image

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam


def text_of(content: Content, field: str) -> str:
    """Flatten content to one string, an item per line.

    NIM 1.x takes lists only from the user, hosted models often not even there, and vLLM joins
    them by line breaks for models whose chat template takes strings.

    Args:
        content: A string, an item, or a list of items.
        field: Where it stands in the request, for the error.

    Raises:
        InvalidRequestError: There is an image in it.
    """
    texts = []
    for place, item in _items(content, field):
        if not isinstance(item, str):
            raise invalid(place, "only text can be sent here: put images into a user message")
        texts.append(item)
    return "\n".join(texts)


def user_content(content: Content, field: str) -> "str | list[ChatCompletionContentPartParam]":
    """Convert what a user wrote: text stays a string, images make it a list of parts.

    Raises:
        InvalidRequestError: An item is neither text nor an image that a NIM can read.
    """
    items = _items(content, field)
    texts = [item for _, item in items if isinstance(item, str)]
    if len(texts) == len(items):
        return "\n".join(texts)
    return [_part(item, place) for place, item in items]


def _items(content: Content, field: str) -> list[tuple[str, str | Image]]:
    """Return each text and each image with its place in the request."""
    if isinstance(content, list | tuple):
        places = [f"{field}[{position}]" for position in range(len(content))]
        return [(place, _item(item, place)) for place, item in zip(places, content, strict=True)]
    return [(field, _item(content, field))]


def _item(item: Content, place: str) -> str | Image:
    if isinstance(item, str):
        return item
    if isinstance(item, stack.TextContentItem):
        text: str = item.text
        return text
    if isinstance(item, stack.ImageContentItem):
        image: Image = item.image
        return image
    raise invalid(place, f"{type(item).__name__} is neither text nor an image")


def _part(item: str | Image, place: str) -> "ChatCompletionContentPartParam":
    if isinstance(item, str):
        return {"type": "text", "text": item}
    if item.url is not None:
        uri = item.url.uri
        if not uri.lower().startswith(("https://", "http://", "data:")):
            raise invalid(
                f"{place}.image.url",
                "must begin with https://, http:// or data: for a NIM to read",
                code="invalid_image_url",
            )
        return {"type": "image_url", "image_url": {"url": uri}}
    if item.data:
        return {"type": "image_url", "image_url": {"url": _data_url(item.data, place)}}
    raise invalid(place, "the image has neither `url` nor `data`")


def _data_url(data: str, place: str) -> str:
    if data.startswith("data:"):
        return data
    try:
        head = base64.b64decode(data[:32], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(
            f"{place}.image.data", "is not base64", code="invalid_base64_image"
        ) from error
    if kind := image_type(head):
        return f"data:{kind};base64,{data}"
    raise invalid(
        f"{place}.image.data",
        "is no PNG, JPEG, GIF, WebP or BMP; another format needs its type in front: "
        "data:image/<type>;base64,...",
    )
