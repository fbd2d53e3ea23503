"""Creation of the endpoints that a configuration names."""

from ..nim.endpoint import Endpoint
from ..nim.settings import Settings
from ..nim.transport.client_pool import TransportSettings
from ..nim.transport.deadlines import TimeLimits
from ..nim.transport.retry import RetryPolicy
from .endpoint import EndpointConfig
from .model_overrides import make_model_facts
from .provider import NVIDIAConfig


def make_endpoints(config: NVIDIAConfig) -> list[Endpoint]:
    """Return the client of each configured NIM, in their order, without sending anything."""
    return [_make(config, endpoint) for endpoint in config.endpoint_configs()]


def _make(config: NVIDIAConfig, endpoint: EndpointConfig) -> Endpoint:
    transport = TransportSettings(
        endpoint=endpoint.api_url,
        timeout=config.timeout,
        connect_timeout=config.connect_timeout,
        retry=RetryPolicy(retries=config.max_retries, seconds=config.retry_timeout),
        limits=TimeLimits(
            total=config.total_timeout,
            first=config.first_token_timeout,
            between=config.token_timeout,
        ),
        max_concurrent_requests=config.max_concurrent_requests,
        requests_per_minute=config.requests_per_minute,
        network=endpoint.network or config.network,
    )
    settings = Settings(
        thinking=config.thinking,
        recover_tool_calls=config.recover_tool_calls,
        validate=config.structured_output == "validate",
        download_images=config.download_images,
        facts=make_model_facts(config.model_overrides),
    )
    return Endpoint(
        transport,
        key=endpoint.key,
        dialect=endpoint.dialect,
        settings=settings,
        name=endpoint.name,
        models=endpoint.models,
    )
