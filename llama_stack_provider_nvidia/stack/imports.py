"""Lazy imports of names of Llama Stack and OGX, cached after the first use.

Nothing here reads a version. What differs between releases is told by what exists: the modules
that a name may be in, and the methods that the inference protocol has (``NATIVE``, ``REASONING``,
``ANTHROPIC``). A name that a release does not have breaks only the call that needs it.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel

Method = TypeVar("Method", bound=Callable[..., Any])

# Later homes first: the successor keeps no module under the earlier names.
_APIS = ("ogx_api", "llama_stack_api")
_CORES = ("ogx.core", "llama_stack.core", "llama_stack.distribution")
_INFERENCE = (*_APIS, "llama_stack.apis.inference")
_MODELS = (*_APIS, "llama_stack.apis.models")
_SPECS = (*_APIS, "llama_stack.providers.datatypes")
_ERRORS = (*(f"{api}.common.errors" for api in _APIS), "llama_stack.apis.common.errors")
_HEADERS = tuple(f"{core}.request_headers" for core in _CORES)
_DATATYPES = tuple(f"{core}.datatypes" for core in _CORES)
# Of the native API, which is alike from 0.2.2 to 0.2.24.
_CONTENT = ("llama_stack.apis.common.content_types",)
_LLAMA = ("llama_stack.models.llama.datatypes",)


class Location(NamedTuple):
    """Where a name is.

    Attributes:
        modules: The modules to look in; the first one that exists is the release's.
        names: What it is called there, the latest name first.
    """

    modules: tuple[str, ...]
    names: tuple[str, ...]


LOCATIONS: dict[str, Location] = {
    name: Location(modules, (name,))
    for modules, names in {
        _INFERENCE: (
            "AnthropicCountTokensResponse",
            "AnthropicCreateMessageRequest",
            "BatchChatCompletionResponse",
            "BatchCompletionResponse",
            "ChatCompletionRequest",
            "ChatCompletionResponse",
            "ChatCompletionResponseEvent",
            "ChatCompletionResponseStreamChunk",
            "CompletionMessage",
            "CompletionRequest",
            "CompletionResponse",
            "CompletionResponseStreamChunk",
            "EmbeddingsResponse",
            "GreedySamplingStrategy",
            "OpenAIChatCompletionChunkWithReasoning",
            "OpenAIChatCompletionWithReasoning",
            "OpenAITokenLogProb",
            "OpenAITopLogProb",
            "RerankData",
            "RerankResponse",
            "SamplingParams",
            "SystemMessage",
            "SystemMessageBehavior",
            "TokenLogProbs",
            "ToolConfig",
            "ToolResponseMessage",
            "TopKSamplingStrategy",
            "TopPSamplingStrategy",
            "UserMessage",
        ),
        _MODELS: ("Model", "ModelType"),
        _SPECS: (
            "AdapterSpec",
            "Api",
            "HealthStatus",
            "RemoteProviderSpec",
            "remote_provider_spec",
        ),
        _HEADERS: ("NeedsRequestProviderData", "PROVIDER_DATA_VAR"),
        _DATATYPES: ("AuthenticationRequiredError", "Provider", "ServerConfig"),
        _ERRORS: ("ResourceNotFoundError",),
        _CONTENT: (
            "ImageContentItem",
            "TextContentItem",
            "TextDelta",
            "ToolCallDelta",
            "ToolCallParseStatus",
        ),
        _LLAMA: ("StopReason", "ToolCall", "ToolPromptFormat"),
    }.items()
    for name in names
} | {
    "Protocol": Location(_INFERENCE, ("InferenceProvider", "Inference")),
    "RunConfig": Location(_DATATYPES, ("StackConfig", "StackRunConfig")),
}

if TYPE_CHECKING:  # facts about the installed release
    NATIVE: bool
    """The protocol has the native API, as up to 0.2.24."""
    REASONING: bool
    """It has a call that returns the reasoning beside the response, as from 0.7 on."""
    ANTHROPIC: bool
    """It has Anthropic's Messages API, as OGX from 1.1 on."""
    KINDS: frozenset[str]
    """The kinds of models: ``rerank`` came with 0.4."""


