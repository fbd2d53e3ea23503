"""Content for retrieval models: a text, an image, or both."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..errors import invalid
from ..requests.images import DownloadLimits, download_images, is_data_url, validate_image


class Content(NamedTuple):
    """A text, an image by its address or data URL, or both."""

    text: str | None = None
    image: str | None = None


async def resolve_images(
    contents: Sequence[Content],
    name_of: Callable[[int], str],
    *,
    download: bool,
    limits: DownloadLimits | None = None,
) -> Sequence[Content]:
    """Validate the images and replace addresses by data URLs.

    Args:
        contents: Those without an image are returned as they are.
        name_of: Returns what the caller calls the content at a place.
        download: Images may be downloaded here.
        limits: Limits of the downloads.

    Raises:
        InvalidRequestError: A data URL is not one of an image, an image cannot be downloaded,
            or it must not be: retrieval NIMs fetch none. ``field`` says which.
    """
    images = [
        (content.image, name_of(n))
        for n, content in enumerate(contents)
        if content.image is not None
    ]
    if not images:
        return contents
    for url, name in images:
        validate_image(url, name)
        if not download and not is_data_url(url):
            raise invalid(
                name,
                "is an image by its address, which retrieval NIMs do not fetch: send it as data, "
                "or set download_images in run.yaml",
            )
    downloaded = await download_images(images, limits=limits)
    return [
        content._replace(image=downloaded.get(content.image, content.image))
        if content.image is not None
        else content
        for content in contents
    ]
