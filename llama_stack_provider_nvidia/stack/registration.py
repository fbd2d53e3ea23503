"""Types for registration with the installed release: provider spec and models."""

from typing import Any, NamedTuple, Protocol

from . import imports
from .errors import not_found_error


class RunConfigKeys(NamedTuple):
    """The keys that the installed release's run.yaml has.

    Attributes:
        top: At the top.
        provider: Of a provider.
        server: Under ``server:``.
    """

    top: frozenset[str]
    provider: frozenset[str]
    server: frozenset[str]


def run_config_keys() -> RunConfigKeys:
    """Return the keys that the installed release's run.yaml has."""
    kinds = (imports.RunConfig, imports.Provider, imports.ServerConfig)
    return RunConfigKeys(*(frozenset(kind.model_fields) for kind in kinds))


def provider_spec(**fields: Any) -> Any:
    """Return the installed release's ``RemoteProviderSpec`` for an inference provider.

    Up to 0.2.22 the fields sit in a nested ``AdapterSpec``, from 0.2.23 on the spec itself.
    """
    api = imports.Api.inference
    if "adapter" in imports.RemoteProviderSpec.model_fields:
        return imports.remote_provider_spec(api=api, adapter=imports.AdapterSpec(**fields))
    return imports.RemoteProviderSpec(
        api=api,
        provider_type=f"remote::{fields['adapter_type']}",
        is_external=True,
        **fields,
    )


def in_request() -> bool:
    """Return whether a client's request caused this call, and not the server's own start-up."""
    return imports.PROVIDER_DATA_VAR.get() is not None


class ModelStore(Protocol):
    """The stack's registry of models, as far as the provider reads it."""

    async def get_model(self, model_id: str, /) -> "RegisteredModel | None":
        """Return a model, or report that there is none: by None or by an error."""


class RegisteredModel(Protocol):
    """A model in the stack's registry, as far as the provider reads it.

    Attributes:
        identifier: The stack's name of it.
        provider_resource_id: The NIM's id, or another name of it.
        model_type: A member of the stack's ``ModelType``, which is text too.
        metadata: What the registry keeps of it.
    """

    identifier: str
    provider_resource_id: str | None
    model_type: str
    metadata: dict[str, Any]


async def registered_model(store: ModelStore, name: str) -> RegisteredModel | None:
    """Return the model that a stack's registry has under a name, None if there is none."""
    try:
        return await store.get_model(name)
    except not_found_error():
        return None
