"""Base of the API mixins: a model's endpoint, and the request's API key."""

from collections.abc import Callable

from .. import stack
from ..config.endpoint import usable_key
from ..config.endpoints import make_endpoints
from ..config.provider import NVIDIAConfig
from ..nim.endpoint import Endpoint
from ..nim.errors import InvalidRequestError, invalid
from ..nim.routing import Target, find_target


class NIMProvider(stack.provider_data_base()):  # type: ignore[misc]
    """The NIMs as one Llama Stack server is configured to use them.

    Attributes:
        config: From run.yaml.
        endpoints: The NIMs, in the order of the configuration.
        model_store: The stack's registry of models, set by the stack.
        counts_tokens: Returns whether the stack records the token usage of the current request.
    """

    # OGX lets a request name its key after the provider's id, and hands it over under this name.
    provider_data_api_key_field = "nvidia_api_key"

    def __init__(self, config: NVIDIAConfig) -> None:
        self.config = config
        self.model_store: stack.ModelStore | None = None
        self.counts_tokens: Callable[[], bool] = lambda: False
        self.endpoints = make_endpoints(config)

    @property
    def endpoint(self) -> Endpoint:
        """The first endpoint, which gets requests for models that no other is known to serve."""
        return self.endpoints[0]

    @property
    def provider_id(self) -> str:
        """The provider's name in run.yaml, set by the stack once it is loaded."""
        return getattr(self, "__provider_id__", "nvidia")

    async def target(self, model_id: str) -> Target:
        """Return the endpoint that serves a model, and the NIM's id of the model.

        Raises:
            InvalidRequestError: The stack does not know the model.
            ModelNotFoundError: No NIM serves it.
        """
        stack.leave_out_tracebacks()
        model = await self.provider_model_id(model_id)
        return await find_target(self.endpoints, model, self.request_key())

    async def provider_model_id(self, model_id: str) -> str:
        """Return what a model is registered as: the NIM's id, or another name of it.

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
        """Return the API key that the request itself brought, None if it brought none.

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
            key = usable_key(data.nvidia_api_key.get_secret_value())
        except ValueError as error:
            raise _malformed_key(str(error)) from None
        if key is None:
            raise _malformed_key("is empty: give a key, or leave it out")
        return key


def _malformed_key(problem: str) -> InvalidRequestError:
    return invalid("provider data nvidia_api_key", problem, code="malformed_api_key")
