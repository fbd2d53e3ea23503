"""The provider: its life, its health and its models. The calls are in the classes it joins."""

import asyncio
import contextlib
import logging
from typing import Any

from . import stack
from .anthropic_api import AnthropicMethods
from .models_api import ModelMethods
from .nim.endpoint import Endpoint
from .nim.errors import NIMError

if stack.NATIVE:
    from .native import NativeMethods as _Native
else:
    from .retrieval import RetrievalMethods as _Native

logger = logging.getLogger(__name__)


class NVIDIAInferenceAdapter(
    AnthropicMethods,
    ModelMethods,
    _Native,
    stack.Protocol,  # type: ignore[misc]
):
    """Carries every inference call of a Llama Stack server to a NIM."""

    async def initialize(self) -> None:
        """Find out which NIMs answer. One that is down does not stop the stack."""
        await asyncio.gather(*(self._greet(endpoint) for endpoint in self.endpoints))

    async def _greet(self, endpoint: Endpoint) -> None:
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
                "The certificate of %s is not checked (network.tls.verify is false): anybody on "
                "the way can read keys and answers. Name the CA's file there instead.",
                endpoint.url,
            )

    async def shutdown(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(endpoint.aclose() for endpoint in self.endpoints))

    async def health(self) -> dict[str, Any]:
        """Tell the stack whether the NIMs are ready to answer.

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
