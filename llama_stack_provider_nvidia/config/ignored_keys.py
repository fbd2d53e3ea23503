"""Keys that upstream's own run.yaml files give an inference provider, and that do nothing there."""

import logging
from typing import Any

logger = logging.getLogger(__name__)

# run-with-safety.yaml of the NVIDIA distribution, from Llama Stack 0.2.0 to 0.7.3, repeats the
# safety provider's settings under `inference`, as a second entry with the same provider_id. Llama
# Stack keeps the last entry, so the `url` and `api_key` of the first are lost.
GUARDRAILS_KEYS = ("guardrails_service_url", "config_id")


def drop_ignored_keys(values: Any) -> Any:
    """Return the configuration without the keys that do nothing, and log a warning for them.

    Args:
        values: The configuration as it was given.
    """
    if not isinstance(values, dict):
        return values
    found = [key for key in GUARDRAILS_KEYS if key in values]
    if not found:
        return values
    logger.warning(
        "%s: ignored by an inference provider, no guardrails are applied here; they belong to the "
        "safety provider. If another inference entry has the same provider_id, Llama Stack drops "
        "it with its settings: remove the entry that holds these keys.",
        " and ".join(f"`{key}`" for key in found),
    )
    return {key: value for key, value in values.items() if key not in found}
