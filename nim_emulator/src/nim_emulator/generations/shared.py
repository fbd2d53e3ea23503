"""Error texts and routes that several dialects share."""

from __future__ import annotations

TOO_MANY_TOKENS = (
    "This model's maximum context length is {context} tokens. However, you requested "
    "{total} tokens ({prompt} in the messages, {completion} in the completion). "
    "Please reduce the length of the messages or completion."
)
MANAGEMENT = {
    "/v1/health/ready": "ready",
    "/v1/health/live": "live",
    "/v1/version": "version",
    "/v1/metadata": "metadata",
    "/v1/license": "license",
}
"""Routes that a NIM container adds to its engine's."""
METRICS = {"/v1/metrics": "metrics"}
"""The route of the metrics of a NIM for LLMs."""

MODEL_ENTRY = (
    "id",
    "object",
    "created",
    "owned_by",
    "root",
    "parent",
    "max_model_len",
    "permission",
)
"""Fields of an entry of the model list, as vLLM has them."""
