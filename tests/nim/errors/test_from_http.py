import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors import from_report, from_status, types
from llama_stack_provider_nvidia.nim.errors.body import message_in, status_in

from ...strategies import json_values

EXTRA = "[{'type': 'extra_forbidden', 'loc': ('body', 'guided_json')}]"

# Status and body, as the generations of NIM send them, and the text to be found.
BODIES = [
    pytest.param(
        400,
        {
            "object": "error",
            "message": EXTRA,
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        EXTRA,
        id="NIM 1",
    ),
    pytest.param(
        404,
        {
            "error": {
                "message": "The model `x` does not exist.",
                "type": "NotFoundError",
                "code": 404,
            }
        },
        "The model `x` does not exist.",
        id="vLLM",
    ),
    pytest.param(
        400,
        {"message": "Validation: Unsupported parameter(s): `nvfoo`", "type": "Bad Request"},
        "Validation: Unsupported parameter(s): `nvfoo`",
        id="Dynamo",
    ),
    pytest.param(400, {"error": EXTRA}, EXTRA, id="error is text"),
    pytest.param(400, "unknown field 'X', expected one of a", "unknown field 'X'", id="text"),
    pytest.param(
        401,
        {"timestamp": "t", "path": "/v1", "status": 401, "error": "Unauthorized", "requestId": "r"},
        "Unauthorized",
        id="no key",
    ),
    pytest.param(402, {"detail": "Out of credits", "type": "x"}, "Out of credits", id="credits"),
    pytest.param(
        403,
        {"status": 403, "title": "Forbidden", "detail": "Authorization failed"},
        "Authorization failed",
        id="bad key",
    ),
    pytest.param(
        404,
        {"status": 404, "title": "Not Found", "detail": "Function '0': Not found for account 'a'"},
        "Function '0': Not found for account 'a'",
        id="not for this account",
    ),
    pytest.param(404, "404 page not found", "404 page not found", id="plain text"),
    pytest.param(
        410,
        {"type": "about:blank", "title": "Gone", "status": 410, "detail": "end of life on 2026"},
        "end of life on 2026",
        id="retired",
    ),
    pytest.param(
        422,
        {"detail": [{"loc": ["body", "seed"], "msg": "too small", "type": "x"}, {"msg": "two"}]},
        "seed: too small; two",
        id="FastAPI",
    ),
    pytest.param(
        422,
        {"title": "Unprocessable Entity", "status": 422, "detail": "body -> f\n  Extra inputs"},
        "body -> f Extra inputs",
        id="gateway's validation",
    ),
    pytest.param(
        429, {"status": 429, "title": "Too Many Requests"}, "Too Many Requests", id="rate"
    ),
    pytest.param(429, b"", "", id="rate without a body"),
    pytest.param(500, b"", "", id="empty body"),
    pytest.param(503, b"ResourceExhausted: limit (32/32)", "ResourceExhausted", id="load"),
    pytest.param(504, b"<!DOCTYPE html><html>...", "an HTML page", id="HTML"),
    pytest.param(502, "  <html>\n<body>", "an HTML page", id="HTML with space"),
    pytest.param(529, {"message": "overloaded", "code": 529}, "overloaded", id="Dynamo's load"),
    pytest.param(
        400,
        {
            "message": "Invalid request",
            "type": "Bad Request",
            "code": 400,
            "details": {"type": "context_length", "limit": 2048, "actual": 20015},
        },
        "Invalid request (type context_length, limit 2048, actual 20015)",
        id="Dynamo's details",
    ),
    pytest.param(
        500,
        {"message": "Internal server error", "code": 500, "details": {"backend_status": 500}},
        "Internal server error (backend_status 500)",
        id="Dynamo's engine",
    ),
    pytest.param(
        400,
        {"error": {"message": "Bad Request", "code": 400, "details": ["no such regex", {"at": 3}]}},
        "Bad Request (no such regex, at 3)",
        id="nested details",
    ),
    pytest.param(
        400, {"error": "no", "reason": "the lamp is out"}, "no (the lamp is out)", id="reason"
    ),
    pytest.param(400, {"details": {"limit": 1.5}}, "limit 1.5", id="details alone"),
    pytest.param(
        400, {"message": "the lamp is out", "reason": "lamp"}, "the lamp is out", id="said twice"
    ),
]

CLASSES = {
    400: (errors.InvalidRequestError, ValueError, 400),
    401: (errors.AuthenticationError, Exception, 401),
    402: (errors.PermissionDeniedError, PermissionError, 402),
    403: (errors.PermissionDeniedError, PermissionError, 403),
    307: (errors.ServerError, Exception, 502),
    404: (errors.ModelNotFoundError, ValueError, 404),
    408: (errors.NIMTimeoutError, TimeoutError, 504),
    410: (errors.ModelWithdrawnError, ValueError, 410),
    413: (errors.InvalidRequestError, ValueError, 413),
    422: (errors.InvalidRequestError, ValueError, 422),
    429: (errors.RateLimitError, Exception, 429),
    499: (errors.InvalidRequestError, ValueError, 499),
    500: (errors.ServerError, Exception, 500),
    502: (errors.ServerError, Exception, 502),
    503: (errors.ServerError, Exception, 503),
    504: (errors.NIMTimeoutError, TimeoutError, 504),
    529: (errors.ServerError, Exception, 529),
}


@pytest.mark.parametrize("as_bytes", [False, True], ids=["decoded", "bytes"])
@pytest.mark.parametrize(("status", "body", "said"), BODIES)
def test_reason_is_found_in_every_family_of_bodies(status, body, said, as_bytes):
    if as_bytes:
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        body = body.encode() if isinstance(body, str) else body
    error = from_status(status, body, model="m", endpoint="http://nim/v1", request_id="r-1")
    assert f"NIM answered {error.status_code}" in str(error)
    assert (said or "gave no reason") in str(error)
    assert said in message_in(body)
    for part in ("model m", "endpoint http://nim/v1", "request id r-1"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            {"error": {"message": "This model's maximum context length is 2048 tokens."}},
            ["2048"],
            id="vLLM",
        ),
        pytest.param(
            {
                "message": "Invalid request",
                "type": "Bad Request",
                "code": 400,
                "details": {"type": "context_length", "limit": 2048, "actual": 20015},
            },
            ["limit 2048", "actual 20015"],
            id="Dynamo",
        ),
        pytest.param(
            {
                "error": {
                    "code": 400,
                    "message": "request (3031 tokens) exceeds the available context size (1024 "
                    "tokens), try increasing it",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 3031,
                    "n_ctx": 1024,
                }
            },
            ["3031 tokens", "1024 tokens"],
            id="llama.cpp",
        ),
        pytest.param(
            {"error": {"message": "Too long", "code": "context_length_exceeded"}}, [], id="OpenAI"
        ),
        pytest.param(
            {"error": {"message": "no", "details": {"type": "context_length", "limit": 9}}},
            ["limit 9"],
            id="nested details",
        ),
        pytest.param(
            {"message": "no", "detail": {"type": "context_length", "limit": 9}},
            ["limit 9"],
            id="detail",
        ),
    ],
)
@pytest.mark.parametrize("in_stream", [False, True], ids=["status", "event"])
def test_a_prompt_that_is_too_long(body, said, in_stream):
    error = from_report(body) if in_stream and body.get("code") == 400 else from_status(400, body)
    assert (error.code, error.status_code) == ("context_length_exceeded", 400)
    assert all(part in error.message for part in said)
    assert "max_tokens" in error.message