class _RerankData(BaseModel):
    """One ranked item, as releases from 0.2.19 on have it."""

    index: int
    relevance_score: float


class _RerankResponse(BaseModel):
    """Items by relevance, the most relevant first."""

    data: list[_RerankData]


# Used together where a release lacks one of them, because a response needs both.
_SUBSTITUTES = {"RerankData": _RerankData, "RerankResponse": _RerankResponse}


class MissingNameError(NotImplementedError):
    """The installed release does not have a name that a call needs.

    Servers of every release map a ``NotImplementedError`` to status 501.

    Attributes:
        name: What is missing.
        release: The installed release, such as ``llama-stack 0.2.12``.
    """

    status_code = 501

    def __init__(self, location: Location) -> None:
        self.name = " or ".join(location.names)
        self.release = installed_release()
        super().__init__(
            f"{self.release} does not have {self.name} (looked for in "
            f"{', '.join(location.modules)}), which this call needs; calls that do not need it "
            "work. Update llama-stack-provider-nvidia, or install a release of Llama Stack or OGX "
            "that it supports."
        )


def installed_release() -> str:
    """Return the name and version of the installed stack, for an error."""
    for distribution in ("ogx", "llama-stack"):
        try:
            return f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            continue
    return "The installed Llama Stack"


@functools.cache
def find_module(*names: str) -> ModuleType | None:
    """Import the first of some modules that exists; return None if none does.

    Raises:
        ModuleNotFoundError: A module exists, and something that it imports is not installed.
    """
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A missing dependency of the stack itself must not pass for a missing module.
            if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
                raise
    return None


def find(name: str) -> Any:
    """Look up a name of ``LOCATIONS``; return None if the installed release does not have it.

    Raises:
        ModuleNotFoundError: No release is installed.
    """
    location = LOCATIONS[name]
    module = find_module(*location.modules)
    if module is None and find_module("ogx", "llama_stack") is None:
        raise ModuleNotFoundError(
            "Llama Stack is not installed: pip install 'llama-stack-provider-nvidia[llama-stack]'"
        )
    return next((getattr(module, one) for one in location.names if hasattr(module, one)), None)


def _has_method(name: str) -> Callable[[], bool]:
    return lambda: hasattr(find("Protocol"), name)


def _kinds() -> frozenset[str]:
    return frozenset(kind.value for kind in __getattr__("ModelType"))


_FACTS: dict[str, Callable[[], object]] = {
    "NATIVE": _has_method("chat_completion"),
    "REASONING": _has_method("openai_chat_completions_with_reasoning"),
    "ANTHROPIC": _has_method("anthropic_messages"),
    "KINDS": _kinds,
}


def __getattr__(name: str) -> Any:
    """Look up a name of the stack, or a fact about it, and keep it.

    Raises:
        MissingNameError: The installed release does not have the name.
        ModuleNotFoundError: No release is installed.
    """
    if name in _FACTS:
        value: Any = _FACTS[name]()
    elif name in LOCATIONS:
        value = find(name)
        if name in _SUBSTITUTES and not all(map(find, _SUBSTITUTES)):
            value = _SUBSTITUTES[name]
        if value is None:
            raise MissingNameError(LOCATIONS[name])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def protocol_base() -> type:
    """Return the inference protocol as a base class; ``object`` if the release has none."""
    base: type = find("Protocol") or object
    return base


def provider_data_base() -> type:
    """Return the base class of providers that read a request's own data.

    Servers from 0.5 on look for it. Where it is missing, reading that data is an error: the
    server's own key must not stand in for one that a request brought.
    """
    base: type = find("NeedsRequestProviderData") or _NoRequestProviderData
    return base


class _NoRequestProviderData:
    def get_request_provider_data(self) -> Any:
        raise MissingNameError(LOCATIONS["NeedsRequestProviderData"])


def with_protocol_signature(method: Method) -> Method:
    """Return a method that takes ``**kwargs`` with the signature of its namesake in the protocol.

    The stack compares parameter names when it loads a provider, and they drift from release
    to release; ``inspect.signature`` reads ``__signature__``.
    """
    namesake = getattr(find("Protocol"), method.__name__, None)
    if namesake is not None:
        method.__signature__ = inspect.signature(namesake)  # type: ignore[attr-defined]
    return method
