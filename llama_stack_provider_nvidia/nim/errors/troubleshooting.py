"""The one table of errors: code, class, HTTP status, cause and remedy.

A code is set where an error is made; all else about it stands in its row. docs/errors.md is written
from the table, ``doctor`` shows the remedies, and ``tests/matrix/test_error_table.py`` brings each
row about on a real server.
"""

from . import types
from .cause import Cause, When
from .transport_causes import TRANSPORT_CAUSES

# Of the few codes of the Responses API this is the one for a request that cannot be carried out.
_INVALID = "invalid_prompt"

CAUSES = (
    # Refused before it is sent.
    Cause(
        "invalid_field",
        "A field of the request is invalid",
        types.InvalidRequestError,
        "Change the field that the text begins with. Nothing was sent.",
        openai_code=_INVALID,
        unsent=True,
    ),
    Cause(
        "unsupported_field",
        "This NIM does not support a field",
        types.InvalidRequestError,
        "Leave the field out, or use a NIM that supports it. If the NIM is not of the dialect that "
        "the text names, set `dialect`.",
        page="nim.md",
        openai_code=_INVALID,
        unsent=True,
    ),
    Cause(
        "invalid_base64_image",
        "The data of an image is not valid base64",
        types.InvalidRequestError,
        "Encode the image file as base64 again, whole and with its padding.",
        unsent=True,
    ),
    Cause(
        "invalid_image_url",
        "The URL of an image is not valid",
        types.InvalidRequestError,
        "Send a URL that begins with https:// or http://, or a data URL: "
        "data:image/<type>;base64,<data>.",
        unsent=True,
    ),
    Cause(
        "failed_to_download_image",
        "An image could not be downloaded",
        types.InvalidRequestError,
        "Check the image's URL, or send the image as a data URL.",
        unsent=True,
    ),
    Cause(
        "malformed_api_key",
        "The API key in the request's provider data is malformed",
        types.InvalidRequestError,
        "Send the key alone, without spaces or line ends.",
        page="keys.md",
        openai_code="invalid_api_key",
        unsent=True,
    ),
    # Refused by the NIM.
    Cause(
        "request_refused",
        "The NIM refuses the request, often for one field",
        types.InvalidRequestError,
        "The NIM does not take this request: change what it names.",
        status=422,
        openai_code=_INVALID,
    ),
    Cause(
        "context_length_exceeded",
        "The prompt and the tokens asked for exceed the model's context length",
        types.InvalidRequestError,
        "Send a shorter prompt, or ask for fewer tokens (max_tokens).",
    ),
    Cause(
        "request_too_large",
        "The request has too many bytes (413), often of images",
        types.InvalidRequestError,
        "Send less text or smaller images. A proxy in front of the NIM may have the limit.",
        status=413,
    ),
    Cause(
        "model_not_found",
        "The NIM does not serve the model (404)",
        types.ModelNotFoundError,
        "Check the model's name: `llama-stack-nvidia models` lists what the NIM serves. If it "
        "lists nothing, check the address.",
    ),
    Cause(
        "model_not_served",
        "No configured NIM serves the model",
        types.ModelNotFoundError,
        "Use a model that is served, or configure the NIM that serves this one in run.yaml: "
        "`endpoints`, or `rerank_model_to_url`. `model_validation: false` registers a model that "
        "is not served yet.",
    ),
    Cause(
        "model_not_available",
        "The model is listed, but not available to this account",
        types.ModelWithdrawnError,
        "The model may be listed, but this account cannot call it. Choose another model, or the "
        "key of an account that has it.",
    ),
    Cause(
        "model_withdrawn",
        "NVIDIA has withdrawn the model (410)",
        types.ModelWithdrawnError,
        "The model has been withdrawn: choose another.",
        status=410,
    ),
    Cause(
        "api_key_missing",
        "The NIM wants an API key, and there is none",
        types.AuthenticationError,
        "The NIM wants an API key: set `api_key` in run.yaml or NVIDIA_API_KEY, or send "
        "`nvidia_api_key` in the request's provider data.",
        page="keys.md",
        openai_code="invalid_api_key",
    ),
    Cause(
        "invalid_api_key",
        "The API key is wrong or has expired (401)",
        types.AuthenticationError,
        "The NIM refuses the API key that was sent: check that it is complete, not expired, and "
        "for this NIM.",
        page="keys.md",
    ),
    Cause(
        "permission_denied",
        "The API key does not permit this (403)",
        types.PermissionDeniedError,
        "The NIM refuses this API key: check that it is valid and may use this model.",
    ),
    Cause(
        "credits_exhausted",
        "The account has no credits left (402)",
        types.PermissionDeniedError,
        "The account's credits are used up: add some, or use the key of another account.",
        status=402,
        openai_code="insufficient_quota",
    ),
    Cause(
        "rate_limit_exceeded",
        "The NIM's rate limit is exceeded (429)",
        types.RateLimitError,
        "The NIM wants fewer requests: wait, or set `requests_per_minute` to what the account may "
        "send.",
        retried=True,
    ),
    Cause(
        "server_limit_exceeded",
        "The limits of this server let no more requests through",
        types.RateLimitError,
        "Try again later, or raise `max_concurrent_requests` or `requests_per_minute` in run.yaml.",
        openai_code="rate_limit_exceeded",
    ),
    # The NIM is not up to it.
    Cause(
        "no_worker",
        "Dynamo has no worker for the model: it has stopped, or has yet to start",
        types.ServerError,
        "Start a worker, and wait until the NIM lists the model: `llama-stack-nvidia models`.",
        status=503,
    ),
    Cause(
        "nim_not_ready",
        "The NIM is starting (503)",
        types.ServerError,
        "The NIM is starting or overloaded: wait until `llama-stack-nvidia doctor` says that it is "
        "ready. A large model takes minutes to load.",
        status=503,
        retried=True,
    ),
    Cause(
        "nim_overloaded",
        "The NIM has more requests than it can take",
        types.ServerError,
        "The NIM is overloaded: try again, or set `max_concurrent_requests`.",
        status=503,
        retried=True,
    ),
    Cause(
        "model_degraded",
        "A model of the hosted catalogue is out of order (DEGRADED)",
        types.ServerError,
        "The model is out of order at NVIDIA, whatever the request: try again later, or choose "
        "another model.",
        status=503,
    ),
    Cause(
        "nim_failed",
        "The NIM failed (500; a 502 is tried again)",
        types.ServerError,
        "The NIM failed: try again, and if it fails again, look for the reason in its log, by the "
        "request id.",
        status=500,
        when=When.BOTH,
    ),
    Cause(
        "generation_aborted",
        "The engine gave up in the middle of the response, by its finish reason",
        types.ServerError,
        "Try again. If it happens again, look for the reason in the NIM's log, by the request id: "
        "its limits of time or memory, or a worker that was lost.",
        when=When.BOTH,
    ),
    Cause(
        "nim_changed",
        "Another NIM has taken the place of the one that was known",
        types.ServerError,
        "Send the request again: it is now written for the new one.",
        status=503,
    ),
    Cause(
        "not_implemented",
        "The NIM does not implement what was asked for (501)",
        types.ServerError,
        "Trying again does not help: use a NIM or a model that implements it.",
        status=501,
    ),
    Cause(
        "unexpected_status",
        "The response has an HTTP status that does not exist",
        types.ServerError,
        "Check that `url` leads to a NIM, and the proxies in between.",
    ),
    Cause(
        "redirected",
        "The address redirects to another one",
        types.ServerError,
        "The address leads elsewhere, and a key is sent nowhere but to the configured one: set "
        "`url` to where it leads.",
    ),
    *TRANSPORT_CAUSES,
    # What the NIM sent.
    Cause(
        "response_too_large",
        "The response is too large: an event of 32 MiB, a stream of 1 GiB, or else 256 MiB",
        types.ServerError,
        "Check that a NIM answers there, and the proxies in between: no NIM sends so much.",
        when=When.LATER,
        whole=False,
    ),
    Cause(
        "unreadable_response",
        "The response is not what a NIM sends: no JSON, no choices, a wrong type",
        types.ServerError,
        "Check that `url` leads to a NIM: `llama-stack-nvidia doctor` tells whether a NIM answers "
        "there. If it does, try again.",
        page="nim.md#what-counts-as-an-answer",
        when=When.BOTH,
    ),
    Cause(
        "output_truncated",
        "The output reached `max_tokens` before it could fit the schema, regex or choice",
        types.InvalidRequestError,
        "Raise `max_tokens`, or ask for less.",
        page="structured-output.md",
        when=When.LATER,
        openai_code=_INVALID,
    ),
    Cause(
        "constraint_not_met",
        "The output does not fit the schema, regex or choice that was asked for",
        types.ServerError,
        "Set `dialect` if the NIM is not what it was taken for, or use a NIM that enforces the "
        "constraint.",
        page="structured-output.md",
        when=When.LATER,
    ),
    Cause(
        "constraint_not_checked",
        "The server had no time to check a schema or regex",
        types.ServerError,
        "Other requests bring constraints that take long to check: try again later.",
        page="security.md",
        status=503,
        when=When.BOTH,
    ),
    Cause(
        "vector_not_finite",
        "An embedding holds NaN, Infinity, null, or a number that 32 bits cannot hold",
        types.ServerError,
        "Send the inputs one by one to find the one that the model fails on, and look at the NIM's "
        "log.",
        when=When.NEVER,
    ),
    Cause(
        "caller_left",
        "The caller goes away in the middle of a stream",
        None,
        "Nothing: the NIM is told to stop. A response that is no stream is written to its end.",
        when=When.LATER,
        whole=False,
    ),
)

BY_CODE = {cause.code: cause for cause in CAUSES}


def remedy_for(code: str) -> str:
    """Return what to do about a cause, with the page of the documentation that says more."""
    cause = BY_CODE[code]
    return f"{cause.remedy} See docs/{cause.page}." if cause.page else cause.remedy