@pytest.mark.parametrize("status", CLASSES)
def test_status_decides_class_base_and_status(status):
    kind, base, code = CLASSES[status]
    error = from_status(status, {"message": "no"})
    assert isinstance(error, kind)
    assert isinstance(error, base)
    assert isinstance(error, errors.NIMError)
    assert error.status_code == code
    assert type(error).__name__ == kind.__name__


@pytest.mark.parametrize("status", CLASSES)
def test_error_says_what_to_do(status):
    remedied = from_status(status, {"message": "no"}).message
    assert len(remedied) > len(f"NIM answered {status}: no.")
    assert remedied.endswith(".")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NIMError, 500),
        (errors.InvalidRequestError, 400),
        (errors.ModelNotFoundError, 404),
        (errors.AuthenticationError, 401),
        (errors.PermissionDeniedError, 403),
        (errors.RateLimitError, 429),
        (errors.NIMTimeoutError, 504),
        (errors.NIMConnectionError, 502),
        (errors.ServerError, 502),
    ],
)
def test_each_class_has_its_own_status_and_a_plain_text(kind, status):
    error = kind("what happened")
    assert error.status_code == status
    assert error.message == "what happened"
    assert str(error) == f"what happened (code {kind.default_code})"
    assert (error.model, error.endpoint, error.request_id, error.field) == (None,) * 4
    assert kind("x", status_code=418).status_code == 418


