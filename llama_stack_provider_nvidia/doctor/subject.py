"""What is checked: one NIM, as a configuration names it, and what earlier checks found out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..address import EndpointConfig
from ..config import NVIDIAConfig
from ..endpoints import make_endpoints
from ..nim.discovery.detect import Finding
from ..nim.discovery.models import Kind, ModelEntry, kind_of, served_id
from ..nim.endpoint import Endpoint
from ..nim.requests.profiles import profile_of
from ..nim.transport.network import NetworkConfig, Road
from .outcome import SkippedError

ASK_SECONDS = 5.0
"""How long a simple question may take."""
USUAL_MODEL = "meta/llama-3.1-8b-instruct"
"""The chat model that nearly every account can call."""


@dataclass
class Subject:
    """One NIM of a configuration.

    Attributes:
        config: What it belongs to.
        address: Its own part of that.
        endpoint: The client side of it.
        wanted: Ids of the models to try; empty for whichever are there.
        alone: It is the only one, so that a wanted model must be here.
        finding: What it is, once that is known.
        models: What it lists, once that is known.
        targets: Addresses and port that connections are made to, once the name is resolved.
    """

    config: NVIDIAConfig
    address: EndpointConfig
    endpoint: Endpoint
    wanted: Sequence[str] = ()
    alone: bool = True
    finding: Finding | None = None
    models: list[ModelEntry] = field(default_factory=list)
    targets: list[tuple[str, int]] = field(default_factory=list)

    @property
    def network(self) -> NetworkConfig:
        """How it is reached."""
        return self.address.network or self.config.network

    @cached_property
    def _road(self) -> Road:
        """Made once: reading the CA certificates takes longer than an answer."""
        return Road(self.network)

    @property
    def host(self) -> str:
        """Its name or address."""
        return urlsplit(self.endpoint.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.endpoint.url)
        return parts.port or {"http": 80, "https": 443}[parts.scheme]

    async def ask(
        self, path: str, *, trace: Any = None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Ask it directly, once, with the configured key, TLS, proxy and headers.

        Args:
            path: Below the endpoint, or a full URL.
            trace: Told of each step, see httpx's extension of that name.
            body: Posted if given.

        Raises:
            httpx.HTTPError: There was no answer.
        """
        road = self._road
        url = path if "://" in path else f"{self.endpoint.url}{path}"
        headers = dict(road.headers)
        if self.address.key:
            headers["Authorization"] = f"Bearer {self.address.key}"
        async with road.client(httpx.Timeout(ASK_SECONDS)) as client:
            return await client.request(
                "GET" if body is None else "POST",
                url,
                json=body,
                headers=headers,
                extensions={"trace": trace} if trace else {},
            )

    def model(self, kind: Kind) -> str:
        """Choose the model of a kind to try.

        Raises:
            SkippedError: There is none, or none that the user wants tried.
        """
        listed = [entry for entry in self.models if entry.kind is kind]
        ids = [entry.id for entry in listed]
        if self.wanted:
            for wanted in self.wanted:
                found = served_id(wanted, ids)
                # The hosted catalogue lists no rerank models.
                unlisted = self.endpoint.is_hosted and kind is Kind.RERANK is kind_of(found)
                if found in ids or unlisted:
                    return found
            raise SkippedError(f"--model names no {kind} model that is here")
        if kind is Kind.RERANK:
            ids += self.config.rerank_model_to_url
        if not ids:
            more = "; --model tries one" if kind is Kind.RERANK and self.endpoint.is_hosted else ""
            raise SkippedError(f"no {kind} model here{more}")
        if kind is Kind.LLM:
            chats = [one.id for one in listed if not one.parent and _chats(one.id)]
            return USUAL_MODEL if USUAL_MODEL in ids else (chats or ids)[0]
        return ids[0]


def unserved(wanted: Sequence[str], among: Sequence[Subject]) -> list[str]:
    """Give those of the wanted models that no NIM lists, as far as these say what they serve."""
    ids = [entry.id for subject in among for entry in subject.models]
    missing = [one for one in wanted if served_id(one, ids) not in ids]
    if any(subject.endpoint.is_hosted for subject in among):
        missing = [one for one in missing if kind_of(one) is not Kind.RERANK]
    return missing


def _chats(model: str) -> bool:
    return profile_of(model).task == "chat"


def subjects(
    config: NVIDIAConfig, wanted: Sequence[str] = (), *, alone: bool = True
) -> list[Subject]:
    """Make the subjects that a configuration names; nothing is sent yet.

    Requests are tried once, so that what is wrong shows at once.

    Args:
        config: The provider's.
        wanted: Ids of the models to try.
        alone: There is no other provider.
    """
    once = config.model_copy(update={"max_retries": 0, "connect_timeout": ASK_SECONDS})
    pairs = list(zip(config.addresses(), make_endpoints(once), strict=True))
    return [
        Subject(config, address, endpoint, wanted, alone=alone and len(pairs) == 1)
        for address, endpoint in pairs
    ]
