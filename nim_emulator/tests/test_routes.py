"""Routes other than inference, keys, and requests that are not even JSON."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import AuthenticationError, NotFoundError, OpenAI

from helpers import MODEL, error
from nim_emulator import EmulatorServer


def test_models(nim: EmulatorServer, client: OpenAI) -> None:
    (entry,) = client.models.list().data
    assert (entry.id, entry.object) == (MODEL, "model")
    extra = entry.model_extra
    assert extra is not None
    assert extra["root"] == MODEL
    assert extra["max_model_len"] == 8192
    assert extra["permission"][0]["object"] == "model_permission"
    assert entry.owned_by == {"nim1": "system", "nim2": "vllm"}[nim.settings.dialect]


@pytest.mark.parametrize("word", ["ready", "live"])
def test_health(nim: EmulatorServer, http: httpx.Client, word: str) -> None:
    answer = http.get(f"{nim.url}/v1/health/{word}")
    expected = {"object": "health.response", "message": f"Service is {word}."}
    assert (answer.status_code, answer.json()) == (200, expected)


def test_version_and_metadata(nim: EmulatorServer, http: httpx.Client) -> None:
    major = nim.settings.dialect.removeprefix("nim")
    version = http.get(f"{nim.url}/v1/version").json()
    assert version["release"].startswith(f"{major}.")
    assert set(version) == {"release", "api"}
    metadata = http.get(f"{nim.url}/v1/metadata").json()
    assert metadata["version"] == version["release"]
    assert metadata["modelInfo"][0]["shortName"].startswith(MODEL)
    assert {"assetInfo", "licenseInfo"} <= set(metadata)
    assert ("selectedModelProfileId" in metadata) == (major == "2")


def test_unknown_path_and_method(nim: EmulatorServer, http: httpx.Client) -> None:
    answer = http.get(f"{nim.url}/v1/nothing")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = http.get(f"{nim.url}/v1/chat/completions")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "POST"


def test_unknown_model(nim: EmulatorServer, client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="The model `no/model` does not exist"):
        client.chat.completions.create(
            model="no/model", messages=[{"role": "user", "content": "hi"}]
        )


@pytest.mark.parametrize(
    ("content", "media", "text"),
    [
        (b'{"messages": [', "application/json", "JSON decode error"),
        (b'{"model": "\xff"}', "application/json", "JSON decode error"),
        (b"[" * 100_000, "application/json", "JSON decode error"),
        (b'{"a":' * 100_000, "application/json", "JSON decode error"),
        (b"{}", "text/plain", "Only 'application/json' is allowed"),
        (b"{}", None, "Only 'application/json' is allowed"),
        (b"[]", "application/json", "Input should be an object"),
        (b"null", "application/json; charset=utf-8", "Input should be an object"),
    ],
)
def test_not_a_json_object(
    nim: EmulatorServer, http: httpx.Client, content: bytes, media: str | None, text: str
) -> None:
    headers = {} if media is None else {"content-type": media}
    answer = http.post(f"{nim.url}/v1/chat/completions", content=content, headers=headers)
    assert answer.status_code == 400
    assert text in error(answer)["message"]


_TEXT = "max_tokens must be at least 1, got 0."
_FLAT = {
    "object": "error",
    "message": _TEXT,
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
_NESTED = {
    "message": f"{_TEXT} (parameter=max_tokens, value=0)",
    "type": "BadRequestError",
    "param": "max_tokens",
    "code": 400,
}
_OPENAI = {
    "message": _TEXT,
    "type": "invalid_request_error",
    "param": "max_tokens",
    "code": None,
}
_RANGE = "Input should be greater than or equal to 1"
ERRORS = {
    "nim1": _FLAT,
    "nim1-1.15": _FLAT,
    "nim2": {"error": _NESTED},
    "nim2-sglang": {**_FLAT, "message": "max_new_tokens must be at least 0, got -1."},
    "hosted": {
        "message": f"Validation: max_tokens: {_RANGE}",
        "type": "Bad Request",
        "code": 400,
    },
    "dynamo": {
        "message": "Validation: Max tokens must be greater than 0, got 0",
        "type": "Bad Request",
        "code": 400,
    },
    "vllm": {"error": _NESTED},
    "generic": {"error": _OPENAI},
}


@pytest.mark.parametrize("dialect", ERRORS)
def test_error_shapes(dialect: str, http: httpx.Client) -> None:
    with EmulatorServer(dialect) as nim:
        body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
        body["max_tokens"] = -1 if dialect == "nim2-sglang" else 0
        headers = {"authorization": "Bearer k"}
        answer = http.post(f"{nim.url}/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json() == ERRORS[dialect]


def test_api_key(http: httpx.Client) -> None:
    with EmulatorServer(api_key="secret-1") as nim:
        for path in ("chat/completions", "completions"):
            answer = http.post(f"{nim.url}/v1/{path}", json={})
            assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})
        assert http.get(f"{nim.url}/v1/models").status_code == 401
        # Management needs no key: probes of an orchestrator have none.
        assert http.get(f"{nim.url}/v1/health/ready").status_code == 200
        with (
            OpenAI(base_url=f"{nim.url}/v1", api_key="wrong", max_retries=0) as wrong,
            pytest.raises(AuthenticationError),
        ):
            wrong.models.list()
        with OpenAI(base_url=f"{nim.url}/v1", api_key="secret-1", max_retries=0) as right:
            assert right.models.list().data


def test_several_models(http: httpx.Client) -> None:
    with EmulatorServer(models=["a/one", "b/two"]) as nim:
        entries = http.get(f"{nim.url}/v1/models").json()["data"]
        assert [entry["id"] for entry in entries] == ["a/one", "b/two"]
        # A 2.x engine takes its first model when the request names none.
        answer = http.post(f"{nim.url}/v1/completions", json={"prompt": "x"})
        assert answer.json()["model"] == "a/one"
