"""Images, and the messages that hold them."""

import base64

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SIGNATURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "image/gif": b"GIF89a" + bytes(20),
    "image/webp": b"RIFF\x0a\x00\x00\x00WEBPVP8 ",
    "image/bmp": b"BM" + bytes(20),
}


def image(url):
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def user(*parts):
    return {"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}


def refusal(error):
    return error.value.field, error.value.message
