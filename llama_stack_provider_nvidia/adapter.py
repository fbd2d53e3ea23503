"""The inference adapter: lifecycle and health, joined with the methods of ``api``."""

import asyncio
import contextlib
import logging
from typing import Any

from . import stack
from .api.anthropic import AnthropicMixin
from .api.embeddings_rerank import EmbeddingsRerankMixin
from .api.model_registry import ModelRegistryMixin
from .api.openai import OpenAIMixin
from .nim.endpoint import Endpoint
from .nim.errors import NIMError

__all__ = ["NVIDIAInferenceAdapter"]

logger = logging.getLogger(__name__)

stack.tie_errors()

# The calls that only some releases have are joined where the protocol has them.
_OPTIONAL: list[type] = []
if stack.NATIVE:
    from .api.native import NativeMixin

    _OPTIONAL.append(NativeMixin)
if stack.ANTHROPIC:
    _OPTIONAL.append(AnthropicMixin)


class NVIDIAInferenceAdapter(
    OpenAIMixin,
    EmbeddingsRerankMixin,
    ModelRegistryMixin,
    *_OPTIONAL,  # type: ignore[misc]
    stack.protocol_base(),  # type: ignore[misc]
):
    """Carries every inference call of a Llama Stack server to a NIM."""

    async def initialize(self) -> None:
        """Detect what each endpoint is. One that is down does not stop the stack."""
        await asyncio.gather(*(self._detect(endpoint) for endpoint in self.endpoints))

    async def _detect(self, endpoint: Endpoint) -> None:
        finding = await endpoint.finding()
        if len(self.endpoints) > 1:  # what each lists decides where requests go
            with contextlib.suppress(NIMError):
                await endpoint.catalogue.models()
        logger.info("NVIDIA NIM at %s: %s", endpoint.url, finding.dialect)
        if endpoint.is_hosted and not endpoint.has_key:
            logger.warning(
                "No API key for NVIDIA's hosted catalogue: each request must bring its own "
                "(nvidia_api_key in the provider data), or set NVIDIA_API_KEY."
            )
        if not endpoint.checks_certificates:
            logger.warning(
                "TLS certificate verification is off for %s (network.tls.verify is false): "
                "anybody on the way can read keys and responses. Name the CA's file there "
                "instead.",
                endpoint.url,
            )

    async def shutdown(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(endpoint.aclose() for endpoint in self.endpoints))

    async def health(self) -> dict[str, Any]:
        """Report whether the NIMs can take requests.

        Returns:
            ``status`` and ``message`` as the stack reads them. Below ``endpoints``, for each NIM:
            ``name``, ``live`` (it answers), ``ready`` (it can take requests) and ``message``.
        """
        found = await asyncio.gather(*(endpoint.health() for endpoint in self.endpoints))
        several = len(found) > 1
        messages = [
            f"{endpoint.name}: {health.message}" if several else health.message
            for endpoint, health in zip(self.endpoints, found, strict=True)
            if not health.ready or all(one.ready for one in found)
        ]
        ready = all(health.ready for health in found)
        return {
            "status": stack.HealthStatus.OK if ready else stack.HealthStatus.ERROR,
            "message": "; ".join(messages),
            "endpoints": [
                {
                    "name": endpoint.name,
                    "live": health.live,
                    "ready": health.ready,
                    "message": health.message,
                }
                for endpoint, health in zip(self.endpoints, found, strict=True)
            ],
        }
