"""The abilities of the installed release, found in what it has and never by its version."""

import contextlib
import importlib
import importlib.util
import inspect
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any, get_type_hints

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.nim import errors
from scripts.statuses import SERVERS, Server


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _home(name: str) -> Any:
    """The module in which the provider finds one of the stack's names."""
    return stack.imports.find_module(*stack.imports.LOCATIONS[name].modules)


def _router() -> Any:
    """The server's class that passes inference calls on to providers."""
    for core in ("ogx.core", "llama_stack.core", "llama_stack.distribution"):
        if _exists(f"{core}.routers.inference"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # for others to judge
                return importlib.import_module(f"{core}.routers.inference").InferenceRouter
    raise AssertionError("the server has no router")


def _source_of_statuses() -> str:
    """Where the server chooses the status of an error, up to 0.6."""
    for core in ("llama_stack.core", "llama_stack.distribution"):
        if _exists(f"{core}.server.server"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # for others to judge
                return inspect.getsource(importlib.import_module(f"{core}.server.server"))
    raise AssertionError("there is no server")


OGX = _exists("ogx")
CLIENT_MODULE = "ogx_client" if OGX else "llama_stack_client"
# From 1.1 on OGX's client is of another make than all before.
GENERATED_CLIENT = _exists("ogx_client.api_client")
PROVIDER_DATA_HEADER = "X-OGX-Provider-Data" if OGX else "X-LlamaStack-Provider-Data"

# From 0.3 on a call brings one object, which keeps the fields that it does not know, and the
# server answers with the status that an error carries.
ONE_OBJECT = not stack.NATIVE
# Before, the listing of providers was made after the providers, and could tell their health.
TELLS_HEALTH = stack.NATIVE
# From 0.5 on the routes are FastAPI's own: a refused stream has its real status.
STREAMS_HAVE_A_STATUS = any(
    _exists(f"{api}.inference.fastapi_routes") for api in ("ogx_api", "llama_stack_api")
)
_ROUTES_MODULE = f"{'ogx_api' if OGX else 'llama_stack_api'}.inference.fastapi_routes"
_ROUTES = (
    inspect.getsource(importlib.import_module(_ROUTES_MODULE)) if STREAMS_HAVE_A_STATUS else ""
)
# From 0.6 on an error event has OpenAI's form.
CODED_EVENTS = "OpenAIErrorResponse" in _ROUTES
# Later releases of OGX keep the texts of 5xx errors from those who read a stream.
HIDES_LATE = "get_sse_error_message" in _ROUTES
# From 0.2.21 on the server knows errors of connections.
KNOWS_CONNECTIONS = ONE_OBJECT or "ConnectionError" in _source_of_statuses()
# From 0.4 on the server has a route for reranking. That of 0.5 calls its router wrongly.
_RANKING = inspect.signature(getattr(_router(), "rerank", _router)).parameters
RANKS = ("params" if STREAMS_HAVE_A_STATUS else "items") in _RANKING and "rerank" in stack.KINDS
# From 0.2.16 on the server asks the provider for its models.
LISTS_MODELS = hasattr(_home("Api").ModelsProtocolPrivate, "should_refresh_models")
# Up to 0.6 clients could register models.
REGISTERS = hasattr(_home("Model").Models.register_model, "__webmethod__") or any(
    hasattr(importlib.import_module(f"{api}.models.fastapi_routes"), "RegisterModelRequest")
    for api in ("ogx_api", "llama_stack_api")
    if _exists(f"{api}.models.fastapi_routes")
)
# From 0.2.18 on there is an error class for what is not there.
NOT_FOUND = 400 if type(errors.ModelNotFoundError("")) is errors.ModelNotFoundError else 404
# In later releases of OGX a request may name its key after the provider's id.
NAMED_KEYS = "provider_data_api_key_field" in inspect.getsource(inspect.getmodule(_router()))
# How an agent's turn is asked for. The agents API of 0.3 to 0.6 is not the one of 0.2.
AGENTS = next(
    (
        api
        for api in ("responses", "agents")
        if any(_exists(f"{home}.providers.inline.{api}") for home in ("ogx", "llama_stack"))
        and (api == "responses" or stack.NATIVE)
    ),
    None,
)
# The providers that it takes. The empty lists are APIs that the agents ask for, and that a turn
# with tools of the caller's does not use.
AGENT_PROVIDERS: dict[str, list[dict[str, Any]]] = {
    "agents": {
        "agents": [
            {
                "provider_id": "agents",
                "provider_type": "inline::meta-reference",
                "config": {
                    "persistence_store": {
                        "type": "sqlite",
                        "db_path": "${env.SQLITE_STORE_DIR}/agents.db",
                    },
                    "responses_store": {
                        "type": "sqlite",
                        "db_path": "${env.SQLITE_STORE_DIR}/responses.db",
                    },
                },
            }
        ],
        "safety": [],
        "tool_runtime": [],
        "vector_io": [],
    },
    "responses": {
        "responses": [
            {
                "provider_id": "responses",
                "provider_type": "inline::builtin",
                "config": {
                    "persistence": {
                        "agent_state": {"backend": "kv_default", "namespace": "agents"},
                        "responses": {"backend": "sql_default", "table_name": "responses"},
                    }
                },
            }
        ],
        "files": [
            {
                "provider_id": "files",
                "provider_type": "inline::localfs",
                "config": {
                    "storage_dir": "${env.SQLITE_STORE_DIR}/files",
                    "metadata_store": {"backend": "sql_default", "table_name": "files"},
                },
            }
        ],
        "tool_runtime": [],
        "vector_io": [],
    },
}.get(AGENTS or "", {})
# The first of these that the server serves is where the OpenAI-style routes are.
OPENAI_PATHS = ("/v1/openai/v1", "/v1")


def arguments(method: str, fields: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How the installed server hands these fields to a method of the provider."""
    if not ONE_OBJECT:
        return (), fields
    function = getattr(stack.Protocol, method)
    hint = get_type_hints(function, include_extras=False)[
        next(name for name in inspect.signature(function).parameters if name != "self")
    ]
    return (hint(**fields),), {}


def openai_path(server: str) -> str:
    """Where a server has the OpenAI-style routes."""
    for path in OPENAI_PATHS:
        try:
            urllib.request.urlopen(f"{server}{path}/models", timeout=10).close()
        except urllib.error.HTTPError:
            continue
        return path
    raise AssertionError("the server has no OpenAI-style routes")


@contextlib.contextmanager
def own_client(server: str, **options: Any) -> Iterator[Any]:
    """The client that was published with the release, in front of a server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for others to judge
        module = importlib.import_module(CLIENT_MODULE)
        make = module.OgxClient if OGX else module.LlamaStackClient
        made = make(base_url=server, **options)
        yield made
        # From 1.1 on, OgxClient.close() calls what is not there.
        getattr(getattr(made, "api_client", None), "rest_client", made).close()


def statuses() -> Server:
    """The row of the installed release in the table of statuses, told by what it has."""
    if OGX:
        return SERVERS[8 if HIDES_LATE else 7]
    if STREAMS_HAVE_A_STATUS:
        return SERVERS[6 if stack.REASONING else 5 if CODED_EVENTS else 4]
    if ONE_OBJECT:
        return SERVERS[3]
    if NOT_FOUND == 400:
        return SERVERS[0]
    return SERVERS[2 if KNOWS_CONNECTIONS else 1]
