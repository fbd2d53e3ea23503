"""Credentials in texts: the whole, parts of it, in any case, before every cut."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors.body import LONGEST_ID, LONGEST_MESSAGE, request_id_of
from llama_stack_provider_nvidia.nim.errors.redact import KEY_PART, redact, secrets_in
from llama_stack_provider_nvidia.nim.errors.types import Quote

HEX = "4f1c9e07a3b2d5e8"
KEY = f"gateway-{HEX}"


def leaked(text, key=KEY, part=KEY_PART):
    """The runs of a key that are in a text."""
    low = text.lower()
    runs = {key[n : n + part].lower() for n in range(len(key) - part + 1)}
    return sorted(run for run in runs if run in low)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Authorization": f"Bearer {KEY}"}, (KEY,)),
        ({"authorization": "Basic dXNlcjpwYXNz"}, ("dXNlcjpwYXNz",)),
        ({"X-Gateway-Key": "team-5d2a8b61"}, ("team-5d2a8b61",)),
        ({"Cookie": "session=4f1c9e07; lang=en"}, ("4f1c9e07",)),
        ({"Content-Type": "application/json", "User-Agent": "a-long-name"}, ()),
        ({"Authorization": "Bearer none", "X-Token": "short"}, ()),
    ],
)
def test_the_secrets_of_a_request_are_found(headers, found):
    assert secrets_in(httpx.Headers(headers)) == found


@pytest.mark.parametrize("change", [str, str.upper, str.lower, str.swapcase])
@pytest.mark.parametrize("start", [0, 1, 5])
@pytest.mark.parametrize("stop", [None, -1, -5])
def test_parts_of_a_key_are_redacted_in_any_case(change, start, stop):
    text = redact(f"no: {change(KEY[start:stop])}, no", [KEY])
    assert text == "no: ***, no"


def test_what_is_shorter_than_a_part_stays():
    assert redact(f"the {KEY[:7]} is down", [KEY]) == "the gateway is down"


def test_the_prefix_of_a_key_says_what_it_was():
    key = "nvapi-0123456789secret"
    assert redact(f"refused {key}", [key]) == "refused nvapi-***"
    assert redact(f"refused {key.upper()}", [key]) == "refused NVAPI-***"
    assert redact(f"refused {key[:8]}.", [key]) == "refused nvapi-***."
    assert redact(f"Bearer {key}") == "Bearer nvapi-***"


@pytest.mark.parametrize("limit", [80, 128, 500])
def test_a_text_is_redacted_before_it_is_cut(limit):
    for before in range(limit - len(KEY) - 2, limit + 2):
        text = redact("x" * before + KEY + " and more", [KEY], limit=limit)
        assert leaked(text, part=2) == []
        assert len(text) <= limit + 3


@given(st.text(max_size=40), st.text(max_size=40), st.integers(1, 100))
def test_no_text_around_a_key_shows_it(before, after, limit):
    assert leaked(redact(f"{before}{KEY}{after}", [KEY], limit=limit)) == []
    assert leaked(redact(f"{before}{KEY.upper()}{after}", [KEY])) == []


@given(st.text())
def test_a_text_without_a_secret_stays(text):
    assert redact(text) == text or "***" in redact(text)


@pytest.mark.parametrize("before", range(LONGEST_ID - len(KEY), LONGEST_ID + 1, 3))
def test_a_request_id_is_redacted_before_it_is_cut(before):
    given_id = request_id_of({"x-request-id": "r" * before + KEY}, (KEY,))
    assert given_id is not None
    assert leaked(given_id, part=3) == []


def quoting(before):
    """Errors whose texts quote a NIM, which quotes the key there."""
    said = "x" * before + KEY
    yield errors.from_status(400, {"message": said, "code": said, "param": said, "type": said})
    yield errors.malformed("It begins with '{quote}'.", quote=said.encode())
    yield errors.make("nim_failed", "It said {quote}", quote=Quote(said, 128))


@pytest.mark.parametrize("cut", [64, 80, 128, LONGEST_MESSAGE])
def test_an_error_is_redacted_before_it_is_cut(cut):
    request = httpx.Request("POST", "http://nim/v1", headers={"Authorization": f"Bearer {KEY}"})
    for before in range(cut - len(KEY), cut + 1, 5):
        for error in quoting(before):
            response = httpx.Response(
                400, request=request, headers={"x-request-id": "r" * before + KEY}
            )
            with pytest.raises(errors.NIMError), errors.translated("m", "http://nim/v1", response):
                raise error
            shown = f"{error!s} {error!r} {error.args} {error.body} {vars(error)}"
            assert leaked(shown, part=4, key=HEX) == []


def test_a_quote_is_printable_and_short():
    error = errors.malformed("It begins with '{quote}'.", quote=b"\x1b[2J" + b"y" * 100)
    assert error.message.startswith(r"It begins with '\x1b[2Jyyy")
    assert len(error.message) < 300
    assert error.message.isprintable()
