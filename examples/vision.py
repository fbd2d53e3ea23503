"""A question about an image, which is sent as a data URL; the program creates one by default.

    python examples/vision.py [picture.png]

LLAMA_STACK_MODEL names another vision model. docs/vision.md has the limits of image sizes.
"""

import base64
import struct
import sys
import tempfile
import zlib
from pathlib import Path

from stack import chat_model, openai_client

SEEING = "meta/llama-3.2-11b-vision-instruct"


def make_picture(path: Path, width: int = 64, height: int = 64) -> None:
    """Write a PNG file: the upper half green, the lower half white."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    green, white = bytes([118, 185, 0]) * width, b"\xff" * (3 * width)
    # Each row begins with the number of its filter: 0 for none.
    rows = b"".join(b"\0" + (green if y < height // 2 else white) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def describe(path: Path) -> str:
    """Return the model's words about a PNG file."""
    data = base64.b64encode(path.read_bytes()).decode()
    answer = openai_client().chat.completions.create(
        model=chat_model(SEEING),
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is in this picture?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
                ],
            }
        ],
        max_tokens=100,
    )
    return answer.choices[0].message.content or ""


def main() -> None:
    """Describe the file that is named, or one made for the purpose."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1] if len(sys.argv) > 1 else f"{folder}/flag.png")
        if len(sys.argv) == 1:
            make_picture(path)
        print(f"{path.name}, {path.stat().st_size} bytes: {describe(path)}")


if __name__ == "__main__":
    main()
