"""The facts that are read from an image before it is sent."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests.images import (
    image_type,
    validate_images,
)

from .image_parts import PNG_URL, SIGNATURES, image, user


class TestValidation:
    def test_what_fits_passes(self):
        messages = [
            {"role": "system", "content": "text"},
            "no message",
            user(image(PNG_URL), image("https://example.com/a.png")),
            {"role": "user", "content": [{"type": "image_url", "image_url": PNG_URL}, "text"]},
            {"role": "assistant", "content": None},
            user(image("DATA:image/svg+xml;charset=utf-8;BASE64,AAAA")),
        ]
        validate_images(messages)

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            (None, "must hold an address"),
            ("", "must hold an address"),
            (5, "must hold an address"),
            ("data:image/png;base64", "is no data URL"),
            ("data:;base64,AAAA", "has no type"),
            ("data:text/html;base64,AAAA", "has 'text/html'"),
            ("data:image/;base64,AAAA", "has 'image/'"),
            ("data:image/png,AAAA", "as base64"),
            ("data:image/png;base64,", "is empty"),
            ("data:image/png;base64,AAA", "cut off"),
            ("data:image/png;base64,AA\nAA", "no base64"),
            ("data:image/png;base64,A===", "no base64"),
        ],
    )
    def test_a_data_url_that_is_none_of_an_image_is_refused(self, url, problem):
        with pytest.raises(InvalidRequestError, match=problem) as error:
            validate_images([user(image(url))])
        assert error.value.field == "messages[0].content[1].image_url"

    @given(st.text() | st.text().map("data:image/png;base64,{}".format))
    def test_any_text_passes_or_is_refused(self, url):
        with contextlib.suppress(InvalidRequestError):
            validate_images([user(image(url))])


@pytest.mark.parametrize("kind", SIGNATURES)
def test_image_type(kind):
    assert image_type(SIGNATURES[kind][:16]) == kind
    assert image_type(b"<svg>") is None
