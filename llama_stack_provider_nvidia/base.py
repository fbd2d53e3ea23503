"""What every call needs: the NIM, its name of the model, and the key."""

from collections.abc import Callable
from typing import Any

from . import stack
from .address import usable_key
from .config import NVIDIAConfig
from .endpoints import make_endpoints
from .nim.endpoint import Endpoint
from .nim.errors import invalid
from .nim.targets import Target, find_target


class NIMProvider(stack.NeedsRequestProviderData):  # type: ignore[misc]
    """The NIMs as one Llama Stack server is configured to use them.

    Attributes:
        config: From run.yaml.
        endpoints: The NIMs, in the order of the configuration.
        model_store: Set by the stack: knows the models that users registered.
        counts_tokens: Tells whether the stack counts the tokens of the stream that is asked for.
    """

    # OGX lets a request name its key after the provider's id, and hands it over under this name.
    provider_data_api_key_field = "nvidia_api_key"

    def __init__(self, config: NVIDIAConfig) -> None:
        self.config = config
        self.model_store: Any = None
        self.counts_tokens: Callable[[], bool] = lambda: False
        self.endpoints = make_endpoints(config)

    @property
    def endpoint(self) -> Endpoint:
        """The first NIM, which gets what no other is known to serve."""
        return self.endpoints[0]

    async def target(self, model_id: str) -> Target:
        """Find the NIM that serves a model, and its own id of it.

        Raises:
            InvalidRequestError: The stack does not know the model.
            ModelNotFoundError: No NIM serves it.
        """
        return await find_target(self.endpoints, await self.known_id(model_id), self.request_key())

    async def known_id(self, model_id: str) -> str:
        """Give what a model is registered as: the NIM's id, or another name of it.

        Raises:
            InvalidRequestError: The stack does not know the model.
        """
        if not isinstance(model_id, str) or not model_id:
            raise invalid("model_id", "is empty: it must name a registered model")
        # Later stacks hand over the NIM's id in the place of their own.
        if not stack.NATIVE or self.model_store is None:
            return model_id
        model = await self.model_store.get_model(model_id)
        if model is None:
            raise invalid("model_id", f"{model_id!r} is not registered with this stack")
        return str(model.provider_resource_id or model_id)

    def request_key(self) -> str | None:
        """Give the API key that the request itself brought, None if it brought none.

        Raises:
            InvalidRequestError: It brought one that cannot be used: the server's own key must
                not stand in for it.
        """
        if getattr(self, "__provider_spec__", None) is None:  # made by hand, outside a stack
            return None
        data = self.get_request_provider_data()
        if data is None or data.nvidia_api_key is None:
            return None
        try:
            return usable_key(data.nvidia_api_key.get_secret_value())
        except ValueError as error:
            raise invalid("provider data nvidia_api_key", str(error)) from None