def test_stack_that_maps_its_own_class_knows_a_missing_key():
    assert isinstance(errors.AuthenticationError("x"), stack.AuthenticationRequiredError)
    assert type(errors.AuthenticationError("x")).__module__ == types.__name__


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"error": {"code": 500}}, id="error without text"),
        pytest.param({}, id="empty"),
        pytest.param([], id="empty list"),
        pytest.param(None, id="null"),
        pytest.param(5, id="number"),
        pytest.param({"message": None, "detail": 5}, id="no texts"),
        pytest.param("[" * 900 + "]" * 900, id="nested"),
        pytest.param(b"[" * 100_000, id="nested endlessly"),
    ],
)
def test_body_without_a_text_gives_none(body):
    assert message_in(body) == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({"detail": [{"loc": 5, "msg": "x"}]}, "x", id="odd location"),
        pytest.param({"detail": [{"loc": None, "msg": "x"}]}, "x", id="null location"),
        pytest.param({"detail": [{"loc": ["body"], "msg": "x"}]}, "x", id="no location"),
        pytest.param({"detail": ["a", {"message": "b"}, 5]}, "a; b", id="mixed"),
        pytest.param({"detail": [{"loc": ["a", 0]}]}, "", id="location alone"),
        pytest.param({"error": {"detail": [{"msg": "x"}]}}, "x", id="nested"),
        pytest.param(b'"text"', '"text"', id="JSON text"),
        pytest.param("5", "5", id="JSON number"),
        pytest.param(b"\xff\xfe", "\ufffd\ufffd", id="no UTF-8"),
        pytest.param("x" * 9999, "x" * 500, id="long"),
        pytest.param({"message": "", "title": "t"}, "t", id="empty text"),
    ],
)
def test_odd_bodies_are_read(body, said):
    assert message_in(body) == said


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: nvapi-Ab1_secret-secret.",
        "key sk-abcdefsecret is refused",
        "header Authorization: Bearer abc.def-secret=",
    ],
)
@pytest.mark.parametrize("wrap", [str, lambda t: {"error": {"message": t}}, str.encode])
def test_key_that_a_server_quotes_is_blotted_out(text, wrap):
    error = from_status(401, wrap(text))
    assert "secret" not in str(error)
    assert "***" in str(error)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 404}, 404),
        ({"error": {"code": 429}}, 429),
        ({"status": 503, "title": "x"}, 503),
        ({"error": {"code": "bad_request"}}, 500),
        ({"error": "text", "code": 400}, 400),
        ({"code": 200}, 500),
        ({"code": True}, 500),
        ({"code": None, "status": 401}, 401),
        ("text", 500),
        (None, 500),
    ],
)
def test_status_of_an_error_report_in_a_stream(body, status):
    assert status_in(body) == status


@given(json_values | st.text() | st.binary(), st.integers(0, 999))
def test_any_body_with_any_status_makes_an_error(body, status):
    assert isinstance(message_in(body), str)
    error = from_status(status, body)
    assert isinstance(error, errors.NIMError)
    assert str(error).startswith("NIM answered ")
    assert 400 <= status_in(body) < 600


FAMILIES = {
    "listed, not callable": (
        404,
        {"status": 404, "detail": "Function '0-0': Not found for account 'abc'"},
        errors.ModelWithdrawnError,
        404,
        "this account cannot call it",
    ),
    "a wrong name": (
        404,
        "404 page not found",
        errors.ModelNotFoundError,
        404,
        "Check the model's name",
    ),
    "withdrawn": (410, {"title": "Gone"}, errors.ModelWithdrawnError, 410, "withdrawn"),
    "out of order": (
        400,
        {"detail": "Function id '0-0': DEGRADED function cannot be invoked"},
        errors.ServerError,
        503,
        "out of order at NVIDIA",
    ),
    "a text of the caller's that is quoted": (
        400,
        {"message": "1 validation error: input_value='The service is DEGRADED'"},
        errors.InvalidRequestError,
        400,
        "change what it names",
    ),
    "a service of one's own that is slow": (
        500,
        {"message": "Performance degraded: out of memory"},
        errors.ServerError,
        500,
        "its log",
    ),
    "overloaded": (
        503,
        "ResourceExhausted: Worker local total request limit reached (32/32)",
        errors.ServerError,
        503,
        "overloaded",
    ),
    "cold": (504, "<html>", errors.NIMTimeoutError, 504, "may be starting"),
    "an empty 429": (429, "", errors.RateLimitError, 429, "wants fewer requests"),
    "a long prompt": (
        400,
        {"message": "This model's maximum context length is 8192 tokens."},
        errors.InvalidRequestError,
        400,
        "shorter prompt",
    ),
    "a long text to embed": (
        400,
        {"message": "maximum context length is 512 in the input for embedding generation"},
        errors.InvalidRequestError,
        400,
        "change what it names",
    ),
    "too many bytes": (413, "<html>", errors.InvalidRequestError, 413, "smaller images"),
    "starting": (503, {"message": "not ready"}, errors.ServerError, 503, "is ready"),
    "broken": (500, "", errors.ServerError, 500, "its log"),
    "no credits": (402, {"detail": "pay"}, errors.PermissionDeniedError, 402, "credits"),
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "becomes", "advice"), FAMILIES.values(), ids=FAMILIES.keys()
)
def test_each_family_of_refusals_has_its_own_advice(status, body, kind, becomes, advice):
    error = errors.from_status(status, body)
    assert type(error).__mro__.index(kind) <= 1
    assert error.status_code == becomes
    assert advice in error.message


@pytest.mark.parametrize(
    ("sent_key", "advice"),
    [(True, "refuses the API key that was sent"), (False, "wants an API key"), (None, "wants an")],
)
def test_a_missing_key_is_told_apart_from_a_wrong_one(sent_key, advice):
    assert advice in errors.from_status(401, {}, sent_key=sent_key).message
