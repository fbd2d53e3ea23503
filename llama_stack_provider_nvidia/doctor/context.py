"""One configured NIM under check, and what earlier checks found out about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..config.endpoint import EndpointConfig
from ..config.endpoints import make_endpoints
from ..config.provider import NVIDIAConfig
from ..nim.dialect import Dialect
from ..nim.discovery.finding import Finding
from ..nim.endpoint import Endpoint
from ..nim.errors.redact import secrets_in
from ..nim.model_facts.model_ids import Kind, ModelEntry, kind_of, served_id
from ..nim.model_facts.overrides import ModelFacts
from ..nim.transport.http_client import HTTPClientFactory
from ..nim.transport.network import NetworkConfig
from .results import CheckSkippedError

REQUEST_TIMEOUT = 5.0
"""Seconds that a simple request may take."""
DEFAULT_MODEL = "meta/llama-3.1-8b-instruct"
"""A chat model that nearly every account can call."""


@dataclass
class CheckContext:
    """One NIM of a configuration.

    Attributes:
        config: Settings of the provider.
        address: Settings of this NIM.
        endpoint: The client for it.
        wanted: Ids of the models to call; empty for any.
        alone: It is the only NIM, so a wanted model must be here.
        finding: Its dialect, once known.
        models: The models it lists, once known.
        socket_addresses: Hosts and ports to connect to, once the name is resolved.
        request_timeout: Seconds that a simple request may take.
    """

    config: NVIDIAConfig
    address: EndpointConfig
    endpoint: Endpoint
    wanted: Sequence[str] = ()
    alone: bool = True
    finding: Finding | None = None
    models: list[ModelEntry] = field(default_factory=list)
    socket_addresses: list[tuple[str, int]] = field(default_factory=list)
    request_timeout: float = REQUEST_TIMEOUT

    @property
    def network(self) -> NetworkConfig:
        """Settings of the connection."""
        return self.address.network or self.config.network

    @cached_property
    def _factory(self) -> HTTPClientFactory:
        """Made once, because reading the CA certificates takes longer than a request."""
        return HTTPClientFactory(self.network)

    @property
    def facts(self) -> ModelFacts:
        """The known facts about models, as the configuration corrects them."""
        return self.endpoint.settings.facts

    async def speaks_hosted(self) -> bool:
        """Return whether the NIM answers as the hosted catalogue does, wherever it is."""
        return (await self.endpoint.finding()).dialect is Dialect.HOSTED

    @property
    def host(self) -> str:
        """Host name or IP address."""
        return urlsplit(self.endpoint.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port."""
        parts = urlsplit(self.endpoint.url)
        return parts.port or {"http": 80, "https": 443}[parts.scheme]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials that its requests carry, to be redacted from what it says."""
        return secrets_in({**self._factory.headers, "Authorization": self.address.key or ""})

    async def request(
        self, path: str, *, trace: Any = None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Send one request with the configured key, TLS, proxy and headers.

        Args:
            path: Below the endpoint, or a full URL.
            trace: Called at each step; see httpx's ``trace`` extension.
            body: JSON to post; without it the method is GET.

        Raises:
            httpx.HTTPError: There was no response.
        """
        factory = self._factory
        url = path if "://" in path else f"{self.endpoint.url}{path}"
        headers = dict(factory.headers)
        if self.address.key:
            headers["Authorization"] = f"Bearer {self.address.key}"
        timeout = httpx.Timeout(self.request_timeout)
        async with factory.make(timeout, traced=trace is not None) as client:
            return await client.request(
                "GET" if body is None else "POST",
                url,
                json=body,
                headers=headers,
                extensions={"trace": trace} if trace else {},
            )

    def choose_model(self, kind: Kind) -> str:
        """Choose the model of a kind to call.

        Raises:
            CheckSkippedError: There is none, or the user wants another.
        """
        listed = [entry for entry in self.models if entry.kind is kind]
        ids = [entry.id for entry in listed]
        if kind is Kind.RERANK:
            ids += self.config.rerank_model_to_url
        if self.wanted:
            for wanted in self.wanted:
                found = served_id(wanted, ids)
                # The hosted catalogue lists no rerank models.
                unlisted = self.endpoint.is_hosted and kind is Kind.RERANK is kind_of(found)
                if found in ids or unlisted:
                    return found
            raise CheckSkippedError(f"--model names no {kind} model that is here")
        if not ids:
            more = "; --model tries one" if kind is Kind.RERANK and self.endpoint.is_hosted else ""
            raise CheckSkippedError(f"no {kind} model here{more}")
        if kind is Kind.LLM:
            chats = [
                one.id
                for one in listed
                if not one.parent and self.facts.profile(one.id).task == "chat"
            ]
            return DEFAULT_MODEL if DEFAULT_MODEL in ids else (chats or ids)[0]
        return ids[0]


def unlisted_models(wanted: Sequence[str], among: Sequence[CheckContext]) -> list[str]:
    """Return the wanted models that no NIM lists."""
    ids = [entry.id for context in among for entry in context.models]
    ids += [one for context in among for one in context.config.rerank_model_to_url]
    missing = [one for one in wanted if served_id(one, ids) not in ids]
    if any(context.endpoint.is_hosted for context in among):
        missing = [one for one in missing if kind_of(one) is not Kind.RERANK]
    return missing


def check_contexts(
    config: NVIDIAConfig, wanted: Sequence[str] = (), *, alone: bool = True
) -> list[CheckContext]:
    """Return a context for each NIM of a configuration; nothing is sent yet.

    Requests are not retried, so that a failure shows at once.

    Args:
        config: Settings of the provider.
        wanted: Ids of the models to call.
        alone: There is no other provider.
    """
    once = config.model_copy(update={"max_retries": 0, "connect_timeout": REQUEST_TIMEOUT})
    pairs = list(zip(config.endpoint_configs(), make_endpoints(once), strict=True))
    return [
        CheckContext(config, address, endpoint, wanted, alone=alone and len(pairs) == 1)
        for address, endpoint in pairs
    ]
