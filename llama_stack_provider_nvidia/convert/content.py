"""Interleaved content: text and images."""

import base64
import binascii
from typing import Any

from ..nim.errors import invalid
from ..nim.requests.images import image_type
from ..stack import ImageContentItem, TextContentItem


def text_of(content: Any, field: str) -> str:
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
        if not isinstance(item, TextContentItem):
            raise invalid(place, "only text can be sent here: put images into a user message")
        texts.append(item.text)
    return "\n".join(texts)


def user_content(content: Any, field: str) -> str | list[dict[str, Any]]:
    """Convert what a user wrote: text stays a string, images make it a list of parts."""
    items = list(_items(content, field))
    if all(isinstance(item, TextContentItem) for _, item in items):
        return "\n".join(item.text for _, item in items)
    return [_part(item, place) for place, item in items]


def _items(content: Any, field: str) -> list[tuple[str, Any]]:
    if isinstance(content, str):
        return [(field, TextContentItem(text=content))]
    if not isinstance(content, list | tuple):
        return [(field, _item(content, field))]
    places = (f"{field}[{position}]" for position in range(len(content)))
    return [(place, _item(item, place)) for place, item in zip(places, content, strict=True)]


def _item(item: Any, place: str) -> Any:
    if isinstance(item, str):
        return TextContentItem(text=item)
    if isinstance(item, TextContentItem | ImageContentItem):
        return item
    raise invalid(place, f"{type(item).__name__} is neither text nor an image")


def _part(item: Any, place: str) -> dict[str, Any]:
    if isinstance(item, TextContentItem):
        return {"type": "text", "text": item.text}
    image = item.image
    if image.url is not None:
        uri = image.url.uri
        if not uri.lower().startswith(("https://", "http://", "data:")):
            raise invalid(
                f"{place}.image.url", "must begin with https://, http:// or data: for a NIM to read"
            )
        return {"type": "image_url", "image_url": {"url": uri}}
    if image.data:
        return {"type": "image_url", "image_url": {"url": _data_url(image.data, place)}}
    raise invalid(place, "the image has neither `url` nor `data`")


def _data_url(data: str, place: str) -> str:
    if data.startswith("data:"):
        return data
    try:
        head = base64.b64decode(data[:32], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{place}.image.data", "is not base64") from error
    if kind := image_type(head):
        return f"data:{kind};base64,{data}"
    raise invalid(
        f"{place}.image.data",
        "is no PNG, JPEG, GIF, WebP or BMP; another format needs its type in front: "
        "data:image/<type>;base64,...",
    )
