"""The codes and texts of errors that the Responses API reports: servers take them from ``body``."""

from typing import Any

import openai
import pytest

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer

from .conftest import MODEL
from .test_conformance_responses import nim as nim
from .test_conformance_responses import responses as responses

pytestmark = pytest.mark.server

CHAT = "/v1/chat/completions"
HELLO = "Say hello."
REPORTS: dict[str, tuple[dict[str, Any], str]] = {
    "a code of OpenAI's": (
        {"error": {"message": "cannot fetch it", "code": "invalid_image_url", "param": "messages"}},
        "invalid_image_url",
    ),
    "a status in place of a code": ({"error": {"message": "no", "code": 400}}, "invalid_prompt"),
    "a flat report": ({"message": "no", "type": "BadRequestError"}, "invalid_prompt"),
}


def error_of(client: openai.OpenAI, asked: Any) -> tuple[str, str]:
    """The code and the text of a response that fails."""
    last: Any = list(client.responses.create(model=MODEL, input=asked, stream=True))[-1]
    assert last.type == "response.failed"
    return last.response.error.code, last.response.error.message


if stack.REASONING:  # the others' Responses API reports no code of ours

    @pytest.mark.parametrize("name", REPORTS)
    def test_what_the_nim_refuses(responses: openai.OpenAI, nim: EmulatorServer, name: str) -> None:
        body, wanted = REPORTS[name]
        nim.script([{"path": CHAT, "status": 400, "body": body}])
        code, text = error_of(responses, HELLO)
        assert code == wanted
        assert body.get("error", body)["message"] in text
        assert "endpoint http" in text

    @pytest.mark.parametrize(
        ("url", "wanted"),
        [
            ("data:image/png;base64,", "invalid_base64_image"),
            ("data:text/plain;base64,aGk=", "invalid_image_url"),
        ],
    )
    def test_what_is_refused_unsent(
        responses: openai.OpenAI, nim: EmulatorServer, url: str, wanted: str
    ) -> None:
        image = {"type": "input_image", "detail": "auto", "image_url": url}
        before = len(nim.requests)
        code, text = error_of(responses, [{"role": "user", "content": [image]}])
        assert code == wanted
        assert text.startswith("messages[0].content[0].image_url: ")
        assert len(nim.requests) == before

    @pytest.mark.parametrize(
        ("status", "said", "wanted"),
        [(429, "slow", "rate_limit_exceeded"), (500, "boom", "server_error")],
    )
    def test_what_the_nim_fails_at(
        responses: openai.OpenAI, nim: EmulatorServer, status: int, said: str, wanted: str
    ) -> None:
        nim.script([{"path": CHAT, "status": status, "body": {"message": said}}])
        code, text = error_of(responses, HELLO)
        assert code == wanted
        assert text.startswith(f"NIM answered {status}: {said}. ")
