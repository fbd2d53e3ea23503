"""From the configuration to the NIMs it names."""

from .address import EndpointConfig
from .config import NVIDIAConfig
from .nim.endpoint import Endpoint
from .nim.requests.prepare import Settings
from .nim.transport.client import Transport
from .nim.transport.retry import RetryPolicy
from .nim.transport.timing import TimeLimits


def make_endpoints(config: NVIDIAConfig) -> list[Endpoint]:
    """Make the client side of each configured NIM, in their order; nothing is sent yet."""
    return [_make(config, address) for address in config.addresses()]


def _make(config: NVIDIAConfig, address: EndpointConfig) -> Endpoint:
    transport = Transport(
        endpoint=address.endpoint,
        timeout=config.timeout,
        connect_timeout=config.connect_timeout,
        retry=RetryPolicy(tries=config.max_retries, seconds=config.retry_timeout),
        limits=TimeLimits(
            total=config.total_timeout,
            first=config.first_token_timeout,
            between=config.token_timeout,
        ),
        max_concurrent_requests=config.max_concurrent_requests,
        requests_per_minute=config.requests_per_minute,
        network=address.network or config.network,
    )
    settings = Settings(
        thinking=config.thinking,
        recover_tool_calls=config.recover_tool_calls,
        validate=config.structured_output == "validate",
        download_images=config.download_images,
    )
    return Endpoint(
        transport,
        key=address.key,
        dialect=address.dialect,
        settings=settings,
        name=address.name,
        models=address.models,
    )
